"""Content into a store and checked there: no archive, no solver, no container."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench import Bench
from measure import Case, Section, command, interleave, output, say

INGEST = "Packages into a store"
CHECK = "Check all content"
OURS, DPKG = "larder: packages into a store", "dpkg-deb -x, sync"
OSTREE, CASYNC = "ostree commit, of files unpacked before", "casync make, of files unpacked before"
# Packages that many images have, some large: about a gigabyte of files.
PACKAGES = """default-jdk-headless python3 perl postgresql-15 nginx-light git golang-1.19-go gcc-12 g++-12 cpp-12 libnode108 ruby3.1
libpython3.11-stdlib libicu72 libllvm14 openjdk-17-jre-headless openjdk-17-jdk-headless mariadb-server-core erlang-base
libgcc-12-dev libstdc++-12-dev golang-1.19-src llvm-14 rustc libstd-rust-1.63 libclang-cpp14 clang-14 binutils-x86-64-linux-gnu
libboost1.74-dev samba-libs linux-libc-dev vim-runtime apache2-bin php8.2-cli locales libruby3.1 librust-winapi-dev""".split()


def tables(bench: Bench, rounds: int) -> Iterator[Section]:
    """Few rounds: each works for seconds."""
    place = Content(bench)
    yield ingest(place, max(3, rounds // 10))
    yield check(place, max(3, rounds // 3))
    shutil.rmtree(place.tree)
    shutil.rmtree(place.store)


class Content:
    """The packages, the list that `ingest` reads, and their files unpacked."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.folder = bench.work / "content"
        self.debs = self.folder / "debs"
        self.list = self.folder / "list"
        self.store = self.folder / "store"
        self.tree = self.folder / "tree"
        self.ingest = command(bench.programs / "examples/ingest", self.store, stdin=self.list)
        if not self.list.exists():
            self.fetch()
            self.describe()
        self.unpack(self.tree)
        files = [path.stat().st_size for path in self.tree.rglob("*") if path.is_file() and not path.is_symlink()]
        self.size = f"{len(list(self.debs.glob('*.deb')))} packages, {len(files)} files, {sum(files) / 1e9:.2f} GB."

    def fetch(self) -> None:
        say("  fetching packages")
        self.debs.mkdir(parents=True, exist_ok=True)
        words = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root"]
        here = os.getcwd()
        os.chdir(self.debs)
        try:
            command(*words, *PACKAGES)()
        finally:
            os.chdir(here)

    def describe(self) -> None:
        lines = []
        for deb in sorted(self.debs.glob("*.deb")):
            digest = output("sha256sum", deb).split()[0]
            fields = output("dpkg-deb", "-W", "--showformat=${Package} ${Version} ${Architecture}", deb)
            lines.append(f"{digest} {fields} {deb}\n")
        self.list.write_text("".join(lines))

    def unpack(self, tree: Path) -> None:
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        script = 'for deb in "$2"/*.deb; do dpkg-deb -x "$deb" "$1"; done; sync -f "$1"'
        command("sh", "-ec", script, "sh", str(tree), str(self.debs))()


def ingest(place: Content, rounds: int) -> Section:
    """Packages become content that is named by its digest; what `ostree` and `casync` take is unpacked before."""
    repository, casync, unpacked = place.folder / "ostree", place.folder / "casync", place.folder / "unpacked"

    def forget(folder: Path):
        def away() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            os.sync()

        return away

    def new_repository() -> None:
        forget(repository)()
        command("ostree", f"--repo={repository}", "init", "--mode=bare-user")()

    def new_casync() -> None:
        forget(casync)()
        casync.mkdir()

    commit = ["ostree", f"--repo={repository}", "commit", "--branch=bench", f"--tree=dir={place.tree}"]
    make = ["casync", "make", f"--store={casync}/store", f"{casync}/index.caidx", place.tree]
    cases = [
        Case(OURS, place.ingest, forget(place.store)),
        Case(DPKG, lambda: place.unpack(unpacked), forget(unpacked)),
        Case(OSTREE, command(*commit), new_repository),
        Case(CASYNC, command(*make), new_casync),
    ]
    section = interleave(INGEST, cases, rounds, "s", warm_up=0)
    section.notes.insert(0, place.size)
    for folder in [repository, casync, unpacked]:
        shutil.rmtree(folder, ignore_errors=True)
    return section


def check(place: Content, rounds: int) -> Section:
    """Everything is read and hashed."""
    objects = ["find", place.store / "objects", "-type", "f", "-exec", "sha256sum", "{}", "+"]
    cases = [
        Case("larder fsck --deep", command(*place.bench.run(place.store, "fsck", "--deep"))),
        Case("find -exec sha256sum", command(*objects)),
    ]
    section = interleave(CHECK, cases, rounds, "s")
    section.notes.insert(0, place.size + " In the page cache.")
    return section
