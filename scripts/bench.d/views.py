"""The file system of a container: made for the first time, and found again, beside what the kernel and the disk need for it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench import Bench
from measure import Failed, Row, Section, output, say
from solve import ROOTS

RECIPE = """\
[image]
name     = "example.com/many"
version  = "1"
from     = "debian.org/bookworm"
base     = "none"
packages = [{packages}]
"""
FIRST = "View of a large image, made for the first time"
LATER = "View of a large image, there already"
# Measured with the least that does it, on a machine like the one of this page: a program without checks that writes an EROFS image
# of 200 packages with 20,000 files, and mounts it; the same with /packages; a process that mounts stubs that are there.
FLOOR_IMAGE, FLOOR_PACKAGES, FLOOR_LATER = 75.0, 200.0, 2.4
ROOT_FIRST = "larder, root: composed, image, mount"
ROOT_LATER = "larder, root: find, mount, check"
USER_LATER = "larder, ordinary user: find, mount, check"
FLOOR_FIRST_NAME = "the floor: image with /packages, mount"
FLOOR_LATER_NAME = "the floor: mount of stubs, a whole process"


def tables(bench: Bench, rounds: int) -> Iterator[Section]:
    """The view of 222 packages, by root and by an ordinary user."""
    store, recipe = bench.work / "views-store", bench.work / "views-recipe"
    recipe.mkdir(exist_ok=True)
    packages = ", ".join(f'"{package}"' for package in ROOTS)
    (recipe / "larder.toml").write_text(RECIPE.format(packages=packages))
    say("  building an image of {" + " ".join(ROOTS) + "}")
    bench.build(store, recipe)()
    few = max(3, rounds // 4)
    load = os.getloadavg()[0]
    root, facts = measured(bench, [], store, "erofs", few)
    absent = {}
    try:
        user, _ = as_user(bench, store, max(2, rounds // 10))
    except Failed as failure:
        user, absent = {}, {"as an ordinary user, stubs": str(failure)}
    first = [
        Row(ROOT_FIRST, root["first"]),
        Row("larder, root: image, mount", root["made"]),
        Row(FLOOR_FIRST_NAME, [FLOOR_PACKAGES]),
        Row("the floor without /packages", [FLOOR_IMAGE]),
    ]
    later = [Row(ROOT_LATER, root["later"]), Row(FLOOR_LATER_NAME, [FLOOR_LATER])]
    if user:
        first.insert(2, Row("larder, ordinary user: composed, stubs, mount", user["first"]))
        later.insert(1, Row(USER_LATER, user["later"]))
    notes = [f"{facts['packages']:.0f} imports, {facts['paths']:.0f} paths with /packages.",
             "The floors are constants, measured before on such a machine.",
             f"Load average {load:.1f} before, {os.getloadavg()[0]:.1f} after."]
    yield Section(FIRST, "ms", first, first[0].name, notes, absent)
    yield Section(LATER, "ms", later, later[0].name, [notes[-1]], absent)


def as_user(bench: Bench, store: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The same store as that user's own."""
    own = bench.home / "views-store"
    shutil.rmtree(own, ignore_errors=True)
    output("cp", "--archive", store, own)
    output("chown", "--recursive", "--no-dereference", f"{bench.user.pw_uid}:{bench.user.pw_gid}", own)
    become = ["setpriv", f"--reuid={bench.user.pw_uid}", f"--regid={bench.user.pw_gid}", "--init-groups"]
    become += ["env", f"HOME={bench.home}", "unshare", "--user", "--map-root-user", "--mount"]
    try:
        return measured(bench, become, own, "stubs", rounds)
    finally:
        output("rm", "-rf", own)


def measured(bench: Bench, before: list[str], store: Path, way: str, rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The times of each word, and the facts."""
    say(f"  {way}: {rounds} rounds")
    views = store.parent / f"views-{way}"
    views.mkdir(exist_ok=True)
    shutil.chown(views, store.owner(), store.group())
    # Where an ordinary user can start it.
    program = bench.work / "views-program"
    shutil.copy(bench.programs / "examples/views", program)
    words = [*before, program, bench.larder, store, "example.com/many", views, way, rounds]
    times: dict[str, list[float]] = {}
    for line in output(*words).splitlines():
        word, value = line.split()
        times.setdefault(word, []).append(float(value))
    facts = {word: times.pop(word)[0] for word in ["packages", "paths"]}
    return times, facts
