"""The benchmark's command line. scripts/bench starts it when the peers and the programs are there."""

import argparse
import os
import platform
import re
import shutil
import signal
import tempfile
import time
import traceback
from pathlib import Path

import build
import content
import memory
import own
import profiles
import report
import sharing
import solve
import start
import update
import views
from bench import Bench
from measure import Failed, output, say


class Table:
    """Some tables that are measured together, and about how many minutes that takes on two idle cores."""

    def __init__(self, minutes: float, make):
        self.minutes, self.make = minutes, make


TABLES = {
    "start": Table(1.5, start.tables),
    "solve": Table(1, solve.tables),
    "build": Table(3.5, build.tables),
    "own": Table(1.5, own.tables),
    "sharing": Table(1, sharing.tables),
    "many": Table(1.5, sharing.many),
    "update": Table(2, update.tables),
    "views": Table(2, views.tables),
    "content": Table(7, content.tables),
    "memory": Table(1.5, memory.tables),
}
PEERS = ["docker.io", "containerd", "runc", "bubblewrap", "podman", "apt", "mmdebstrap", "dpkg"]
PEERS += ["docker-registry", "ostree", "casync"]
REPOSITORY = Path(__file__).resolve().parents[2]
PAGE, CHARTS = REPOSITORY / "docs/benchmarks.md", REPOSITORY / "docs/benchmarks"


def main() -> None:
    for kind in [signal.SIGINT, signal.SIGTERM]:
        signal.signal(kind, signal.default_int_handler)
    arguments = parse()
    if arguments.render:
        results = report.Results.read(CHARTS / "results.json")
    else:
        results = measured(arguments)
    if not arguments.profile:
        write(arguments, results)
    if results.failures:
        raise SystemExit(f"bench: {len(results.failures)} of the tables could not be made; the reasons are above")


def measured(arguments: argparse.Namespace) -> report.Results:
    """Everything that was asked for. What fails loses nothing of the rest, and an interrupt ends only the measuring."""
    work = arguments.work or Path(tempfile.mkdtemp(prefix="larder-bench-", dir="/var/tmp"))
    work = work.resolve()
    work.mkdir(exist_ok=True)
    work.chmod(0o755)
    bench = Bench(arguments.programs.resolve(), work, REPOSITORY / "examples")
    results = report.Results(machine(bench, time.time()))
    try:
        if arguments.profile:
            profiles.write(bench, PAGE, CHARTS)
        else:
            each(bench, arguments, results)
    except KeyboardInterrupt:
        say("interrupted: what was measured until now is what there is")
    finally:
        bench.stop()
        if not arguments.work:
            shutil.rmtree(work, ignore_errors=True)
    return results


def each(bench: Bench, arguments: argparse.Namespace, results: report.Results) -> None:
    names = list(dict.fromkeys(arguments.only or TABLES))
    total = sum(TABLES[name].minutes for name in names)
    say(f"{len(names)} groups of tables, about {total:.0f} minutes on two idle cores")
    begun = time.time()
    for place, name in enumerate(names):
        say(f"{name} ({place + 1} of {len(names)}), about {TABLES[name].minutes:g} minutes")
        own = time.time()
        try:
            for section in TABLES[name].make(bench, arguments.rounds):
                results.sections.append(section)
        except Exception as error:  # noqa: BLE001 # whatever it is, the other tables are worth having
            say(f"{name} FAILED: {error}")
            if not isinstance(error, Failed):
                traceback.print_exc()
            results.failures[name] = str(error) or type(error).__name__
        say(f"{name} took {(time.time() - own) / 60:.1f} minutes, {(time.time() - begun) / 60:.1f} in all")
    results.facts["Duration"] = f"{(time.time() - begun) / 60:.0f} minutes"


def write(arguments: argparse.Namespace, results: report.Results) -> None:
    print(report.text(results))
    if arguments.markdown:
        charts = arguments.markdown.with_suffix("")
        report.draw(results, charts)
        arguments.markdown.write_text(report.markdown(results, charts.name))
    if arguments.page:
        report.page(results, PAGE, CHARTS)
        say(f"wrote {PAGE.relative_to(REPOSITORY)} and {CHARTS.relative_to(REPOSITORY)}/")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures Larder beside docker, runc, bubblewrap, podman, apt, ostree and casync, as root on Debian 12, "
        "and says of each goal whether it is met. About 20 minutes.",
    )
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="how often each short thing runs (30); long ones run less often")
    parser.add_argument("--only", action="append", choices=TABLES, help="measure these tables alone; may be repeated")
    parser.add_argument("--page", action="store_true", help="write the results into docs/benchmarks.md, with charts and numbers in docs/benchmarks/")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the results as Markdown, with charts in a folder beside it")
    parser.add_argument("--render", action="store_true", help="measure nothing: write the numbers of docs/benchmarks/results.json anew")
    parser.add_argument("--profile", action="store_true", help="instead, count system calls and draw flame graphs, into docs/benchmarks.md and docs/benchmarks/")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the folder, and use what is in it the next time")
    parser.add_argument("--programs", type=Path, default=REPOSITORY / "target/release", help=argparse.SUPPRESS)
    return parser.parse_args()


def machine(bench: Bench, begun: float) -> dict[str, str]:
    """When, where and with what."""
    processor = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)", processor, re.MULTILINE)
    kind = "virtual machine" if "hypervisor" in processor else "no virtual machine"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    files = output("stat", "-f", "-c", "%T", bench.work).strip()
    commit = output("git", "-C", REPOSITORY, "rev-parse", "--short", "HEAD").strip()
    versions = [f"{peer} {output('dpkg-query', '-W', '-f', '${Version}', peer)}" for peer in PEERS]
    return {
        "Date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(begun)),
        "Machine": f"{os.cpu_count()} × {model[1] if model else platform.machine()}, {memory:.0f} GiB, {kind}, {files}",
        "Kernel": platform.release(),
        "Load average at the start": "{:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg()),
        "Larder": f"{output(bench.larder, '--version').split()[1]}, commit {commit}, release build",
        "Peers": ", ".join(versions),
    }


main()
