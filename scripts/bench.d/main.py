"""The benchmark's command line. scripts/bench starts it when the peers and the programs are there."""

import argparse
import os
import platform
import re
import shutil
import tempfile
import time
from pathlib import Path

import build
import chart
import content
import report
import sharing
import solve
import start
import update
from bench import Bench
from measure import output

# What is measured when nothing is asked for, and what is on request: it takes as long again and gigabytes.
USUAL = {"start": start.tables, "solve": solve.tables, "build": build.tables, "sharing": sharing.tables}
TABLES = {**USUAL, "many": sharing.many, "update": update.tables, "content": content.tables}
PEERS = ["docker.io", "containerd", "runc", "bubblewrap", "apt", "mmdebstrap", "dpkg"]
PEERS += ["docker-registry", "ostree", "casync"]
REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    arguments = parse()
    work = arguments.work or Path(tempfile.mkdtemp(prefix="larder-bench-", dir="/var/tmp"))
    work = work.resolve()
    work.mkdir(exist_ok=True)
    work.chmod(0o755)
    begun = time.time()
    bench = Bench(arguments.programs.resolve(), work, REPOSITORY / "examples")
    try:
        facts = machine(bench, begun)
        sections = []
        for name in arguments.only or USUAL:
            sections += TABLES[name](bench, arguments.rounds)
    finally:
        bench.stop()
        if not arguments.work:
            shutil.rmtree(work)
    print(report.text(facts, sections))
    if arguments.markdown:
        charts = arguments.markdown.with_suffix("")
        charts.mkdir(exist_ok=True)
        for section in sections:
            (charts / chart.name(section)).write_text(chart.svg(section))
        arguments.markdown.write_text(report.markdown(facts, sections, charts.name))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures Larder beside docker, runc, bubblewrap and apt, as root on Debian 12."
    )
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="how often each short thing runs (30)")
    parser.add_argument("--only", action="append", choices=TABLES, help="measure this alone; may be repeated (`many`, `update` and `content` only so)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the result as Markdown too, with charts in a folder beside it")
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
