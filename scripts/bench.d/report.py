"""Tables for people: plain text for a terminal, Markdown for the documentation."""

import chart
from measure import Row, Section, number


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
    return table


def ratio(row: Row, against: Row) -> str:
    if against.median <= 0:
        return "–"
    return "1" if row is against else f"{number(row.median / against.median)} ×"


def text(facts: dict[str, str], sections: list[Section]) -> str:
    lines = [f"{name}: {value}" for name, value in facts.items()]
    for section in sections:
        table = cells(section)
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        lines += ["", section.title]
        for line in table:
            padded = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            lines.append("  " + "  ".join(padded))
        lines += [f"  {note}" for note in section.notes]
    return "\n".join(lines)


def markdown(facts: dict[str, str], sections: list[Section], charts: str) -> str:
    """The tables, each with its picture from the folder `charts`."""
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]
    for section in sections:
        heading, *rows = cells(section)
        lines += ["", f"### {section.title}", "", f"| {' | '.join(heading)} |"]
        lines.append("|" + "---|" + "---:|" * (len(heading) - 1))
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines += ["", " ".join(section.notes), "", f"![{section.title}]({charts}/{chart.name(section)})"]
    return "\n".join(lines) + "\n"
