"""What a second image adds to disk and page cache."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import peers
from bench import PACKAGES, Bench
from measure import Row, Section, command, output, say

# A small package beside those of the web image; it depends on nothing that isn't there already.
ONE_MORE = "tree"
MORE = "bench/more"
DISK = "Disk added by each of two images"
CACHE = "Page cache added by each image"
TEN = "Disk for ten images that share packages"
# Ten images with the same packages and one more each.
MANY = ["tree", "jq", "less", "file", "patch", "zip", "unzip", "bc", "psmisc", "lsof"]
# What runs in both images to see what the page cache holds then.
READER = "nginx -v && openssl version -a && perl -e 1"


def tables(bench: Bench, _rounds: int) -> Iterator[Section]:
    """Two images with the same packages, the second with one more. Measured once: there is little chance in it."""
    more = bench.work / "more"
    shutil.copytree(bench.recipe, more, dirs_exist_ok=True)
    recipe = (more / "larder.toml").read_text().replace("example.com/web", "example.com/more")
    recipe = recipe.replace('"ca-certificates"]', f'"ca-certificates", "{ONE_MORE}"]')
    (more / "larder.toml").write_text(recipe)
    context = bench.work / "more-context"
    peers.make_context(context, bench.recipe, " ".join([*PACKAGES, ONE_MORE]))
    store = bench.work / "sharing"
    shutil.rmtree(store, ignore_errors=True)
    for recipe in [bench.recipe, more]:
        (recipe / "larder.lock").unlink(missing_ok=True)
    bench.docker.forget()
    bench.docker_base()
    images = [
        Image("first", bench.recipe, "example.com/web", bench.context, peers.WEB),
        Image("second", more, "example.com/more", context, MORE),
    ]
    yield disk(bench, store, images)
    yield page_cache(bench, store, images)


def many(bench: Bench, _rounds: int) -> Iterator[Section]:
    """Ten images, each with another package more, beside the same number from one Docker base."""
    store = bench.work / "many"
    shutil.rmtree(store, ignore_errors=True)
    bench.docker.forget()
    theirs = used(bench.docker.data)
    bench.docker_base()
    ours_after, theirs_after = [], []
    for number, package in enumerate(MANY):
        say(f"  building image {number + 1} of {len(MANY)}")
        recipe, context = bench.work / f"many-{number}", bench.work / f"many-{number}-context"
        shutil.copytree(bench.recipe, recipe, dirs_exist_ok=True)
        text = (bench.recipe / "larder.toml").read_text().replace("example.com/web", f"example.com/many-{number}")
        (recipe / "larder.toml").write_text(text.replace('"ca-certificates"]', f'"ca-certificates", "{package}"]'))
        (recipe / "larder.lock").unlink(missing_ok=True)
        bench.build(store, recipe)()
        command(*bench.run(store, "run", f"example.com/many-{number}", "--", "true"))()
        ours_after.append(used(store) - used(store / "cache"))
        peers.make_context(context, bench.recipe, " ".join([*PACKAGES, package]))
        bench.docker.build(f"bench/many-{number}", context, env=bench.theirs.env)
        theirs_after.append(used(bench.docker.data) - theirs)
    further = len(MANY) - 1
    rows = [
        Row("larder, all ten", [ours_after[-1]]),
        Row("docker, all ten", [theirs_after[-1]]),
        Row("larder, each further", [(ours_after[-1] - ours_after[0]) / further]),
        Row("docker, each further", [(theirs_after[-1] - theirs_after[0]) / further]),
    ]
    notes = [f"The web image with one of {', '.join(MANY)} each. Both with the base; larder without lists, as docker's build deletes apt's."]
    shutil.rmtree(store)
    yield Section(TEN, "MB", rows, None, notes)


@dataclass
class Image:
    """One image, as larder and as docker have it."""

    place: str
    recipe: Path
    name: str
    context: Path
    tag: str


def disk(bench: Bench, store: Path, images: list[Image]) -> Section:
    """Builds the images, and starts Larder's once, which makes its view."""
    say("  building two images that share packages")
    rows = []
    for image in images:
        ours, theirs = used(store) - used(store / "cache"), used(bench.docker.data)
        bench.build(store, image.recipe)()
        command(*bench.run(store, "run", image.name, "--", "true"))()
        bench.docker.build(image.tag, image.context, env=bench.theirs.env)
        rows.append(Row(f"larder, {image.place} image", [used(store) - used(store / "cache") - ours]))
        rows.append(Row(f"docker, {image.place} image", [used(bench.docker.data) - theirs]))
    notes = [
        "Larder's first image holds the base; docker's base image was there before.",
        f"Larder keeps {used(store / 'cache'):.0f} MB of lists besides, which may be deleted; docker's build deletes apt's.",
    ]
    return Section(DISK, "MB", sorted(rows, key=by_tool), "larder, second image", notes)


def page_cache(bench: Bench, store: Path, images: list[Image]) -> Section:
    """Runs the same programs in both, and asks how much of the files that stand behind them is in memory."""
    say("  running the same programs in both images")
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    behind_ours, behind_theirs = [store / "objects", store / "views"], [bench.docker.data / "overlay2"]
    rows = []
    for image in images:
        ours, theirs = cached(behind_ours), cached(behind_theirs)
        command(*bench.run(store, "run", image.name, "--", "sh", "-c", READER))()
        bench.docker("run", "--rm", "--network", "none", image.tag, "sh", "-c", READER)
        rows.append(Row(f"larder, {image.place} image", [cached(behind_ours) - ours]))
        rows.append(Row(f"docker, {image.place} image", [cached(behind_theirs) - theirs]))
    notes = [f"After the caches were dropped, `{READER}` ran in the first image and then in the second."]
    return Section(CACHE, "MB", sorted(rows, key=by_tool), "larder, second image", notes)


def by_tool(row: Row) -> bool:
    """Larder's rows first, in their order."""
    return row.name.startswith("docker")


def used(folder: Path) -> float:
    """What a folder takes on disk, in MB."""
    if not folder.exists():
        return 0.0
    return int(output("du", "--summarize", "--one-file-system", "--block-size=1", folder).split()[0]) / 1e6


def cached(folders: list[Path]) -> float:
    """How much of the files under some folders is in the page cache, in MB."""
    words = ["find", *(str(folder) for folder in folders), "-xdev", "-type", "f", "-size", "+0", "-exec"]
    words += ["fincore", "--bytes", "--noheadings", "--output", "RES", "{}", "+"]
    return sum(int(line) for line in output(*words).split()) / 1e6
