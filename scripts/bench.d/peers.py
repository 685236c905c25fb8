"""What Larder is compared with: a Docker daemon and a registry of our own, unpacked roots for runc and bubblewrap, podman, apt."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from measure import Failed, Program, command, output, say

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
                raise Failed(f"dockerd ended at once: {self.last_words()}")
            if subprocess.run(self.words("version"), capture_output=True, check=False).returncode == 0:
                # For an ordinary user too, as a member of the group `docker` has it.
                (self.folder / "socket").chmod(0o666)
                return
            time.sleep(0.1)
        self.stop()
        raise Failed(f"dockerd doesn't answer: {self.last_words()}")

    def last_words(self) -> str:
        return (self.folder / "log").read_text(errors="replace").strip()[-400:]

    def words(self, *words: str) -> list[str]:
        return [DOCKER, "--host", self.socket, *words]

    def __call__(self, *words: str) -> None:
        command(*self.words(*words))()

    def build(self, tag: str, folder: Path, *options: str, env: dict[str, str] | None = None) -> None:
        """`env` is for what its `RUN` lines start; BuildKit's cache doesn't depend on proxies."""
        proxies = [word for name, value in (env or {}).items() for word in ("--build-arg", f"{name}={value}")]
        words = self.words("build", "--network", "host", "--tag", tag, *proxies, *options, folder)
        command(*words, env={"DOCKER_BUILDKIT": "1"})()

    def forget(self) -> None:
        """Removes all images, and everything that builds have kept."""
        self("image", "prune", "--all", "--force")
        self("builder", "prune", "--all", "--force")

    def unpack(self, tag: str, folder: Path) -> None:
        """An image's files in a folder, as `docker run` would show them."""
        folder.mkdir(parents=True)
        container = output(*self.words("create", "--network", "none", tag, "true")).strip()
        archive = subprocess.Popen(self.words("export", container), stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", str(folder)], stdin=archive.stdout, check=True)
        if archive.wait() != 0:
            raise Failed("docker export failed")
        self("rm", container)

    def stop(self) -> None:
        """Ends the daemon, which ends its containerd."""
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(30)


class Registry:
    """A registry on the loopback interface."""

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.data = folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        config = folder / "registry.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {self.data}}}}}\n"
            f"http: {{addr: '{self.address}'}}\n"
        )
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(["docker-registry", "serve", str(config)], **quiet)
        host, port = self.address.split(":")
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.1)
        self.stop()
        raise Failed("docker-registry doesn't answer")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


def podman(folder: Path, *words: str) -> list[str]:
    """Podman with its own storage, and with runc: crun refuses hosts that have cgroups of both versions."""
    storage = ["--root", folder / "storage", "--runroot", folder / "run", "--cgroup-manager", "cgroupfs"]
    storage += ["--storage-driver", "overlay", "--runtime", "runc"]
    return ["podman", *map(str, storage), *words]


def apt_sources() -> list[Path]:
    """The machine's own apt sources: the archive's address is written nowhere else."""
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.list"))]
    sources += sorted(Path("/etc/apt/sources.list.d").glob("*.sources"))
    return [source for source in sources if source.is_file()]


def make_base(archive: Path, env: dict[str, str]) -> None:
    """Essential packages and apt: what `FROM` stands for here."""
    say("  making the base with mmdebstrap")
    command("mmdebstrap", "--quiet", "--variant=apt", "bookworm", archive, *apt_sources(), env=env)()


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

    def __init__(self, folder: Path, env: dict[str, str]):
        self.folder, self.env = folder, env
        for name in ["lists/partial", "cache/archives/partial"]:
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        self.options = [
            *["-o", "Debug::NoLocking=1", "-o", "pkgCacheGen::ForceEssential=,", "-o", "APT::Architectures=amd64"],
            *["-o", f"Dir::State::status={folder}/status", "-o", f"Dir::State::lists={folder}/lists"],
            *["-o", f"Dir::State::extended_states={folder}/extended_states", "-o", f"Dir::Cache={folder}/cache"],
            *["-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin"],
        ]
        os.chmod(folder, 0o755)

    def update(self) -> Program:
        """Fetches the lists."""
        return command("apt-get", "update", "-q", "-o", "APT::Sandbox::User=root", *self.options, env=self.env)

    def simulate(self, packages: list[str]) -> list[str]:
        """The words that say what would be installed."""
        return ["apt-get", "-s", "-y", "--no-install-recommends", *self.options, "install", *packages]

    def download(self, packages: list[str]) -> Program:
        """Fetches what would be installed."""
        words = ["apt-get", "-y", "-q", "--download-only", "--no-install-recommends", "-o", "APT::Sandbox::User=root"]
        return command(*words, *self.options, "install", *packages, env=self.env)

    def forget(self) -> None:
        """Its caches are made anew from the lists the next time."""
        for cache in (self.folder / "cache").glob("*.bin"):
            cache.unlink()
