"""What the project wants to reach, and how far it is. A goal isn't changed because it is missed."""

from dataclasses import dataclass

import build
import content
import memory
import own
import sharing
import start
import update
import views
from measure import Row, Section, number

SOLVE = "Solve {nginx python3 postgresql default-jdk}"
# A step grows with the size of its packages when the large one's peak is this much above the medium one's. The small one's is less than
# the window of a package's compression, so it says nothing of that.
GROWN = 1.25


@dataclass(frozen=True)
class Goal:
    """`ours` and `theirs` are rows of the table `section`. `times` is how many times as much theirs must take as ours;
    below 1 it says how many times as much ours may take: 0.5 is twice as much as theirs."""

    what: str
    beside: str
    section: str
    ours: str
    theirs: str
    times: float


GOALS = [
    Goal("start, as root", "docker run", start.ROOT, "larder run", "docker run --rm --network none", 30),
    Goal("", "runc run", start.ROOT, "larder run", "runc run", 2),
    Goal("", "bwrap", start.ROOT, "larder run", "bwrap --unshare-all", 1 / 2),
    Goal("start, as an ordinary user", "docker run", start.USER, "larder run", "docker run --rm --network none", 30),
    Goal("", "runc run", start.USER, "larder run", "runc run, rootless", 2),
    Goal("", "bwrap", start.USER, "larder run", "bwrap --unshare-all", 1 / 2),
    Goal("solve", "apt-get -s install", SOLVE, "larder", "apt-get -s install", 100),
    Goal("cold build", "docker build, its base pulled", build.COLD, "larder build", build.COLD_DOCKER, 2),
    Goal("rebuild, one page changed", "docker build", build.PAGE, "larder build", "docker build", 20),
    Goal("update of a library: time", "docker build, push, pull", update.TIME, "larder update, larder run", update.DOCKER, 20),
    Goal("update of a library: bytes", "docker build, push, pull", update.BYTES, "larder, fetched", "docker, all", 30),
    Goal("disk for ten images", "docker", sharing.TEN, "larder, all ten", "docker, all ten", 3),
    Goal("disk for each further", "docker", sharing.TEN, "larder, each further", "docker, each further", 3),
    Goal("page cache of a second image", "the first's", sharing.CACHE, "larder, second image", "larder, first image", 50),
    Goal("", "docker's second", sharing.CACHE, "larder, second image", "docker, second image", 50),
    Goal("view, first time, as root", "its floor", views.FIRST, views.ROOT_FIRST, views.FLOOR_FIRST_NAME, 1 / 1.5),
    Goal("view, later, as root", "its floor", views.LATER, views.ROOT_LATER, views.FLOOR_LATER_NAME, 1 / 1.5),
    Goal("view, later, as an ordinary user", "its floor", views.LATER, views.USER_LATER, views.FLOOR_LATER_NAME, 1 / 1.5),
    Goal("ingest of 1 GB", "dpkg-deb -x", content.INGEST, content.OURS, content.DPKG, 1),
    Goal("", "ostree commit", content.INGEST, content.OURS, content.OSTREE, 1),
    Goal("", "casync make", content.INGEST, content.OURS, content.CASYNC, 1),
    Goal("fsck --deep of 1 GB", "sha256sum", content.CHECK, "larder fsck --deep", "find -exec sha256sum", 3),
]


@dataclass(frozen=True)
class Limit:
    """A row that is to stay below a number of its table's unit, whatever others take."""

    what: str
    section: str
    row: str
    most: float
    unit: str


LIMITS = [
    Limit("an unchanged package built again", own.AGAIN, "larder build", 50, "ms"),
    Limit("a changed file under watch", own.WATCH, "larder watch", 1000, "ms"),
]


def wanted(goal: Goal) -> str:
    if goal.times == 50:
        return "under 2%"
    if goal.times == 1:
        return "faster"
    return f"{goal.times:.0f} × less" if goal.times > 1 else f"within {1 / goal.times:.2g} ×"


def table(sections: list[Section]) -> list[list[str]]:
    """The heading, and a line for each goal."""
    lines = [["what", "beside", "goal", "measured", ""]]
    what = ""
    for goal in GOALS:
        what = goal.what or what
        lines.append([what, goal.beside, wanted(goal), *verdict(goal, sections)])
    lines += [limit_line(limit, sections) for limit in LIMITS]
    return [*lines, *memory_lines(sections)]


def limit_line(limit: Limit, sections: list[Section]) -> list[str]:
    begin = [limit.what, "a number", f"under {limit.most:g} {limit.unit}"]
    section = next((section for section in sections if section.title == limit.section), None)
    row = section and next((row for row in section.rows if row.name == limit.row), None)
    if row is None:
        return [*begin, "–", "not measured: its table wasn't made"]
    met = row.median < limit.most
    result = "**met**" if met else f"missed by {number(row.median / limit.most)} ×"
    return [*begin, f"{number(row.median)} {limit.unit}", result]


def verdict(goal: Goal, sections: list[Section]) -> list[str]:
    """What was measured, and whether that is enough."""
    rows, reason = find(goal, sections)
    if reason:
        return ["–", f"not measured: {reason}"]
    ours, theirs = rows
    if ours.median <= 0:
        return ["nothing at all", "**met**"]
    reached = theirs.median / ours.median
    if goal.times == 50:
        said = f"{100 / reached:.1f}%"
    else:
        said = f"{number(reached)} × less" if reached >= 1 else f"{number(1 / reached)} × as much"
    return [said, "**met**" if reached >= goal.times else f"missed by {number(goal.times / reached)} ×"]


def find(goal: Goal, sections: list[Section]) -> tuple[list[Row], str]:
    """The two rows, or why there are none."""
    section = next((section for section in sections if section.title == goal.section), None)
    if section is None:
        return [], "its table wasn't made"
    rows = []
    for name in [goal.ours, goal.theirs]:
        row = next((row for row in section.rows if row.name == name), None)
        if row is None:
            return [], f"`{name}` didn't run" if name in section.absent else f"there is no row `{name}`"
        rows.append(row)
    return rows, ""


def memory_lines(sections: list[Section]) -> list[list[str]]:
    """No step's peak may grow with the size of a package."""
    section = next((section for section in sections if section.title == memory.GROWTH), None)
    if section is None:
        return [["peak memory", "a medium and a large package", "doesn't grow", "–", "not measured: its table wasn't made"]]
    lines = []
    peaks = {row.name: row.median for row in section.rows}
    for name, medium in peaks.items():
        step, size = name.rsplit(": ", 1)
        if size != "medium" or f"{step}: large" not in peaks:
            continue
        large = peaks[f"{step}: large"]
        said = f"{number(medium)} and {number(large)} MB"
        met = large <= GROWN * medium
        result = "**met**" if met else f"missed: {number(large / medium)} ×"
        lines.append([f"peak memory, {step.removeprefix('larder').strip(', ')}", "a medium and a large package", "doesn't grow", said, result])
    return lines
