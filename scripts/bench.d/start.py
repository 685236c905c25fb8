"""Start to exit of `true`: what a container costs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import peers
from bench import Bench
from measure import Case, Section, command, interleave, say

ROOT = "Start to exit of `true` in the web image, as root"
USER = "Start to exit of `true` as an ordinary user"


def tables(bench: Bench, rounds: int) -> Iterator[Section]:
    """The same root for all: larder's from its packages, the others' from the image that docker built of them."""
    bench.web()
    bench.docker_web()
    root, archive = bench.work / "root", bench.work / "web.tar"
    if not root.exists():
        bench.docker.unpack(peers.WEB, root)
    bench.docker("save", "--output", archive, peers.WEB)
    archive.chmod(0o644)
    yield as_root(bench, root, archive, rounds)
    yield as_user(bench, root, archive, rounds)
    archive.unlink()


class Loads:
    """Loads an image into podman's storage before the first run, so that a podman that can't is a peer that is left out."""

    def __init__(self, run, load):
        self.run, self.load, self.loaded = run, load, False

    def __call__(self) -> None:
        if not self.loaded:
            self.run(*self.load)()
            self.loaded = True


def podman(bench: Bench, folder: Path, archive: Path, run) -> Case:
    folder.mkdir(exist_ok=True)
    # Its own limits are above what root may have in many a virtual machine.
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    words = peers.podman(folder, "run", "--rm", "--network", "none", "--pull", "never", *limits, peers.WEB, "true")
    return Case("podman run --rm --network none", run(*words), Loads(run, peers.podman(folder, "load", "--input", str(archive))))


def as_root(bench: Bench, root: Path, archive: Path, rounds: int) -> Section:
    bundle = bench.work / "bundle"
    peers.make_bundle(bundle, root, None)
    runc = ["runc", "--root", bench.work / "runc", "run", "--bundle", bundle, "bench"]
    docker = bench.docker.words("run", "--rm", "--network", "none", peers.WEB, "true")
    cases = [
        Case("larder run", command(*bench.run(bench.store, "run", "example.com/web", "--", "true"))),
        Case("bwrap --unshare-all", command(*peers.bwrap(root))),
        Case("runc run", command(*runc)),
        Case("docker run --rm --network none", command(*docker)),
        podman(bench, bench.work / "podman", archive, command),
        Case("true, without a container", command("true")),
    ]
    return interleave(ROOT, cases, rounds)


def as_user(bench: Bench, root: Path, archive: Path, rounds: int) -> Section:
    somebody, user = bench.somebody, bench.user
    home, bundle = bench.home, bench.work / "bundle-user"
    shutil.rmtree(home / "web", ignore_errors=True)
    shutil.copytree(bench.recipe, home / "web")
    for path in [home / "web", *(home / "web").rglob("*")]:
        shutil.chown(path, user.pw_uid, user.pw_gid)
    peers.make_bundle(bundle, root, user)
    own = home / "podman"
    own.mkdir(exist_ok=True)
    shutil.chown(own, user.pw_uid, user.pw_gid)
    say("  building the web image as an ordinary user")
    somebody.command(*bench.run(home / "store", "build", home / "web"))()
    docker = bench.docker.words("run", "--rm", "--network", "none", peers.WEB, "true")
    cases = [
        Case("larder run", somebody.command(*bench.run(home / "store", "run", "example.com/web", "--", "true"))),
        Case("bwrap --unshare-all", somebody.command(*peers.bwrap(root))),
        Case("runc run, rootless", somebody.command("runc", "--root", home / "run", "run", "--bundle", bundle, "bench")),
        Case("docker run --rm --network none", somebody.command(*docker)),
        podman(bench, own, archive, somebody.command),
        Case("true, without a container", somebody.command("true")),
    ]
    table = interleave(USER, cases, rounds)
    table.notes.insert(0, "Docker's daemon is root's, as always.")
    return table
