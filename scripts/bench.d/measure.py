"""Timing: cases that take turns, and what is said about their times."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Case:
    """Something to time. `prepare` runs before each time and isn't timed."""

    name: str
    run: Callable[[], None]
    prepare: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)


@dataclass
class Row:
    """One line of a table: a thing, and how much of the section's unit it took."""

    name: str
    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass
class Section:
    """A table. Ratios are to the row named `against`, where there is one."""

    title: str
    unit: str
    rows: list[Row]
    against: str | None = None
    notes: list[str] = field(default_factory=list)


def command(*words: str, env: dict[str, str] | None = None) -> Callable[[], None]:
    """Runs a program to its end. What it prints is shown only when it fails.

    `posix_spawn` costs less, and less unevenly, than the `subprocess` module does.
    """
    words = tuple(str(word) for word in words)

    def run() -> None:
        with tempfile.TemporaryFile() as output:
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
            ]
            child = os.posix_spawnp(words[0], words, {**os.environ, **(env or {})}, file_actions=actions)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code != 0:
                output.seek(0)
                text = output.read().decode(errors="replace")
                raise SystemExit(f"bench: {' '.join(words)} ended with {code}:\n{text}")

    return run


def output(*words: str) -> str:
    """What a program prints. It must succeed."""
    return subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, text=True).stdout


def interleave(title: str, cases: list[Case], rounds: int, unit: str = "ms", warm_up: int = 1) -> Section:
    """Times all cases in turns, A B C, B C A, …, so that what disturbs the machine disturbs each of them alike. Ratios
    are to the first case; the first `warm_up` rounds don't count."""
    say(f"{title}: {rounds} rounds")
    before = os.getloadavg()[0]
    for number in range(rounds + warm_up):
        for place in range(len(cases)):
            case = cases[(number + place) % len(cases)]
            case.prepare()
            begun = time.perf_counter()
            case.run()
            taken = time.perf_counter() - begun
            if number >= warm_up:
                case.seconds.append(taken)
    factor = {"ms": 1000.0, "s": 1.0}[unit]
    rows = [Row(case.name, [factor * taken for taken in case.seconds]) for case in cases]
    load = f"Load average {before:.1f} before, {os.getloadavg()[0]:.1f} after."
    return Section(title, unit, rows, against=cases[0].name, notes=[load])


def say(text: str) -> None:
    """What is going on, beside the result."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
