"""Start to exit of `true`: what a container costs."""

import os
import pwd
import shutil
from pathlib import Path

import peers
from bench import Bench
from measure import Case, Section, command, interleave, say

# scripts/setup makes it.
TEST_USER = "larder-test"


def tables(bench: Bench, rounds: int) -> list[Section]:
    """The same root for all: larder's from its packages, the others' from the image that docker built of them."""
    bench.make_docker_image()
    root = bench.work / "root"
    if not root.exists():
        bench.docker.unpack(peers.WEB, root)
    return [as_root(bench, root, rounds), as_user(bench, root, rounds)]


def as_root(bench: Bench, root: Path, rounds: int) -> Section:
    bundle = bench.work / "bundle"
    peers.make_bundle(bundle, root, None)
    runc = ["runc", "--root", bench.work / "runc", "run", "--bundle", bundle, "bench"]
    docker = bench.docker.words("run", "--rm", "--network", "none", peers.WEB, "true")
    cases = [
        Case("larder run", command(*bench.run(bench.store, "run", "example.com/web", "--", "true"))),
        Case("bwrap --unshare-all", command(*peers.bwrap(root))),
        Case("runc run", command(*runc)),
        Case("docker run --rm --network none", command(*docker)),
        Case("true, without a container", command("true")),
    ]
    return interleave("Start to exit of `true` in the web image, as root", cases, rounds)


def as_user(bench: Bench, root: Path, rounds: int) -> Section:
    user = pwd.getpwnam(TEST_USER)
    home, bundle = bench.work / "user", bench.work / "bundle-user"
    if not home.exists():
        shutil.copytree(bench.recipe, home / "web")
        (home / "runc").mkdir(mode=0o700)
        for path in [home, *home.rglob("*")]:
            os.chown(path, user.pw_uid, user.pw_gid)
    peers.make_bundle(bundle, root, user)
    become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
    become += ["env", f"HOME={home}", f"XDG_RUNTIME_DIR={home}/runc"]
    say("building the web image as an ordinary user")
    command(*become, *bench.run(home / "store", "build", home / "web"))()
    cases = [
        Case("larder run", command(*become, *bench.run(home / "store", "run", "example.com/web", "--", "true"))),
        Case("bwrap --unshare-all", command(*become, *peers.bwrap(root))),
        Case("runc run, rootless", command(*become, "runc", "--root", home / "runc", "run", "--bundle", bundle, "bench")),
        Case("true, without a container", command(*become, "true")),
    ]
    table = interleave("The same as an ordinary user", cases, rounds)
    table.notes.insert(0, "Each includes `setpriv` and `env`, which make it the ordinary user's, as the last row does.")
    return table
