"""Building the web image: from nothing, from its base, and again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import peers
from bench import Bench
from measure import Case, Section, interleave, say

BASE_RECIPE = """\
[image]
name     = "example.com/base"
version  = "1"
from     = "debian.org/bookworm"
packages = ["apt"]
"""


class Places:
    """Where the builds of this page work, and how they are brought back to where they began."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.store = bench.work / "cold"
        self.with_base = bench.work / "with-base"
        self.recipe = bench.work / "cold-web"
        shutil.copytree(bench.recipe, self.recipe, dirs_exist_ok=True)
        self.larder = bench.build(self.store, self.recipe)

    def forget_lock(self) -> None:
        (self.recipe / "larder.lock").unlink(missing_ok=True)

    def empty_store(self) -> None:
        shutil.rmtree(self.store, ignore_errors=True)
        self.forget_lock()
        os.sync()

    def store_with_base(self) -> None:
        self.empty_store()
        shutil.copytree(self.with_base, self.store, symlinks=True)
        os.sync()

    def make_base(self) -> None:
        """A store with the packages that docker's base has too, and without lists or downloads."""
        if not self.with_base.exists():
            say("making a store that has the base")
            recipe = self.bench.work / "base-recipe"
            recipe.mkdir(exist_ok=True)
            (recipe / "larder.toml").write_text(BASE_RECIPE)
            self.bench.build(self.with_base, recipe)()
            shutil.rmtree(self.with_base / "cache")

    def empty_docker(self) -> None:
        self.bench.docker.forget(peers.WEB, peers.BASE)
        os.sync()

    def docker_with_base(self) -> None:
        self.empty_docker()
        self.bench.docker("import", str(self.bench.base), peers.BASE)
        os.sync()

    def docker(self, *options: str) -> None:
        self.bench.docker.build(peers.WEB, self.bench.context, *options)

    def docker_from_nothing(self) -> None:
        archive = self.bench.work / "cold-base.tar"
        peers.make_base(archive)
        self.bench.docker("import", str(archive), peers.BASE)
        self.docker("--no-cache")
        archive.unlink()


def tables(bench: Bench, rounds: int) -> list[Section]:
    """Few rounds for what fetches, all rounds for what is there already."""
    return [*cold(bench, max(3, rounds // 10)), *warm(bench, rounds)]


def cold(bench: Bench, rounds: int) -> list[Section]:
    """Lists and packages are fetched."""
    places = Places(bench)
    cases = [
        Case("larder build", places.larder, places.empty_store),
        Case("mmdebstrap, docker import, docker build", places.docker_from_nothing, places.empty_docker),
    ]
    nothing = interleave("Build the web image from nothing, all of it fetched", cases, rounds, "s", warm_up=0)
    places.make_base()
    cases = [
        Case("larder build", places.larder, places.store_with_base),
        Case("docker build --no-cache", lambda: places.docker("--no-cache"), places.docker_with_base),
    ]
    base = interleave("Build it where the base is there, the rest fetched", cases, rounds, "s", warm_up=0)
    base.notes.insert(0, "Larder's store has the base's packages and apt, Docker's daemon the base image.")
    return [nothing, base]


def warm(bench: Bench, rounds: int) -> list[Section]:
    """Nothing is fetched."""
    places = Places(bench)
    places.larder()
    bench.make_docker_image()
    cases = [
        Case("larder build", places.larder),
        Case("larder build, its lock deleted", places.larder, places.forget_lock),
        Case("docker build, all of it cached", places.docker),
    ]
    same = interleave("Build it again, nothing changed", cases, rounds)
    cases = [
        Case("larder build", places.larder, change(places.recipe / "site/index.html")),
        Case("docker build", places.docker, change(bench.context / "site/index.html")),
    ]
    return [same, interleave("Build it again, one page changed", cases, rounds)]


def change(page: Path) -> Callable[[], None]:
    """Makes a page another one."""

    def append() -> None:
        with open(page, "a") as file:
            file.write("<!-- changed -->\n")

    return append
