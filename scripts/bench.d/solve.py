"""Solving: names and versions from indexes that are there."""

import shutil
from collections.abc import Iterator

import peers
from bench import Bench
from measure import Case, Section, command, interleave, output

ROOTS = ["nginx", "python3", "postgresql", "default-jdk"]


def tables(bench: Bench, rounds: int) -> Iterator[Section]:
    """Whole processes, for a system that has nothing."""
    apt = peers.Apt(bench.work / "apt", bench.theirs.env)
    apt.update()()
    cache = bench.web() / "cache/debian"
    ours = [str(bench.solve), str(cache), "bookworm", *ROOTS]
    theirs = apt.simulate(ROOTS)

    answer = set(output(*ours).splitlines())
    lines = [line.split() for line in output(*theirs).splitlines() if line.startswith("Inst ")]
    differences = len(answer ^ {f"{name} {version.lstrip('(')}" for _, name, version, *_ in lines})
    cases = [Case("larder", command(*ours)), Case("apt-get -s install", command(*theirs))]
    few = max(3, rounds // 3)
    again = interleave("Solve {" + " ".join(ROOTS) + "}", cases, few)
    again.notes.insert(0, f"{len(answer)} packages; {differences or 'no'} differences in names and versions.")
    yield again

    def forget_indexes() -> None:
        shutil.rmtree(cache / "indexes")

    cases = [
        Case("larder, its index made from the lists", command(*ours), forget_indexes),
        Case("apt-get, its cache made from the lists", command(*theirs), apt.forget),
    ]
    yield interleave("Solve the same for the first time after new lists", cases, max(3, rounds // 10))
