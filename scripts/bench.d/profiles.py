"""Where the time goes: what a step asks of the kernel, and what was running while it worked."""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import flame
import report
from bench import Bench
from measure import Failed, command, output, say

BEGIN, END = "<!-- profile: scripts/bench --profile writes what is between these lines -->", "<!-- end of profile -->"
SHOWN = 12
FREQUENCY = "2999"


@dataclass
class Step:
    """A command, how it is brought back to where it began, and how often it is sampled: short ones many times."""

    name: str
    file: str
    words: list[str]
    prepare: Callable[[], None]
    times: int


def steps(bench: Bench) -> list[Step]:
    store, recipe = bench.work / "profile", bench.work / "profile-web"
    shutil.copytree(bench.recipe, recipe, dirs_exist_ok=True)

    def empty() -> None:
        shutil.rmtree(store, ignore_errors=True)
        (recipe / "larder.lock").unlink(missing_ok=True)

    def full() -> None:
        # The first start of an image makes its view, which later ones find.
        bench.build(store, recipe)()
        command(*bench.run(store, "run", "example.com/web", "--", "true"))()

    return [
        Step("build from nothing", "cold-build", bench.run(store, "build", recipe), empty, 1),
        Step("build, nothing changed", "warm-build", bench.run(store, "build", recipe), full, 20),
        Step("start to exit of true", "start", bench.run(store, "run", "example.com/web", "--", "true"), full, 60),
        Step("fsck --deep", "fsck", bench.run(store, "fsck", "--deep"), full, 10),
    ]


def write(bench: Bench, page: Path, charts: Path) -> None:
    """Into the page, and a picture for each step. What fails is said there."""
    charts.mkdir(exist_ok=True, parents=True)
    commit = output("git", "-C", page.parent, "rev-parse", "--short", "HEAD").strip()
    lines = [f"Seen on {time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}: one run of each under `strace --follow-forks`, and samples of "
             f"the same release build by `perf` at {FREQUENCY} Hz of each processor's clock; short steps were run many times for it."]
    made = steps(bench)
    # What is fetched is in the mirror.
    made[0].prepare()
    command(*made[0].words, env=bench.ours.env)()
    for step in made:
        say(f"{step.name}: system calls")
        lines += ["", f"### Where the time goes: {step.name}", ""]
        try:
            lines.append(calls(bench, step))
        except Failed as failure:
            lines.append(f"No system calls were counted: {report.short(str(failure))}.")
        say(f"{step.name}: samples")
        try:
            picture = charts / f"flame-{step.file}.svg"
            picture.write_text(flame.svg(f"larder: {step.name}", samples(bench, step)))
            lines += ["", f"![Flame graph of {step.name}]({charts.name}/{picture.name})"]
        except Failed as failure:
            lines += ["", f"No flame graph: {report.short(str(failure))}."]
    report.replace(page, BEGIN, END, "\n".join(lines))
    say(f"wrote {page.name} and {charts.name}/flame-*.svg")


def calls(bench: Bench, step: Step) -> str:
    """How often which system call was made, by all processes of the step."""
    file = bench.work / "calls"
    step.prepare()
    command("strace", "--follow-forks", "--summary-only", "--summary-sort-by=calls", f"--output={file}", *step.words, env=bench.ours.env)()
    counts = []
    for line in file.read_text().splitlines():
        words = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", line)
        if words and words[2] != "total":
            counts.append((words[2], int(words[1])))
    if not counts:
        raise Failed(f"strace said nothing that can be read: {file.read_text()[:200]}")
    total = sum(count for _, count in counts)
    first = ", ".join(f"{name} {count:,}" for name, count in counts[:SHOWN])
    others = sum(count for _, count in counts[SHOWN:])
    return f"{total:,} system calls: {first}" + (f", {len(counts) - SHOWN} others {others:,}." if others else ".")


def samples(bench: Bench, step: Step) -> flame.Frame:
    """The stacks of the step's processes."""
    data = bench.work / "samples"
    record = ["perf", "record", "--quiet", "--event=cpu-clock", f"--freq={FREQUENCY}", "--call-graph=dwarf,16384", f"--output={data}", "--"]
    repeat = ["sh", "-c", 'times=$1; shift; while [ "$times" -gt 0 ]; do "$@" >/dev/null || exit; times=$((times - 1)); done', "sh"]
    step.prepare()
    command(*record, *repeat, str(step.times), *step.words, env=bench.ours.env)()
    script = output("perf", "script", "--no-inline", "--input", data, "--fields=comm,pid,time,ip,sym,dso", "--max-stack=64")
    root = flame.read(script, {"sh", "perf", "perf-exec"})
    data.unlink()
    if not root.samples:
        raise Failed("perf took no samples of it")
    return root
