"""Timing: cases that take turns, and what is said about their times."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable


# Debian's package `time`.
TIME = "/usr/bin/time"


class Failed(Exception):
    """Something can't be measured here; the text says why."""


@dataclass
class Case:
    """Something to time. `prepare` runs before each time and isn't timed. The peak is known of what has one to ask for."""

    name: str
    run: Callable[[], None]
    prepare: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)

    def peak(self) -> float | None:
        if not hasattr(self.run, "peak"):
            return None
        try:
            self.prepare()
            return self.run.peak()
        except Failed as failure:
            say(f"  no peak of {self.name}: {failure}")
            return None


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
    # What could not be measured, and why.
    absent: dict[str, str] = field(default_factory=dict)


class Program:
    """A command line to run to its end. What it prints is shown only when it fails.

    `posix_spawn` costs less, and less unevenly, than the `subprocess` module does. What the kernel then says of the child's
    memory begins with what this process has, so that peaks are asked for apart, of a small program that starts it.
    """

    def __init__(self, words: tuple[str, ...], env: dict[str, str], stdin: Path | None):
        self.words, self.env, self.stdin = words, env, stdin

    def __call__(self) -> None:
        self.spawn(self.words)

    def peak(self) -> float:
        """Runs it, and gives the most memory that it, or a process that it waited for, had, in MB."""
        with tempfile.NamedTemporaryFile() as file:
            self.spawn((TIME, "--format=%M", f"--output={file.name}", *self.words))
            return int(Path(file.name).read_text().split()[-1]) * 1024 / 1e6

    def spawn(self, words: tuple[str, ...]) -> None:
        with tempfile.TemporaryFile() as printed:
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, str(self.stdin or "/dev/null"), os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, printed.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, printed.fileno(), 2),
            ]
            try:
                child = os.posix_spawnp(words[0], words, {**os.environ, **self.env}, file_actions=actions)
            except OSError as error:
                raise Failed(f"{words[0]} can't be started: {error.strerror}") from error
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code != 0:
                printed.seek(0)
                text = printed.read().decode(errors="replace").strip()
                raise Failed(f"`{' '.join(words)}` ended with {code}: {text[-600:]}")


def command(*words: str, env: dict[str, str] | None = None, stdin: Path | None = None) -> Program:
    """A program and its arguments."""
    return Program(tuple(str(word) for word in words), env or {}, stdin)


def output(*words: str) -> str:
    """What a program prints. It must succeed."""
    done = subprocess.run([str(word) for word in words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(map(str, words))}` ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout


def put_aside(folder: Path) -> None:
    """Takes a folder out of the way and leaves its files alone. An ext4 without a journal takes no inode that was freed within the last
    minute and looks at each of them before it finds another, so what is measured next would pay for a removal: a second for ten thousand."""
    if folder.exists():
        number = sum(1 for _ in folder.parent.glob(f"{folder.name}.aside-*"))
        folder.rename(folder.parent / f"{folder.name}.aside-{number}")


def remove_aside(folder: Path) -> None:
    """Removes what was put aside."""
    for aside in folder.parent.glob(f"{folder.name}.aside-*"):
        shutil.rmtree(aside)


# The kernel takes namespaces and cgroups apart when their last process has long ended, under locks that the next container wants too.
PAUSE = 0.05


def interleave(title: str, cases: list[Case], rounds: int, unit: str = "ms", warm_up: int = 1) -> Section:
    """Times all cases in turns, A B C, B C A, …, so that what disturbs the machine disturbs each of them alike. Ratios
    are to the first case; the first `warm_up` rounds don't count. A peer that fails is left out from then on, and the
    table says why; nothing is measured where the first case fails."""
    say(f"  {title}: {rounds} rounds of {', '.join(case.name for case in cases)}")
    before = os.getloadavg()[0]
    absent: dict[str, str] = {}
    for number in range(rounds + warm_up):
        for place in range(len(cases)):
            case = cases[(number + place) % len(cases)]
            if case.name in absent:
                continue
            try:
                case.prepare()
                time.sleep(PAUSE)
                begun = time.perf_counter()
                case.run()
                taken = time.perf_counter() - begun
            except Failed as failure:
                if case is cases[0]:
                    raise
                say(f"  {case.name} is left out: {failure}")
                absent[case.name] = str(failure)
                continue
            if number >= warm_up:
                case.seconds.append(taken)
    factor = {"ms": 1000.0, "s": 1.0}[unit]
    rows = [
        Row(case.name, [factor * taken for taken in case.seconds], case.peak())
        for case in cases
        if case.name not in absent
    ]
    load = f"Load average {before:.1f} before, {os.getloadavg()[0]:.1f} after."
    return Section(title, unit, rows, against=cases[0].name, notes=[load], absent=absent)


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def say(text: str) -> None:
    """What is going on, beside the result."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
