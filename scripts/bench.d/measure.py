"""Timing: cases that take turns, and what is said about their times."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable


@dataclass
class Case:
    """Something to time. `prepare` runs before each time and isn't timed."""

    name: str
    run: Callable[[], float | None]
    prepare: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)


@dataclass
class Row:
    """One line of a table: a thing, and how much of the section's unit it took."""

    name: str
    values: list[float]
    # The most memory that one process of it had, in MB, where that is known.
    peak: float | None = None

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


def command(*words: str, env: dict[str, str] | None = None, stdin: Path | None = None) -> Callable[[], float]:
    """Runs a program to its end, and gives the most memory that it, or a process that it waited for, had, in MB. What it
    prints is shown only when it fails.

    `posix_spawn` costs less, and less unevenly, than the `subprocess` module does.
    """
    words = tuple(str(word) for word in words)

    def run() -> float:
        with tempfile.TemporaryFile() as output:
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, str(stdin or "/dev/null"), os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
            ]
            child = os.posix_spawnp(words[0], words, {**os.environ, **(env or {})}, file_actions=actions)
            _, status, used = os.wait4(child, 0)
            code = os.waitstatus_to_exitcode(status)
            if code != 0:
                output.seek(0)
                text = output.read().decode(errors="replace")
                raise SystemExit(f"bench: {' '.join(words)} ended with {code}:\n{text}")
            return used.ru_maxrss / 1000

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
            peak = case.run()
            taken = time.perf_counter() - begun
            if number >= warm_up:
                case.seconds.append(taken)
                case.megabytes += [] if peak is None else [peak]
    factor = {"ms": 1000.0, "s": 1.0}[unit]
    rows = [
        Row(case.name, [factor * taken for taken in case.seconds], max(case.megabytes, default=None)) for case in cases
    ]
    load = f"Load average {before:.1f} before, {os.getloadavg()[0]:.1f} after."
    return Section(title, unit, rows, against=cases[0].name, notes=[load])


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def say(text: str) -> None:
    """What is going on, beside the result."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
