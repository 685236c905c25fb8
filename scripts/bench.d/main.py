"""The benchmark's command line. scripts/bench starts it when the peers and the programs are there."""

import argparse
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

import report
from measure import output
from sections import TABLES, Bench

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
        for name in arguments.only or TABLES:
            before = os.getloadavg()[0]
            tables = TABLES[name](bench, arguments.rounds)
            for table in tables:
                table.notes.append(f"Load average {before:.1f} before, {os.getloadavg()[0]:.1f} after.")
            sections += tables
    finally:
        bench.stop()
        if not arguments.work:
            shutil.rmtree(work)
    print(report.text(facts, sections))
    if arguments.markdown:
        arguments.markdown.write_text(report.markdown(facts, sections))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures Larder beside docker, runc, bubblewrap and apt, as root on Debian 12."
    )
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="how often each short thing runs (30)")
    parser.add_argument("--only", action="append", choices=TABLES, help="measure this alone; may be repeated")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the result as Markdown too")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the folder, and use what is in it the next time")
    parser.add_argument("--programs", type=Path, default=REPOSITORY / "target/release", help=argparse.SUPPRESS)
    return parser.parse_args()


def machine(bench: Bench, begun: float) -> dict[str, str]:
    """When, where and with what."""
    processors = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    version = lambda package: output("dpkg-query", "-W", "-f", "${Version}", package)
    commit = output("git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD").strip()
    load = "{:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg())
    peers = ["docker.io", "containerd", "runc", "bubblewrap", "apt", "mmdebstrap"]
    return {
        "Date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(begun)),
        "Machine": f"{len(processors)} × {processors[0]}, {memory:.0f} GiB, "
        f"{output('stat', '-f', '-c', '%T', str(bench.work)).strip()}",
        "Kernel": f"{platform.release()}, {output('systemd-detect-virt', '--vm').strip() if shutil.which('systemd-detect-virt') else 'virtualisation not asked'}",
        "Load average at the start": load,
        "Larder": f"{output(str(bench.larder), '--version').split()[1]}, commit {commit}, release build",
        "Peers": ", ".join(f"{peer} {version(peer)}" for peer in peers),
    }


main()
