#!/usr/bin/env python3
"""Refuses pictures of the documentation that are out of date.

    check_pictures.py [ROOT]       prints file: reason for each in ROOT (default: this checkout), and then exits 1
    check_pictures.py --self-test  checks that each kind of difference is refused

An SVG must be what docs/pictures/draw.py makes of its text. The steps of a page fault's life are listed in three
places, with the same numbers and names: the comment at the head of the class that takes the steps, the picture, and
the document.
"""

import importlib.util
import pathlib
import re
import shutil
import sys
import tempfile

NAME = "life-of-a-page-fault"
# (the kind of the picture's boxes, the heading in the document, the header)
LISTS = [
    ("step", "How a page comes in", "src/pager/fault/fault_resolver.hpp"),
    ("evict", "How a page leaves", "src/pager/evict/evictor.hpp"),
]
FILES = ["docs/pictures/draw.py", f"docs/pictures/{NAME}.txt", f"docs/pictures/{NAME}.svg", f"docs/{NAME}.md"]
FILES += [header for _, _, header in LISTS]

IN_HEADER = re.compile(r"(?m)^//\s+(\d+) (\w+) ")
IN_DOCUMENT = re.compile(r"(?m)^(\d+)\. \*\*(\w+)\.\*\*")


def load_draw(root):
    spec = importlib.util.spec_from_file_location("draw", root / "docs/pictures/draw.py")
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    return draw


def violations(root):
    """Returns 'file: reason' for each difference under `root`, and the number of pictures."""
    draw, found, pictures = load_draw(root), [], {}
    for source in sorted((root / "docs/pictures").glob("*.txt")):
        pictures[source.stem] = picture = draw.Picture(source.read_text(encoding="utf-8"))
        target = source.with_suffix(".svg")
        if not target.is_file() or target.read_text(encoding="utf-8") != picture.svg():
            found.append(f"{target.relative_to(root)}: not what docs/pictures/draw.py makes of {source.name}")
    document = (root / f"docs/{NAME}.md").read_text(encoding="utf-8")
    for kind, heading, header in LISTS:
        steps = [" ".join(step) for step in IN_HEADER.findall((root / header).read_text(encoding="utf-8"))]
        section = document.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        told = [f"{number} {name.lower()}" for number, name in IN_DOCUMENT.findall(section)]
        drawn = pictures[NAME].steps(kind) if NAME in pictures else []
        if not steps:
            found.append(f"{header}: has no list of steps")
        if drawn != steps:
            found.append(f"docs/pictures/{NAME}.txt: has {drawn}, {header} has {steps}")
        if told != steps:
            found.append(f"docs/{NAME}.md: has {told}, {header} has {steps}")
    return found, len(pictures)


def check(root):
    """Prints the differences under `root`. Returns the exit code."""
    found, pictures = violations(root)
    for complaint in found:
        print(complaint)
    print(f"{pictures} pictures, {len(found)} complaints")
    return 1 if found or pictures == 0 else 0


# (file, the text to replace in it, the new text)
SELF_TEST = [
    (f"docs/pictures/{NAME}.svg", "stroke-width", "stroke-Width"),
    (f"docs/pictures/{NAME}.txt", "step 4 frame", "step 4 page"),
    (f"docs/{NAME}.md", "5. **Fill.**", "5. **Read.**"),
    (f"docs/{NAME}.md", "2. **Unmap.**", "3. **Unmap.**"),
    ("src/pager/fault/fault_resolver.hpp", "//   7 publish ", "//   7 announce "),
    ("src/pager/evict/evictor.hpp", "//   4 zone ", "//   4 wait "),
]


def self_test(root):
    """Checks copies of the files with one difference each, and one copy with none. Returns the exit code."""
    failed = 0
    for name, old, new in [*SELF_TEST, (None, "", "")]:
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder)
            for file in FILES:
                (copy / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / file, copy / file)
            if name is not None:
                text = (copy / name).read_text(encoding="utf-8")
                (copy / name).write_text(text.replace(old, new, 1), encoding="utf-8")
            if bool(violations(copy)[0]) != (name is not None):
                print(f"{'not refused' if name else 'refused wrongly'}: {new} in {name}")
                failed += 1
    print(f"self-test: {len(SELF_TEST)} differences, {failed} failures")
    return 1 if failed else 0


def main():
    sys.dont_write_bytecode = True
    here = pathlib.Path(__file__).resolve().parents[2]
    arguments = sys.argv[1:]
    if arguments == ["--self-test"]:
        return self_test(here)
    if len(arguments) > 1 or any(a.startswith("-") for a in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    return check(pathlib.Path(arguments[0]).resolve() if arguments else here)


if __name__ == "__main__":
    sys.exit(main())
