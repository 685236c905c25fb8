"""What all tables share: the programs, a folder to work in, the web image, and the peers."""

import shutil
from pathlib import Path

import peers
from measure import command, say

PACKAGES = ["nginx-light", "ca-certificates"]


class Bench:
    """The programs, the folder and the peers that all tables share; made once, before the first is measured."""

    def __init__(self, programs: Path, work: Path, examples: Path):
        self.work = work
        self.programs = programs
        self.larder = work / "larder"
        self.solve = programs / "examples/solve"
        shutil.copy(programs / "larder", self.larder)
        self.store = work / "store"
        self.recipe = work / "web"
        shutil.rmtree(self.recipe, ignore_errors=True)
        shutil.copytree(examples / "web", self.recipe)
        (self.recipe / "larder.lock").unlink(missing_ok=True)
        say("building the web image with larder")
        self.build(self.store, self.recipe)()
        self.base = work / "base.tar"
        if not self.base.exists():
            peers.make_base(self.base)
        self.context = work / "context"
        peers.make_context(self.context, self.recipe, " ".join(PACKAGES))
        self.docker = peers.Docker(work)

    def run(self, store: Path, *words: str) -> list[str]:
        return [str(self.larder), "--root", str(store), "--quiet", *(str(word) for word in words)]

    def build(self, store: Path, recipe: Path):
        return command(*self.run(store, "build", recipe))

    def make_docker_image(self) -> None:
        say("building the web image with docker")
        self.docker("import", str(self.base), peers.BASE)
        self.docker.build(peers.WEB, self.context)

    def stop(self) -> None:
        self.docker.stop()
