"""What is measured, one function a table."""

import os
import pwd
import shutil
from pathlib import Path

import peers
from measure import Case, Row, Section, command, interleave, output, say, section

TEST_USER = "larder-test"
SOLVED = ["nginx", "python3", "postgresql", "default-jdk"]
# A small package beside those of the web image, which depends on nothing that isn't there already.
ONE_MORE = "tree"
PACKAGES = ["nginx-light", "ca-certificates"]
MORE = "bench/more"
# What runs in both images to see what the page cache holds then.
READER = "nginx -v && openssl version -a && perl -e 1"


class Bench:
    """The programs, the folder and the peers that all tables share; made once, before the first is measured."""

    def __init__(self, programs: Path, work: Path, examples: Path):
        self.work = work
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


def start(bench: Bench, rounds: int) -> list[Section]:
    """Start to exit of `true`, as root and as an ordinary user."""
    docker, work = bench.docker, bench.work
    bench.make_docker_image()
    root = work / "root"
    if not root.exists():
        docker.unpack(peers.WEB, root)
    peers.make_bundle(work / "bundle", root, None)
    run = [Case("larder run", command(*bench.run(bench.store, "run", "example.com/web", "--", "true")))]
    run.append(Case("bwrap --unshare-all", command(*peers.bwrap(root))))
    run.append(Case("runc run", command("runc", "--root", work / "runc", "run", "--bundle", work / "bundle", "bench")))
    words = docker.words("run", "--rm", "--network", "none", peers.WEB, "true")
    run.append(Case("docker run --rm --network none", command(*words)))
    run.append(Case("true, without a container", command("true")))
    say(f"starting containers as root, {rounds} rounds")
    interleave(run, rounds)
    sections = [section("Start to exit of `true` in the web image, as root", run)]

    user = pwd.getpwnam(TEST_USER)
    home = work / "user"
    if not home.exists():
        shutil.copytree(bench.recipe, home / "web")
        (home / "runc").mkdir(mode=0o700)
        for path in [home, *home.rglob("*")]:
            os.chown(path, user.pw_uid, user.pw_gid)
    peers.make_bundle(work / "bundle-user", root, user)
    as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "env", f"HOME={home}"]
    as_user.append(f"XDG_RUNTIME_DIR={home}/runc")
    say("building the web image as an ordinary user")
    command(*as_user, *bench.run(home / "store", "build", home / "web"))()
    words = bench.run(home / "store", "run", "example.com/web", "--", "true")
    run = [Case("larder run", command(*as_user, *words))]
    run.append(Case("bwrap --unshare-all", command(*as_user, *peers.bwrap(root))))
    words = ["runc", "--root", f"{home}/runc", "run", "--bundle", str(work / "bundle-user"), "bench"]
    run.append(Case("runc run, rootless", command(*as_user, *words)))
    run.append(Case("true, without a container", command(*as_user, "true")))
    say(f"starting containers as {TEST_USER}, {rounds} rounds")
    interleave(run, rounds)
    notes = ["Each includes about 1 ms for `setpriv`, which makes it the ordinary user's."]
    return [*sections, section("The same as an ordinary user", run, notes=notes)]


def solve(bench: Bench, rounds: int) -> list[Section]:
    """Which packages and versions, from indexes that are there."""
    apt = peers.Apt(bench.work / "apt")
    cache = bench.store / "cache/debian"
    ours = [str(bench.solve), str(cache), "bookworm", *SOLVED]
    theirs = apt.simulate(SOLVED)

    def forget_indexes() -> None:
        shutil.rmtree(cache / "indexes", ignore_errors=True)

    answer = set(output(*ours).splitlines())
    lines = [line.split() for line in output(*theirs).splitlines() if line.startswith("Inst ")]
    expected = {f"{name} {version.lstrip('(')}" for _, name, version, *_ in lines}
    differences = len(answer ^ expected)
    note = f"{len(answer)} packages; {differences or 'no'} differences between the two answers, versions included."
    cases = [Case("larder", command(*ours)), Case("apt-get -s install", command(*theirs))]
    say(f"solving, {rounds} rounds")
    interleave(cases, rounds)
    title = "Solve {" + " ".join(SOLVED) + "} for an empty system, whole processes"
    first = [
        Case("larder, its index made from the lists", command(*ours), forget_indexes),
        Case("apt-get, its cache made from the lists", command(*theirs), apt.forget),
    ]
    interleave(first, max(3, rounds // 5))
    return [section(title, cases, notes=[note]), section("The same for the first time after a new list", first)]


def build(bench: Bench, rounds: int) -> list[Section]:
    """The web image from nothing, from its base, and again."""
    docker, work = bench.docker, bench.work
    cold = work / "cold"
    with_base = work / "with-base"
    base_recipe = work / "base-recipe"
    base_recipe.mkdir(exist_ok=True)
    (base_recipe / "larder.toml").write_text(
        '[image]\nname = "example.com/base"\nversion = "1"\nfrom = "debian.org/bookworm"\npackages = ["apt"]\n'
    )
    if not with_base.exists():
        say("making a store that has the base")
        bench.build(with_base, base_recipe)()
        shutil.rmtree(with_base / "cache")
    recipe = work / "cold-web"
    shutil.copytree(bench.recipe, recipe, dirs_exist_ok=True)
    lock = recipe / "larder.lock"

    def empty() -> None:
        shutil.rmtree(cold, ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.sync()

    def only_base() -> None:
        empty()
        shutil.copytree(with_base, cold, symlinks=True)
        os.sync()

    def nothing() -> None:
        docker.forget(peers.WEB, peers.BASE)
        os.sync()

    def imported() -> None:
        nothing()
        docker("import", str(bench.base), peers.BASE)
        os.sync()

    def from_nothing() -> None:
        archive = work / "cold-base.tar"
        peers.make_base(archive)
        docker("import", str(archive), peers.BASE)
        docker.build(peers.WEB, bench.context, "--no-cache")
        archive.unlink()

    def from_base() -> None:
        docker.build(peers.WEB, bench.context, "--no-cache")

    few = max(3, rounds // 10)
    say(f"building from nothing, {few} rounds")
    first = [
        Case("larder build", bench.build(cold, recipe), empty),
        Case("mmdebstrap, docker import, docker build", from_nothing, nothing),
    ]
    interleave(first, few, warm_up=False)
    say(f"building from the base, {few} rounds")
    second = [
        Case("larder build", bench.build(cold, recipe), only_base),
        Case("docker build --no-cache", from_base, imported),
    ]
    interleave(second, few, warm_up=False)

    bench.build(cold, recipe)()
    bench.make_docker_image()
    page = recipe / "site/index.html"
    docker_page = bench.context / "site/index.html"

    def change(path: Path):
        def append() -> None:
            with open(path, "a") as file:
                file.write("<!-- changed -->\n")

        return append

    again = lambda: docker.build(peers.WEB, bench.context)
    say(f"building again, {rounds} rounds")
    third = [
        Case("larder build", bench.build(cold, recipe)),
        Case("larder build, its lock deleted", bench.build(cold, recipe), lambda: lock.unlink()),
        Case("docker build, all of it cached", again),
    ]
    interleave(third, rounds)
    say(f"building after a change, {rounds} rounds")
    fourth = [
        Case("larder build", bench.build(cold, recipe), change(page)),
        Case("docker build", again, change(docker_page)),
    ]
    interleave(fourth, rounds)
    base_note = "Larder's store has the base's packages and apt, Docker's daemon the base image; lists and the rest are fetched."
    return [
        section("Build the web image from nothing, the mirror's files fetched", first, "s"),
        section("Build it where the base is there", second, "s", [base_note]),
        section("Build it again, nothing changed", third),
        section("Build it again, one page changed", fourth),
    ]


def sharing(bench: Bench, _rounds: int) -> list[Section]:
    """What a second image adds that has the same packages and one more."""
    docker, work = bench.docker, bench.work
    more = work / "more"
    shutil.copytree(bench.recipe, more, dirs_exist_ok=True)
    (more / "larder.lock").unlink(missing_ok=True)
    text = (bench.recipe / "larder.toml").read_text()
    text = text.replace("example.com/web", "example.com/more").replace('"ca-certificates"]', f'"ca-certificates", "{ONE_MORE}"]')
    (more / "larder.toml").write_text(text)
    context = work / "more-context"
    peers.make_context(context, bench.recipe, " ".join([*PACKAGES, ONE_MORE]))

    store = work / "sharing"
    shutil.rmtree(store, ignore_errors=True)
    for recipe in [bench.recipe, more]:
        (recipe / "larder.lock").unlink(missing_ok=True)
    docker.forget(peers.WEB, MORE)
    docker("import", str(bench.base), peers.BASE)

    say("building two images that share packages")
    ours, cache, theirs = [used(store)], [0.0], [used(docker.data)]
    for recipe, name, folder, tag in [
        (bench.recipe, "example.com/web", bench.context, peers.WEB),
        (more, "example.com/more", context, MORE),
    ]:
        bench.build(store, recipe)()
        command(*bench.run(store, "run", name, "--", "true"))()
        docker.build(tag, folder)
        cache.append(used(store / "cache"))
        ours.append(used(store) - cache[-1])
        theirs.append(used(docker.data))
    disk = [
        Row("larder, first image with its base", [ours[1] - ours[0]]),
        Row("larder, second image", [ours[2] - ours[1]]),
        Row("docker, first image beside its base", [theirs[1] - theirs[0]]),
        Row("docker, second image", [theirs[2] - theirs[1]]),
    ]
    disk_note = (
        f"Beside it Larder keeps {cache[1]:.0f} MB of lists and their index, {cache[2]:.0f} MB after the second image, "
        "which may be deleted; Docker's build deletes apt's lists."
    )

    def larder_read(name: str) -> None:
        command(*bench.run(store, "run", name, "--", "sh", "-c", READER))()

    def docker_read(tag: str) -> None:
        docker("run", "--rm", "--network", "none", tag, "sh", "-c", READER)

    say("reading the same programs in both images")
    ours = [store / "objects", store / "views"]
    theirs = [docker.data / "overlay2"]
    rows = []
    cases = [
        ("larder", ours, larder_read, ["example.com/web", "example.com/more"]),
        ("docker", theirs, docker_read, [peers.WEB, MORE]),
    ]
    for tool, folders, read, (one, two) in cases:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
        before = cached(folders)
        read(one)
        between = cached(folders)
        read(two)
        after = cached(folders)
        rows.append(Row(f"{tool}, first image", [between - before]))
        rows.append(Row(f"{tool}, second image", [after - between]))
    cache_note = f"After the caches were dropped, `{READER}` ran in the first image and then in the second."
    return [
        Section("Disk added by each image", "MB", disk, "larder, second image", [disk_note]),
        Section("Page cache added by each image", "MB", rows, "larder, second image", [cache_note]),
    ]


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


TABLES = {"start": start, "solve": solve, "build": build, "sharing": sharing}
