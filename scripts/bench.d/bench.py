"""What all tables share: the programs, a folder to work in, the web image, and the peers. Each is made when it is first asked for."""

import pwd
import shutil
from functools import cached_property
from pathlib import Path

import peers
from measure import Failed, command, say
from mirror import Mirror
from somebody import Somebody

PACKAGES = ["nginx-light", "ca-certificates"]
# scripts/setup makes it.
TEST_USER = "larder-test"


class Bench:
    """The programs, the folder and the peers that all tables share."""

    def __init__(self, programs: Path, work: Path, examples: Path):
        self.work = work
        self.examples = examples
        self.programs = programs
        self.larder = work / "larder"
        self.solve = programs / "examples/solve"
        shutil.copy(programs / "larder", self.larder)
        self.store = work / "store"
        self.recipe = work / "web"
        shutil.rmtree(self.recipe, ignore_errors=True)
        shutil.copytree(examples / "web", self.recipe)
        (self.recipe / "larder.lock").unlink(missing_ok=True)
        self.context = work / "context"
        peers.make_context(self.context, self.recipe, " ".join(PACKAGES))
        # One for each side, over the same files.
        self.ours, self.theirs = Mirror(work / "mirror"), Mirror(work / "mirror")
        self.stops = [self.ours.stop, self.theirs.stop]
        self.no_docker: Failed | None = None
        self.composed = False

    def run(self, store: Path, *words: str) -> list[str]:
        return [str(self.larder), "--root", str(store), "--quiet", *(str(word) for word in words)]

    def build(self, store: Path, recipe: Path):
        return command(*self.run(store, "build", recipe), env=self.ours.env)

    def web(self) -> Path:
        """The store with the web image."""
        if not self.composed:
            say("  building the web image with larder")
            self.build(self.store, self.recipe)()
            self.composed = True
        return self.store

    @cached_property
    def base(self) -> Path:
        """Docker's base image, as an archive."""
        archive = self.work / "base.tar"
        if not archive.exists():
            peers.make_base(archive, self.theirs.env)
        return archive

    @cached_property
    def user(self) -> pwd.struct_passwd:
        try:
            return pwd.getpwnam(TEST_USER)
        except KeyError as error:
            raise Failed(f"there is no user {TEST_USER}") from error

    @cached_property
    def home(self) -> Path:
        """A folder that is that user's own."""
        home = self.work / "user"
        (home / "run").mkdir(parents=True, exist_ok=True)
        (home / "run").chmod(0o700)
        for path in [home, home / "run"]:
            shutil.chown(path, self.user.pw_uid, self.user.pw_gid)
        return home

    @cached_property
    def somebody(self) -> Somebody:
        """That user, at home there."""
        home = self.home
        somebody = Somebody(self.user, {"HOME": str(home), "XDG_RUNTIME_DIR": f"{home}/run", **self.ours.env})
        self.stops.append(somebody.end)
        return somebody

    @property
    def docker(self) -> peers.Docker:
        """A daemon that failed once isn't waited for again."""
        if self.no_docker:
            raise self.no_docker
        try:
            return self.started_docker
        except Failed as failure:
            self.no_docker = failure
            raise

    @cached_property
    def started_docker(self) -> peers.Docker:
        say("  starting dockerd")
        docker = peers.Docker(self.work)
        self.stops.append(docker.stop)
        return docker

    @cached_property
    def registry(self) -> peers.Registry:
        """With docker's base image in it."""
        registry = peers.Registry(self.work / "registry")
        self.stops.append(registry.stop)
        return registry

    def docker_base(self) -> None:
        self.docker("import", self.base, peers.BASE)

    def docker_web(self) -> None:
        say("  building the web image with docker")
        self.docker_base()
        self.docker.build(peers.WEB, self.context, env=self.theirs.env)

    def stop(self) -> None:
        for stop in reversed(self.stops):
            try:
                stop()
            except Exception as error:  # noqa: BLE001 # the others are to be stopped all the same
                say(f"  what was started doesn't end: {error}")
