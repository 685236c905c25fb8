"""One package is replaced, from the wish to the new version running."""

import json
import shutil
import signal
import socket
import subprocess

import peers
from bench import Bench
from measure import Case, Row, Section, command, interleave, output, say
from sharing import used

# In two versions in the archive: the suite's, and that of its security updates. The program needs its library's version.
UPDATED = ["libssl3", "openssl"]


def tables(bench: Bench, rounds: int) -> list[Section]:
    """Few rounds: packages are fetched, and an image is made, pushed and pulled."""
    ours, theirs = Ours(bench), Theirs(bench)
    try:
        cases = [
            Case("larder update, larder run", ours.update, ours.back),
            Case("docker build, push, pull, run", theirs.update, theirs.change),
        ]
        times = interleave("Update one library to running", cases, max(3, rounds // 10), "s", warm_up=0)
        rows = [Row("larder, fetched", [ours.fetched]), Row("docker, pushed and pulled", [theirs.pushed()])]
    finally:
        theirs.stop()
    times.notes.insert(0, f"Larder's: {' and '.join(UPDATED)}, {ours.versions}. Lists are there, and asked for news.")
    notes = ["Larder's without the suites' release files; docker's build fetched the packages besides."]
    return [times, Section("Bytes of that update", "MB", rows, "larder, fetched", notes)]


class Ours:
    """A store with the image as it was before, and a copy of it to work in."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.recipe, self.old = bench.work / "update-web", bench.work / "update-old"
        self.store = bench.work / "update-store"
        shutil.copytree(bench.recipe, self.recipe, dirs_exist_ok=True)
        file = self.recipe / "larder.toml"
        text = file.read_text()
        older = [versions(package)[1] for package in UPDATED]
        pins = ", ".join(f'"{package} ={version}"' for package, version in zip(UPDATED, older))
        file.write_text(text.replace("packages = [", f"packages = [{pins}, "))
        self.lock = self.recipe / "larder.lock"
        self.lock.unlink(missing_ok=True)
        shutil.rmtree(self.old, ignore_errors=True)
        say("building the web image with an older library")
        bench.build(self.old, self.recipe)()
        command(*bench.run(self.old, "run", "example.com/web", "--", "true"))()
        self.before = self.lock.read_text()
        file.write_text(text)
        steps = [f"{old} to {versions(package)[0]}" for package, old in zip(UPDATED, older)]
        self.versions = ", ".join(dict.fromkeys(steps))
        self.fetched = 0.0

    def back(self) -> None:
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(self.old, self.store, symlinks=True)
        self.lock.write_text(self.before)

    def update(self) -> None:
        report = json.loads(output(*self.bench.run(self.store, "update", "--json", self.recipe, *UPDATED)))
        self.fetched = report["fetched_bytes"] / 1e6
        command(*self.bench.run(self.store, "run", "example.com/web", "--", "true"))()


class Theirs:
    """A daemon that builds, a registry, and the daemon of another host that pulls."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.folder = bench.work / "update-docker"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.context = self.folder / "context"
        self.context.mkdir(parents=True)
        peers.make_context(self.context, bench.recipe, "nginx-light ca-certificates")
        self.data = self.folder / "registry"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = self.folder / "registry.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {self.data}}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}'}}\n"
        )
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.registry = subprocess.Popen(["docker-registry", "serve", str(config)], **quiet)
        self.tag = f"127.0.0.1:{self.port}/web"
        self.node = peers.Docker(self.folder)
        self.generation = 0
        bench.docker("import", str(bench.base), peers.BASE)
        self.change()
        self.update()
        self.first = used(self.data)

    def change(self) -> None:
        """The line that installs is another one, so that it is run again."""
        self.generation += 1
        file = self.context / "Dockerfile"
        lines = [line for line in file.read_text().splitlines() if not line.startswith("ENV GENERATION")]
        file.write_text("\n".join([lines[0], f"ENV GENERATION={self.generation}", *lines[1:]]) + "\n")

    def update(self) -> None:
        self.bench.docker.build(self.tag, self.context)
        self.bench.docker("push", "--quiet", self.tag)
        self.node("pull", "--quiet", self.tag)
        self.node("run", "--rm", "--network", "none", self.tag, "true")

    def pushed(self) -> float:
        """What a push added to the registry, in MB: the mean of all after the first."""
        return (used(self.data) - self.first) / (self.generation - 1)

    def stop(self) -> None:
        self.node.stop()
        self.registry.send_signal(signal.SIGTERM)
        self.registry.wait(30)


def versions(package: str) -> list[str]:
    """The versions that apt knows, newest first."""
    lines = output("apt-cache", "madison", package).splitlines()
    return list(dict.fromkeys(line.split("|")[1].strip() for line in lines))
