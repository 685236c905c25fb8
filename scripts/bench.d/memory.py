"""The most memory that one process of each had, and whether it grows with the size of a package."""

import shutil
from collections.abc import Callable, Iterator

import peers
from bench import PACKAGES, Bench
from measure import Failed, Program, Row, Section, command, number, output, say

PEAKS = "Peak memory of build, run and check"
GROWTH = "Peak memory with packages of three sizes"
RECIPE = """\
[image]
name     = "example.com/{package}"
version  = "1"
from     = "debian.org/bookworm"
base     = "none"
packages = ["{package}"]
"""
# All are files alone, and depend on nothing. The small one is smaller than the window of its compression, which has to be in memory.
SIZES = {"small": "media-types", "medium": "fonts-noto-core", "large": "fonts-noto-cjk"}
ROUNDS = 3


def tables(bench: Bench, _rounds: int) -> Iterator[Section]:
    yield peaks(bench)
    yield growth(bench)


class Peaks:
    """Rows as they are measured; what can't be is said."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.absent: dict[str, str] = {}

    def add(self, name: str, program: Program, prepare: Callable[[], None] = lambda: None) -> None:
        say(f"  {name}")
        values = []
        try:
            for _ in range(ROUNDS):
                prepare()
                values.append(program.peak())
        except Failed as failure:
            self.absent[name] = str(failure)
            return
        self.rows.append(Row(name, values))


def peaks(bench: Bench) -> Section:
    """The web image: each from nothing, and what fetches through the mirror."""
    bench.web()
    store, recipe = bench.work / "memory", bench.work / "memory-web"
    shutil.copytree(bench.recipe, recipe, dirs_exist_ok=True)
    apt = peers.Apt(bench.work / "memory-apt", bench.theirs.env)
    rows = Peaks()

    def empty() -> None:
        shutil.rmtree(store, ignore_errors=True)
        (recipe / "larder.lock").unlink(missing_ok=True)

    def empty_apt() -> None:
        shutil.rmtree(apt.folder)
        peers.Apt(apt.folder, apt.env)

    def empty_archives() -> None:
        for deb in (apt.folder / "cache/archives").glob("*.deb"):
            deb.unlink()

    rows.add("larder build, all of it", bench.build(store, recipe), empty)
    rows.add("apt-get update", apt.update(), empty_apt)
    rows.add("apt-get install --download-only", apt.download(PACKAGES), empty_archives)
    debs = sorted((apt.folder / "cache/archives").glob("*.deb"), key=lambda deb: deb.stat().st_size)
    tree = bench.work / "memory-tree"
    if debs:
        rows.add("dpkg-deb -x of the largest package", command("dpkg-deb", "-x", debs[-1], tree))
    rows.add("larder run", command(*bench.run(store, "run", "example.com/web", "--", "true")))
    try:
        rows.add("runc run", runc(bench))
    except Failed as failure:
        rows.absent["runc run"] = str(failure)
    rows.add("larder fsck --deep", command(*bench.run(store, "fsck", "--deep")))
    objects = ["find", store / "objects", "-type", "f", "-exec", "sha256sum", "{}", "+"]
    rows.add("find -exec sha256sum", command(*objects))
    shutil.rmtree(tree, ignore_errors=True)
    notes = ["The largest resident set of one process of each, pages of mapped files included.",
             "`docker build` works in a daemon, and isn't counted."]
    return Section(PEAKS, "MB", rows.rows, None, notes, rows.absent)


def runc(bench: Bench) -> Program:
    root = bench.work / "root"
    if not root.exists():
        bench.docker_web()
        bench.docker.unpack(peers.WEB, root)
    bundle = bench.work / "bundle-memory"
    peers.make_bundle(bundle, root, None)
    return command("runc", "--root", bench.work / "runc", "run", "--bundle", bundle, "bench")


def growth(bench: Bench) -> Section:
    """The same steps with packages of three sizes; the lists are there, for they are the larger part of a build."""
    rows = Peaks()
    sizes = {}
    for word, package in SIZES.items():
        store, recipe = bench.work / f"memory-{package}", bench.work / f"memory-{package}-recipe"
        recipe.mkdir(exist_ok=True)
        (recipe / "larder.toml").write_text(RECIPE.format(package=package))
        bench.build(store, recipe)()
        debs = list(bench.work.glob(f"{package}_*.deb"))
        if not debs:
            output("env", "-C", bench.work, "apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package)
            debs = list(bench.work.glob(f"{package}_*.deb"))
        sizes[package] = debs[0].stat().st_size / 1e6
        lines = bench.work / f"{package}.list"
        fields = output("dpkg-deb", "-W", "--showformat=${Package} ${Version} ${Architecture}", debs[0])
        lines.write_text(f"{output('sha256sum', debs[0]).split()[0]} {fields} {debs[0]}\n")
        own = bench.work / "memory-ingest"

        def empty(own=own) -> None:
            shutil.rmtree(own, ignore_errors=True)

        rows.add(f"larder, convert: {word}", command(bench.programs / "examples/ingest", own, stdin=lines), empty)

        def anew(store=store, recipe=recipe) -> None:
            """A new store with the lists and their index."""
            cache = bench.work / "memory-cache"
            (store / "cache").rename(cache)
            shutil.rmtree(store)
            command(*bench.run(store, "images"))()
            shutil.rmtree(store / "cache", ignore_errors=True)
            cache.rename(store / "cache")
            (recipe / "larder.lock").unlink(missing_ok=True)

        rows.add(f"larder build: {word}", bench.build(store, recipe), anew)
        rows.add(f"larder fsck --deep: {word}", command(*bench.run(store, "fsck", "--deep")))
        shutil.rmtree(store)
        empty()
    rows.rows.sort(key=lambda row: row.name.split(":")[0])
    of_sizes = ", ".join(f"{package} has {number(sizes[package])} MB" for package in SIZES.values())
    notes = [
        f"As packages, {of_sizes}. A build maps the index of the lists.",
        "Who unpacks a package needs the window of its compression, which its builder chose: as much as its contents, up to 8 MB for these.",
    ]
    return Section(GROWTH, "MB", rows.rows, None, notes, rows.absent)
