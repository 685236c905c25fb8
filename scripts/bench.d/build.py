"""Building the web image: from nothing, from its base, and again."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import peers
from bench import Bench
from measure import Case, Section, interleave, put_aside, remove_aside, say

COLD = "Build the web image from nothing, all of it fetched"
COLD_DOCKER = "docker pull of the base, docker build"
PAGE = "Build it again, one page changed"
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
        self.tag = f"{bench.registry.address}/base"
        shutil.copytree(bench.recipe, self.recipe, dirs_exist_ok=True)
        self.larder = bench.build(self.store, self.recipe)

    def forget_lock(self) -> None:
        (self.recipe / "larder.lock").unlink(missing_ok=True)

    def empty_store(self) -> None:
        put_aside(self.store)
        self.forget_lock()
        os.sync()

    def store_with_base(self) -> None:
        self.empty_store()
        shutil.copytree(self.with_base, self.store, symlinks=True)
        os.sync()

    def make_base(self) -> None:
        """A store with the packages that docker's base has too, and without lists or downloads."""
        if not self.with_base.exists():
            say("  making a store that has the base")
            recipe = self.bench.work / "base-recipe"
            recipe.mkdir(exist_ok=True)
            (recipe / "larder.toml").write_text(BASE_RECIPE)
            self.bench.build(self.with_base, recipe)()
            shutil.rmtree(self.with_base / "cache")

    def push_base(self) -> None:
        """Docker's base is in the registry, and what the builds fetch is in the mirror."""
        self.bench.docker_base()
        self.bench.docker("tag", peers.BASE, self.tag)
        self.bench.docker("push", "--quiet", self.tag)
        self.docker()
        self.larder()

    def empty_docker(self) -> None:
        self.bench.docker.forget()
        os.sync()

    def docker_with_base(self) -> None:
        self.empty_docker()
        self.bench.docker_base()
        os.sync()

    def docker(self, *options: str) -> None:
        self.bench.docker.build(peers.WEB, self.bench.context, *options, env=self.bench.theirs.env)

    def docker_from_nothing(self) -> None:
        self.bench.docker("pull", "--quiet", self.tag)
        self.bench.docker("tag", self.tag, peers.BASE)
        self.docker("--no-cache")


def tables(bench: Bench, rounds: int) -> Iterator[Section]:
    """Few rounds for what fetches, all rounds for what is there already."""
    yield from cold(bench, max(3, rounds // 6))
    yield from warm(bench, rounds)


def cold(bench: Bench, rounds: int) -> Iterator[Section]:
    """Lists and packages are fetched."""
    places = Places(bench)
    places.push_base()
    cases = [
        Case("larder build", places.larder, places.empty_store),
        Case(COLD_DOCKER, places.docker_from_nothing, places.empty_docker),
    ]
    nothing = interleave(COLD, cases, rounds, "s", warm_up=0)
    nothing.notes.insert(0, "Larder fetches the base's packages; docker pulls them as one layer.")
    yield nothing
    places.make_base()
    cases = [
        Case("larder build", places.larder, places.store_with_base),
        Case("docker build --no-cache", lambda: places.docker("--no-cache"), places.docker_with_base),
    ]
    base = interleave("Build it where the base is there, the rest fetched", cases, rounds, "s", warm_up=0)
    base.notes.insert(0, "Larder's store has the base's packages and apt, Docker's daemon the base image.")
    yield base
    remove_aside(places.store)


def warm(bench: Bench, rounds: int) -> Iterator[Section]:
    """Nothing is fetched."""
    places = Places(bench)
    places.larder()
    bench.docker_web()
    cases = [
        Case("larder build", places.larder),
        Case("larder build, its lock deleted", places.larder, places.forget_lock),
        Case("docker build, all of it cached", places.docker),
    ]
    yield interleave("Build it again, nothing changed", cases, rounds)
    cases = [
        Case("larder build", places.larder, change(places.recipe / "site/index.html")),
        Case("docker build", places.docker, change(bench.context / "site/index.html")),
    ]
    yield interleave(PAGE, cases, rounds)


def change(page: Path) -> Callable[[], None]:
    """Makes a page another one."""

    def append() -> None:
        with open(page, "a") as file:
            file.write("<!-- changed -->\n")

    return append
