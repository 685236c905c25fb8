"""A table as a picture: one bar a row, in SVG, for light and dark pages."""

import re
from html import escape

from measure import Row, Section, number

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 800, 330, 140, 44, 22, 8
STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 } .title { font-weight: 600; font-size: 15px }
.bar { fill: #8c959f } .ours { fill: #1a7f37 } .axis { stroke: #d0d7de } .ratio { fill: #59636e }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #3fb950 } .axis { stroke: #3d444d } .ratio { fill: #9198a1 } }"""


def name(section: Section) -> str:
    """The file of a table's picture."""
    return re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") + ".svg"


def svg(section: Section) -> str:
    """Medians, from zero, in the order of the table."""
    most = max((row.median for row in section.rows), default=0.0) or 1.0
    against = next((row for row in section.rows if row.name == section.against), None)
    height = TOP + len(section.rows) * (BAR + GAP) + GAP
    kind = "median of each" if any(len(row.values) > 1 for row in section.rows) else "each"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(section.title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="24">{escape(section.title.replace("`", ""))}, {section.unit}<title>{kind}</title></text>',
        f'<line class="axis" x1="{LEFT}" y1="{TOP - 6}" x2="{LEFT}" y2="{height - 4}"/>',
    ]
    for place, row in enumerate(section.rows):
        lines += bar(row, against, TOP + place * (BAR + GAP), (WIDTH - LEFT - RIGHT) * row.median / most)
    return "\n".join([*lines, "</svg>"]) + "\n"


def bar(row: Row, against: Row | None, top: int, length: float) -> list[str]:
    kind = "ours" if row.name.startswith("larder") else "bar"
    middle, length = top + BAR - 6, max(length, 1)
    ratio = ""
    if against and row is not against and against.median > 0:
        ratio = f'<tspan class="ratio" dx="6">{number(row.median / against.median)} ×</tspan>'
    return [
        f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(row.name)}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="3"/>',
        f'<text x="{LEFT + length + 6:.1f}" y="{middle}">{number(row.median)}{ratio}</text>',
    ]
