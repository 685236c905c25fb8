"""A package of one's own: its sandbox, building it again, and an image that follows its sources."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import peers
from bench import Bench
from build import change
from measure import Case, Failed, Row, Section, command, interleave, say
from sharing import used

SANDBOX = "Start to exit of `true` in the build sandbox of the C example"
AGAIN = "Build the C example again, nothing changed"
CHANGED = "Build the C example and an image with it, its source changed, and run it"
WATCH = "A page of the web image changed, until the image is built"
BYTES = "What each changed build of the C example leaves on disk"
DOCKER = "docker build, docker run"
BUILDER, GREETER = "bench/builder", "bench/greeter"
IMAGE = """\
[image]
name     = "example.com/greeter"
version  = "1.0"
from     = "debian.org/bookworm"
packages = [{ path = "../hello-c" }]
run      = ["hello"]
"""
# Two stages, as Docker's documentation recommends: the tools aren't in the image, and the test runs as the recipe's does.
DOCKERFILE = f"""\
FROM {peers.BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && apt-get clean && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY src .
RUN make && make install DESTDIR=/out
FROM {peers.BASE}
COPY --from=build /out /
RUN hello reader | grep -q 'Hello, reader!'
CMD ["hello"]
"""


def tables(bench: Bench, rounds: int) -> Iterator[Section]:
    """The tools are fetched before, and docker has its stages."""
    own = Own(bench)
    yield own.sandbox(rounds)
    yield own.again(rounds)
    changed, left = own.changed(max(5, rounds // 3))
    yield changed
    yield left
    yield watch(bench, rounds)


class Own:
    """The C example and an image with it, as recipes and as a Dockerfile."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.folder = bench.work / "own"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.store = self.folder / "store"
        self.hello, self.image = self.folder / "hello-c", self.folder / "greeter"
        self.context = self.folder / "context"
        shutil.copytree(bench.examples / "hello-c", self.hello, ignore=shutil.ignore_patterns("larder.lock"))
        shutil.copytree(self.hello / "src", self.context / "src")
        (self.context / "Dockerfile").write_text(DOCKERFILE)
        self.image.mkdir()
        (self.image / "larder.toml").write_text(IMAGE)
        self.package = bench.build(self.store, self.hello)
        say("  building the C example with larder and with docker")
        bench.build(self.store, self.image)()
        bench.docker_base()
        self.docker()
        bench.docker.build(BUILDER, self.context, "--target", "build", env=bench.theirs.env)

    def docker(self) -> None:
        self.bench.docker.build(GREETER, self.context, env=self.bench.theirs.env)

    def sandbox(self, rounds: int) -> Section:
        bench = self.bench
        cases = [
            Case("larder shell -- true", command(*bench.run(self.store, "shell", self.hello, "--", "true"))),
            Case(
                "docker run --rm --network none, the image of the tools",
                command(*bench.docker.words("run", "--rm", "--network", "none", BUILDER, "true")),
            ),
        ]
        return interleave(SANDBOX, cases, rounds)

    def again(self, rounds: int) -> Section:
        return interleave(AGAIN, [Case("larder build", self.package), Case("docker build", self.docker)], rounds)

    def changed(self, rounds: int) -> tuple[Section, Section]:
        """Both compile the same, run the test, and run what came out. What is left of it all is measured at the end."""
        bench = self.bench
        build = bench.build(self.store, self.image)
        run = command(*bench.run(self.store, "run", "example.com/greeter"))
        docker_run = command(*bench.docker.words("run", "--rm", "--network", "none", GREETER))

        def ours() -> None:
            build()
            run()

        def theirs() -> None:
            self.docker()
            docker_run()

        cases = [
            Case("larder build, larder run", ours, other_greeting(self.hello / "src/hello.c")),
            Case(DOCKER, theirs, other_greeting(self.context / "src/hello.c")),
        ]
        before = self.kept()
        section = interleave(CHANGED, cases, rounds)
        after = self.kept()
        # The round that doesn't count was a build, too.
        builds = rounds + 1
        rows = [Row(name, [1000 * (after[name] - before[name]) / builds]) for name in after]
        notes = [f"The disk's growth over {builds} builds, divided by their number: package, its split, image, statements; layers and the build's cache. A view is a listing of a whole root, of the test's and of the image's, with no contents; it is made again where it is missing."]
        return section, Section(BYTES, "kB", rows, "larder build", notes)

    def kept(self) -> dict[str, float]:
        os.sync()
        views = used(self.store / "views")
        return {"larder build": used(self.store), "of it views": views, "docker build": used(self.bench.docker.data)}


def other_greeting(source: Path) -> Callable[[], None]:
    """Makes the program another one, each time."""
    count = 0

    def write() -> None:
        nonlocal count
        count += 1
        text = source.read_text().split("// another")[0]
        source.write_text(f"{text}// another\nconst char another[] = \"{count}\";\n")

    return write


class Watcher:
    """`larder watch`, which says each build's image in a line."""

    def __init__(self, bench: Bench, folder: Path):
        self.page = folder / "site/index.html"
        self.change = change(self.page)
        words = bench.run(bench.store, "watch", folder)
        pipe = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(words, text=True, env={**os.environ, **bench.ours.env}, **pipe)
        self.last = ""
        self.wait()

    def wait(self) -> None:
        line = self.process.stdout.readline()
        if not line or line == self.last:
            raise Failed("larder watch ended, or built the same again")
        self.last = line

    def __call__(self) -> None:
        self.change()
        self.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


def watch(bench: Bench, rounds: int) -> Section:
    """From the write to the image."""
    bench.web()
    bench.docker_web()
    folder = bench.work / "watched"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bench.recipe, folder)
    docker_change = change(bench.context / "site/index.html")

    def docker() -> None:
        docker_change()
        bench.docker.build(peers.WEB, bench.context, env=bench.theirs.env)

    watcher = Watcher(bench, folder)
    try:
        section = interleave(WATCH, [Case("larder watch", watcher), Case("docker build", docker)], rounds)
    finally:
        watcher.stop()
    section.notes.insert(0, "Docker of this age doesn't watch: its build is started at once.")
    return section
