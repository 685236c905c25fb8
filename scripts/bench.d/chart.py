"""A table as a picture: one bar a row, in SVG, for light and dark pages."""

import re
from html import escape

from measure import Row, Section, number

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 760, 300, 90, 40, 20, 8
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600 }
.bar { fill: #8c959f } .ours { fill: #1a7f37 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #3fb950 } }"""


def name(section: Section) -> str:
    """The file of a table's picture."""
    return re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") + ".svg"


def svg(section: Section) -> str:
    """Medians, from zero, in the order of the table."""
    most = max(row.median for row in section.rows) or 1.0
    height = TOP + len(section.rows) * (BAR + GAP) + GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(section.title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="22">{escape(section.title)}, {section.unit}</text>',
    ]
    for place, row in enumerate(section.rows):
        lines += bar(row, TOP + place * (BAR + GAP), (WIDTH - LEFT - RIGHT) * row.median / most)
    return "\n".join([*lines, "</svg>"]) + "\n"


def bar(row: Row, top: int, length: float) -> list[str]:
    kind = "ours" if row.name.startswith("larder") else "bar"
    middle = top + BAR - 5
    return [
        f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(row.name)}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{max(length, 1):.1f}" height="{BAR}" rx="2"/>',
        f'<text x="{LEFT + max(length, 1) + 6:.1f}" y="{middle}">{number(row.median)}</text>',
    ]
