#!/usr/bin/env python3
"""Makes the pictures of the documentation: NAME.svg of each NAME.txt in this folder.

    draw.py          writes the SVG files
    draw.py --check  exits 1 if one is not up to date

The text has lines of these forms; lines that begin with # are comments:

    width PIXELS
    title TEXT            for readers that do not see the picture
    box PLACE KIND NAME   PLACE is L, R or W (left, right, the whole width) and a row; KIND is a key of COLOURS
      TEXT                a line in the box
      `CODE` `CODE`       a line with names of the code
    arrow FROM TO LABEL   down, from left to right, or (up the gap) from a box of the right to one of the left
"""

import html
import pathlib
import re
import sys

MARGIN = 12
GAP = 108  # between the columns: room for the labels of arrows
BOX_HEIGHT = 62
ROW = BOX_HEIGHT + 22
FIRST_LINE, LINE = 20, 17  # baselines in a box

#                 fill       border
COLOURS = {
    "start": ("#f3f4f6", "#6b7280"),
    "step": ("#e6f0fb", "#2f6db3"),
    "evict": ("#fdf0e0", "#b8701a"),
    "exit": ("#ffffff", "#9ca3af"),
}

STYLE = """\
text { font-family: "DejaVu Sans", Verdana, sans-serif; font-size: 12px; fill: #1f2933 }
.name { font-size: 14px; font-weight: bold }
.code { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 11px; fill: #46505c }
.label { font-size: 11px; text-anchor: middle; fill: #46505c }
.arrow { fill: none; stroke: #46505c; stroke-width: 1.5; marker-end: url(#head) }"""


class Box:
    def __init__(self, place, kind, name, width):
        self.kind, self.name, self.lines = kind, name, []
        self.column, row = place[0], int(place[1:])
        column_width = (width - 2 * MARGIN - GAP) / 2
        self.left = MARGIN + (column_width + GAP if self.column == "R" else 0)
        self.right = self.left + (width - 2 * MARGIN if self.column == "W" else column_width)
        self.top = MARGIN + row * ROW
        self.bottom = self.top + BOX_HEIGHT
        self.middle = (self.top + self.bottom) / 2


class Picture:
    def __init__(self, text):
        self.width, self.title, self.boxes, self.arrows = 800, "", {}, []
        last = None
        for number, line in enumerate(text.splitlines(), 1):
            word, _, rest = line.partition(" ")
            if not line.strip() or word == "#":
                continue
            if line.startswith("  "):
                last.lines.append(line.strip())
            elif word == "width":
                self.width = int(rest)
            elif word == "title":
                self.title = rest
            elif word == "box":
                place, kind, name = rest.split(" ", 2)
                last = self.boxes[place] = Box(place, kind, name, self.width)
            elif word == "arrow":
                self.arrows.append((rest.split(" ", 2) + [""])[:3])
            else:
                raise ValueError(f"line {number}: {line}")

    def steps(self, kind):
        """The names of the boxes of a kind, from the first row on."""
        return [box.name for box in sorted(self.boxes.values(), key=lambda box: box.top) if box.kind == kind]

    def svg(self):
        height = max(box.bottom for box in self.boxes.values()) + MARGIN
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{height:g}" '
            f'viewBox="0 0 {self.width} {height:g}" role="img">',
            f"<title>{html.escape(self.title)}</title>",
            f"<style>\n{STYLE}\n</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#46505c"/></marker></defs>',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
        ]
        for box in self.boxes.values():
            parts += self.drawn_box(box)
        for source, target, label in self.arrows:
            parts += self.drawn_arrow(self.boxes[source], self.boxes[target], label)
        return "\n".join([*parts, "</svg>"]) + "\n"

    @staticmethod
    def drawn_box(box):
        fill, border = COLOURS[box.kind]
        yield (
            f'<rect x="{box.left:g}" y="{box.top:g}" width="{box.right - box.left:g}" height="{BOX_HEIGHT}" rx="5" '
            f'fill="{fill}" stroke="{border}" stroke-width="1.5"/>'
        )
        for i, line in enumerate([box.name, *box.lines]):
            names = re.findall(r"`([^`]+)`", line)
            style = ' class="name"' if i == 0 else ' class="code"' if names else ""
            text = "  ".join(names) if names else line.replace("->", "\N{RIGHTWARDS ARROW}")
            text = re.sub(" {2,}", lambda spaces: "\N{NO-BREAK SPACE}" * len(spaces.group()), html.escape(text))
            yield f'<text{style} x="{box.left + 10:g}" y="{box.top + FIRST_LINE + i * LINE:g}">{text}</text>'

    @staticmethod
    def drawn_arrow(source, target, label):
        if source.column == "R" and target.column == "L":  # up the gap, into the lower half of the box
            turn, end = source.left - 14, target.middle + 16
            path = f"M{source.left:g},{source.middle:g} H{turn:g} V{end:g} H{target.right + 1:g}"
            at = (target.right + turn) / 2, end + 15
        elif source.top == target.top:
            path = f"M{source.right:g},{source.middle - 8:g} H{target.left - 1:g}"
            at = (source.right + target.left) / 2, source.middle - 14
        else:
            x = (target.left + target.right) / 2
            path = f"M{x:g},{source.bottom:g} V{target.top - 1:g}"
            at = x, target.top - 6
        yield f'<path class="arrow" d="{path}"/>'
        if label:
            yield f'<text class="label" x="{at[0]:g}" y="{at[1]:g}">{html.escape(label)}</text>'


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        print(__doc__, file=sys.stderr)
        return 2
    outdated = 0
    for source in sorted(pathlib.Path(__file__).parent.glob("*.txt")):
        svg = Picture(source.read_text(encoding="utf-8")).svg()
        target = source.with_suffix(".svg")
        if not check:
            target.write_text(svg, encoding="utf-8")
        elif not target.is_file() or target.read_text(encoding="utf-8") != svg:
            print(f"{target}: not what draw.py makes of {source.name}")
            outdated += 1
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())
