"""Tables for people: plain text for a terminal, Markdown for the documentation; and the numbers as they were measured."""

import json
from dataclasses import asdict
from pathlib import Path

import chart
import goals
from measure import Row, Section, number

BEGIN, END = "<!-- results: scripts/bench --page writes what is between these lines -->", "<!-- end of results -->"


class Results:
    """What a run has found until now. A table that failed is missing, and `failures` says why."""

    def __init__(self, facts: dict[str, str]):
        self.facts = facts
        self.sections: list[Section] = []
        self.failures: dict[str, str] = {}

    def write(self, file: Path) -> None:
        everything = {"facts": self.facts, "failures": self.failures, "sections": [asdict(of) for of in self.sections]}
        # Millionths of a unit are noise.
        rounded = json.loads(json.dumps(everything), parse_float=lambda text: round(float(text), 4))
        file.write_text(json.dumps(rounded, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, file: Path) -> "Results":
        everything = json.loads(file.read_text())
        results = cls(everything["facts"])
        results.failures = everything["failures"]
        for section in everything["sections"]:
            rows = [Row(**row) for row in section.pop("rows")]
            results.sections.append(Section(rows=rows, **section))
        return results


def cells(section: Section) -> list[list[str]]:
    """The heading and the rows of a table."""
    times = any(len(row.values) > 1 for row in section.rows)
    heading = ["", f"median {section.unit}", f"min {section.unit}", "n"] if times else ["", section.unit]
    against = next((row for row in section.rows if row.name == section.against), None)
    peaks = any(row.peak is not None for row in section.rows)
    table = [heading + (["ratio"] if against else []) + (["peak MB"] if peaks else [])]
    for row in section.rows:
        line = [row.name, number(row.median)]
        if times:
            line += [number(min(row.values)), str(len(row.values))]
        if against:
            line.append(ratio(row, against))
        if peaks:
            line.append("–" if row.peak is None else number(row.peak))
        table.append(line)
    for name in section.absent:
        table.append([name, *(["–"] * (len(table[0]) - 1))])
    return table


def ratio(row: Row, against: Row) -> str:
    if against.median <= 0:
        return "–"
    return "1" if row is against else f"{number(row.median / against.median)} ×"


def notes(section: Section) -> list[str]:
    """What a reader should know, and what could not be measured."""
    return [*section.notes, *(f"Not measured: {name}: {short(reason)}." for name, reason in section.absent.items())]


def short(reason: str) -> str:
    """One line, and no longer than is read."""
    line = " ".join(reason.split()).replace("|", "/").rstrip(".")
    return line if len(line) <= 300 else f"{line[:140]} … {line[-140:]}"


def text(results: Results) -> str:
    lines = [f"{name}: {value}" for name, value in results.facts.items()]
    tables = [("Goals", goals.table(results.sections), [])]
    tables += [(section.title, cells(section), notes(section)) for section in results.sections]
    for title, table, said in tables:
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        lines += ["", title]
        for line in table:
            padded = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            lines.append("  " + "  ".join(padded))
        lines += [f"  {note}" for note in said]
    lines += [f"\nNOT MEASURED: {name}: {reason}" for name, reason in results.failures.items()]
    return "\n".join(lines)


def markdown(results: Results, charts: str) -> str:
    """The goals, and the tables, each with its picture from the folder `charts`."""
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in results.facts.items())]
    lines += ["", "### Goals", "", *rows(goals.table(results.sections), "---|---|---|---:|---|")]
    lines += ["", "A goal isn't changed because it is missed: `scripts/bench.d/goals.py` has them, with the rows they are read from."]
    for name, reason in results.failures.items():
        lines += ["", f"**Not measured: {name}**: {short(reason)}."]
    for section in results.sections:
        table = cells(section)
        lines += ["", f"### {section.title}", "", *rows(table, "---|" + "---:|" * (len(table[0]) - 1))]
        lines += ["", " ".join(notes(section)), "", f"![{section.title}]({charts}/{chart.name(section)})"]
    return "\n".join(lines) + "\n"


def rows(table: list[list[str]], alignment: str) -> list[str]:
    heading, *lines = table
    return [f"| {' | '.join(heading)} |", f"|{alignment}", *(f"| {' | '.join(line)} |" for line in lines)]


def draw(results: Results, folder: Path) -> None:
    """A picture of each table."""
    folder.mkdir(exist_ok=True, parents=True)
    for section in results.sections:
        (folder / chart.name(section)).write_text(chart.svg(section))


def replace(page: Path, begin: str, end: str, part: str) -> None:
    """Puts a text between two lines of a page, which must be there once, in this order."""
    old = page.read_text()
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        raise SystemExit(f"bench: {page} must have the lines {begin!r} and {end!r}, once and in this order")
    before, rest = old.split(begin)
    page.write_text(f"{before}{begin}\n\n{part.strip()}\n\n{end}{rest.split(end)[1]}")


def page(results: Results, page: Path, charts: Path) -> None:
    """The results' part of the documentation, its pictures and its numbers. Pictures of tables that are gone go too."""
    numbers = f"Every single time and size is in [results.json]({charts.name}/results.json)."
    replace(page, BEGIN, END, f"{markdown(results, charts.name)}\n{numbers}")
    for picture in charts.glob("*.svg") if charts.exists() else []:
        if not picture.name.startswith("flame-"):
            picture.unlink()
    draw(results, charts)
    results.write(charts / "results.json")
