"""One package is replaced, from the wish to the new version running."""

import json
import shutil
from collections.abc import Iterator

import peers
from bench import PACKAGES, Bench
from measure import Case, Failed, Row, Section, command, interleave, output, put_aside, remove_aside, say
from sharing import used

# In two versions in the archive: the suite's, and that of its security updates. The program needs its library's version.
UPDATED = ["libssl3", "openssl"]
DOCKER = "docker build, push, pull, run"
TIME = "Update one library to running"
BYTES = "Bytes moved by that update"


def tables(bench: Bench, rounds: int) -> Iterator[Section]:
    """Few rounds: packages are fetched, and an image is made, pushed and pulled."""
    ours, theirs = Ours(bench), Theirs(bench)
    try:
        cases = [
            Case("larder update, larder run", ours.update, ours.back),
            Case(DOCKER, theirs.update, theirs.change),
        ]
        times = interleave(TIME, cases, max(3, rounds // 6), "s", warm_up=0)
    finally:
        theirs.stop()
    times.notes.insert(0, f"{' and '.join(UPDATED)}, {ours.versions}. Larder's lists are there, and asked for news.")
    remove_aside(ours.store)
    yield times
    yield moved(ours, theirs)


def moved(ours: "Ours", theirs: "Theirs") -> Section:
    count = len(theirs.fetched)
    if not count:
        raise Failed("docker's update didn't run")
    pushed = (used(theirs.registry.data) - theirs.first) / count
    fetched = sum(theirs.fetched) / count
    rows = [
        Row("larder, fetched", [sum(ours.moved) / len(ours.moved)]),
        Row("of it packages", [ours.packages]),
        Row("docker, all", [fetched + 2 * pushed]),
        Row("of it fetched by the build", [fetched]),
        Row("of it pushed", [pushed]),
        Row("of it pulled", [pushed]),
    ]
    notes = ["Larder's and the build's are what the mirror gave, lists of the suites included; pushed is what the registry grew by."]
    return Section(BYTES, "MB", rows, "larder, fetched", notes)


class Ours:
    """A store with the image as it was before, and a copy of it to work in."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.recipe, self.old = bench.work / "update-web", bench.work / "update-old"
        self.store = bench.work / "update-store"
        shutil.copytree(bench.recipe, self.recipe, dirs_exist_ok=True)
        file = self.recipe / "larder.toml"
        text = file.read_text()
        known = [versions(package) for package in UPDATED]
        if any(len(of) < 2 for of in known):
            raise Failed(f"apt's sources know one version only of {' or '.join(UPDATED)}: the suite's security updates are needed too")
        pins = ", ".join(f'"{package} ={of[1]}"' for package, of in zip(UPDATED, known))
        file.write_text(text.replace("packages = [", f"packages = [{pins}, "))
        self.lock = self.recipe / "larder.lock"
        self.lock.unlink(missing_ok=True)
        shutil.rmtree(self.old, ignore_errors=True)
        say("  building the web image with an older library")
        bench.build(self.old, self.recipe)()
        command(*bench.run(self.old, "run", "example.com/web", "--", "true"))()
        self.before = self.lock.read_text()
        file.write_text(text)
        self.versions = ", ".join(dict.fromkeys(f"{of[1]} to {of[0]}" for of in known))
        self.packages = 0.0
        self.moved: list[float] = []

    def back(self) -> None:
        put_aside(self.store)
        shutil.copytree(self.old, self.store, symlinks=True)
        self.lock.write_text(self.before)

    def update(self) -> None:
        before = self.bench.ours.megabytes()
        words = self.bench.run(self.store, "update", "--json", self.recipe, *UPDATED)
        self.packages = json.loads(output("env", f"http_proxy={self.bench.ours.address}", *words))["fetched_bytes"] / 1e6
        command(*self.bench.run(self.store, "run", "example.com/web", "--", "true"))()
        self.moved.append(self.bench.ours.megabytes() - before)


class Theirs:
    """A daemon that builds, a registry, and the daemon of another host that pulls."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.folder = bench.work / "update-docker"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.context = self.folder / "context"
        self.context.mkdir(parents=True)
        peers.make_context(self.context, bench.recipe, " ".join(PACKAGES))
        self.generation = 0
        bench.docker_base()
        self.registry = peers.Registry(self.folder / "registry")
        try:
            self.tag = f"{self.registry.address}/web"
            self.node = peers.Docker(self.folder)
        except Failed:
            self.registry.stop()
            raise
        try:
            self.fetched: list[float] = []
            self.change()
            self.update()
        except Failed:
            self.stop()
            raise
        self.fetched.clear()
        self.first = used(self.registry.data)

    def change(self) -> None:
        """The line that installs is another one, so that it is run again."""
        self.generation += 1
        file = self.context / "Dockerfile"
        lines = [line for line in file.read_text().splitlines() if not line.startswith("ENV GENERATION")]
        file.write_text("\n".join([lines[0], f"ENV GENERATION={self.generation}", *lines[1:]]) + "\n")

    def update(self) -> None:
        before = self.bench.theirs.megabytes()
        self.bench.docker.build(self.tag, self.context, env=self.bench.theirs.env)
        self.fetched.append(self.bench.theirs.megabytes() - before)
        self.bench.docker("push", "--quiet", self.tag)
        self.node("pull", "--quiet", self.tag)
        self.node("run", "--rm", "--network", "none", self.tag, "true")

    def stop(self) -> None:
        self.node.stop()
        self.registry.stop()


def versions(package: str) -> list[str]:
    """The versions that apt knows, newest first."""
    lines = output("apt-cache", "madison", package).splitlines()
    return list(dict.fromkeys(line.split("|")[1].strip() for line in lines))
