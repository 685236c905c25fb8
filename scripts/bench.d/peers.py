"""What Larder is compared with: a Docker daemon of our own, unpacked roots for runc and bubblewrap, and apt."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

from measure import command, output, say

BASE = "bench/base"
WEB = "bench/web"
# The one in PATH may be another version, without the daemon that belongs to it.
DOCKER = "/usr/bin/docker"


class Docker:
    """A daemon with its own data, socket and containerd, without networks: builds and runs that need one use the host's."""

    def __init__(self, work: Path):
        self.folder = work / "docker"
        self.data = self.folder / "data"
        self.socket = f"unix://{self.folder}/socket"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "daemon.json").write_text("{}")
        words = ["/usr/sbin/dockerd", "--config-file", self.folder / "daemon.json", "--data-root", self.data]
        words += ["--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid", "--host", self.socket]
        words += ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"]
        words += ["--exec-opt", "native.cgroupdriver=cgroupfs"]
        with open(self.folder / "log", "w") as log:
            self.daemon = subprocess.Popen(
                [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(300):
            if self.daemon.poll() is not None:
                raise SystemExit(f"bench: dockerd ended at once; see {self.folder}/log")
            if subprocess.run(self.words("version"), capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        self.stop()
        raise SystemExit(f"bench: dockerd doesn't answer; see {self.folder}/log")

    def words(self, *words: str) -> list[str]:
        return [DOCKER, "--host", self.socket, *words]

    def __call__(self, *words: str) -> None:
        command(*self.words(*words))()

    def build(self, tag: str, folder: Path, *options: str) -> None:
        words = self.words("build", "--network", "host", "--tag", tag, *options, folder)
        command(*words, env={"DOCKER_BUILDKIT": "1"})()

    def forget(self, *tags: str) -> None:
        """Removes images, and everything that builds have kept."""
        subprocess.run(self.words("image", "rm", "--force", *tags), capture_output=True, check=False)
        self("builder", "prune", "--all", "--force")

    def unpack(self, tag: str, folder: Path) -> None:
        """An image's files in a folder, as `docker run` would show them."""
        folder.mkdir(parents=True)
        container = output(*self.words("create", "--network", "none", tag, "true")).strip()
        archive = subprocess.Popen(self.words("export", container), stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", str(folder)], stdin=archive.stdout, check=True)
        if archive.wait() != 0:
            raise SystemExit("bench: docker export failed")
        self("rm", container)

    def stop(self) -> None:
        """Ends the daemon, which ends its containerd."""
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(30)


def apt_sources() -> list[Path]:
    """The machine's own apt sources: the archive's address is written nowhere else."""
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.list"))]
    sources += sorted(Path("/etc/apt/sources.list.d").glob("*.sources"))
    return [source for source in sources if source.is_file()]


def make_base(archive: Path) -> None:
    """Essential packages and apt: what `FROM` stands for here."""
    say("making the base with mmdebstrap")
    command("mmdebstrap", "--quiet", "--variant=apt", "bookworm", archive, *apt_sources())()


def make_context(folder: Path, files: Path, packages: str) -> None:
    """The Dockerfile that does what the recipe does, written as Docker's documentation recommends."""
    folder.mkdir(exist_ok=True)
    shutil.copytree(files / "site", folder / "site", dirs_exist_ok=True)
    shutil.copy(files / "nginx.conf", folder)
    install = f"apt-get install -y --no-install-recommends {packages}"
    tidy = "apt-get clean && rm -rf /var/lib/apt/lists/*"
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}\n"
        f"RUN apt-get update && {install} && {tidy}\n"
        "COPY nginx.conf /etc/nginx/nginx.conf\n"
        "COPY site /var/www/html\n"
    )


def make_bundle(folder: Path, root: Path, user: pwd.struct_passwd | None) -> None:
    """What `runc run` needs, from its own template. Resource limits stay as they are: raising one takes a right that
    root lacks in many a virtual machine."""
    folder.mkdir(exist_ok=True)
    file = folder / "config.json"
    file.unlink(missing_ok=True)
    command("runc", "spec", "--bundle", folder, *(["--rootless"] if user else []))()
    spec = json.loads(file.read_text())
    spec["process"].update(terminal=False, args=["true"])
    spec["process"].pop("rlimits")
    spec["root"]["path"] = str(root)
    if user:
        for kind, number in [("uidMappings", user.pw_uid), ("gidMappings", user.pw_gid)]:
            spec["linux"][kind][0]["hostID"] = number
    file.write_text(json.dumps(spec))


def bwrap(root: Path) -> list[str]:
    """Bubblewrap with namespaces of every kind."""
    return ["bwrap", "--unshare-all", "--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "true"]


class Apt:
    """apt with an empty system, its own fresh lists and its own caches."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ["lists/partial", "cache/archives/partial"]:
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        self.options = [
            *["-o", "Debug::NoLocking=1", "-o", "pkgCacheGen::ForceEssential=,", "-o", "APT::Architectures=amd64"],
            *["-o", f"Dir::State::status={folder}/status", "-o", f"Dir::State::lists={folder}/lists"],
            *["-o", f"Dir::State::extended_states={folder}/extended_states", "-o", f"Dir::Cache={folder}/cache"],
            *["-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin"],
        ]
        say("fetching apt's lists")
        os.chmod(folder, 0o755)
        command("apt-get", "update", "-q", "-o", "APT::Sandbox::User=root", *self.options)()

    def simulate(self, packages: list[str]) -> list[str]:
        """The words that say what would be installed."""
        return ["apt-get", "-s", "-y", "--no-install-recommends", *self.options, "install", *packages]

    def forget(self) -> None:
        """Its caches are made anew from the lists the next time."""
        for cache in (self.folder / "cache").glob("*.bin"):
            cache.unlink()
