"""A flame graph: stacks as a picture, the outermost frames at the bottom, each as wide as its share of the samples."""

import re
from dataclasses import dataclass, field
from html import escape

WIDTH, FRAME, TOP, MARGIN, LETTER = 1200, 17, 44, 10, 6.6
# Narrower than a pixel isn't drawn.
LEAST = 1.0
STYLE = """\
text { font: 11px ui-monospace, monospace; fill: #1f2328 } .title { font: 600 14px system-ui, sans-serif }
rect { stroke: #ffffff; stroke-width: .5 } .own { fill: #7ee2a0 } .library { fill: #f0c674 } .kernel { fill: #f4a28c } .process { fill: #c9d1d9 }
.frame text { fill: #1f2328 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } rect { stroke: #0d1117 } }"""


@dataclass
class Frame:
    """One function, reached in one way. `kind` is where it lives."""

    name: str
    kind: str
    samples: int = 0
    below: dict[str, "Frame"] = field(default_factory=dict)

    def depth(self) -> int:
        return 1 + max((frame.depth() for frame in self.below.values()), default=0)


def read(script: str, ignored: set[str]) -> Frame:
    """From what `perf script` prints. Programs in `ignored` don't count."""
    root = Frame("all", "process")
    for sample in script.split("\n\n"):
        head, *lines = sample.strip("\n").split("\n")
        words = re.match(r"\s*(.+?)\s+\d+\s+[\d.]+:", head)
        if not words or words[1] in ignored:
            continue
        frames = [frame for line in reversed(lines) if (frame := parse(line))]
        place = root
        place.samples += 1
        for name, kind in [(words[1], "process"), *frames]:
            place = place.below.setdefault(name, Frame(name, kind))
            place.samples += 1
    return root


def parse(line: str) -> tuple[str, str] | None:
    """`ADDRESS FUNCTION+OFFSET (FILE)`."""
    match = re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", line)
    if not match:
        return None
    name, file = re.sub(r"\+0x[0-9a-f]+$", "", match[1]), match[2]
    kind = "kernel" if file == "[kernel.kallsyms]" else "own" if file.endswith("/larder") else "library"
    if name == "[unknown]":
        # A program that has left the host's mounts is at a place that perf can't find.
        name = f"[{file.strip('[]').rsplit('/', 1)[-1] or 'unnamed'}]"
    # Names of Rust's end with a hash, and say what generics were.
    return re.sub(r"::h[0-9a-f]{16}$", "", name), kind


def svg(title: str, root: Frame) -> str:
    levels = root.depth()
    height = TOP + levels * FRAME + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{MARGIN}" y="20">{escape(title)}</text>',
        f'<text x="{MARGIN}" y="36">{root.samples} samples. Green: Larder. Yellow: libraries. Red: the kernel. Grey: which process.</text>',
    ]
    scale = (WIDTH - 2 * MARGIN) / max(root.samples, 1)
    draw(root, MARGIN, height - MARGIN - FRAME, scale, root.samples, lines)
    return "\n".join([*lines, "</svg>"]) + "\n"


def draw(frame: Frame, left: float, top: float, scale: float, total: int, lines: list[str]) -> None:
    width = frame.samples * scale
    if width < LEAST:
        return
    said = f"{frame.name}: {100 * frame.samples / max(total, 1):.1f}%"
    room = int((width - 6) / LETTER)
    shown = frame.name if len(frame.name) <= room else f"{frame.name[: room - 1]}…" if room > 3 else ""
    lines.append(f'<g class="frame"><title>{escape(said)}</title>')
    lines.append(f'<rect class="{frame.kind}" x="{left:.1f}" y="{top}" width="{width:.1f}" height="{FRAME}"/>')
    lines.append(f'<text x="{left + 3:.1f}" y="{top + 12}">{escape(shown)}</text></g>' if shown else "</g>")
    for below in sorted(frame.below.values(), key=lambda one: one.name):
        draw(below, left, top - FRAME, scale, total, lines)
        left += below.samples * scale
