#!/usr/bin/env python3
"""Refuses code in the documentation that differs from its source file.

    check_excerpts.py [ROOT]  prints file:line of each excerpt in ROOT (default: this checkout) that is out of date, and
                              then exits 1

An excerpt is a block of code in README.md or docs/*.md after a line <!-- from FILE -->. Its lines must be consecutive
lines of FILE; only the indentation of the whole block may differ. A line `...` stands for any number of lines.
"""

import pathlib
import re
import sys
import textwrap

EXCERPT = re.compile(r"^<!-- from (\S+) -->\n```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def contains(lines, wanted):
    """Returns whether `lines` contain `wanted` consecutively, with any indentation of the whole."""
    for start in range(len(lines) - len(wanted) + 1):
        candidate = lines[start : start + len(wanted)]
        if textwrap.dedent("\n".join(candidate)) == textwrap.dedent("\n".join(wanted)):
            return True
    return False


def outdated(root):
    """Returns 'file:line: reason' for each excerpt that is not in its file, and the number of excerpts."""
    found, count = [], 0
    for document in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        text = document.read_text(encoding="utf-8")
        for excerpt in EXCERPT.finditer(text):
            count += 1
            where = f"{document.relative_to(root)}:{text.count(chr(10), 0, excerpt.start()) + 1}"
            source = root / excerpt.group(1)
            if not source.is_file():
                found.append(f"{where}: no file {excerpt.group(1)}")
                continue
            lines = source.read_text(encoding="utf-8").splitlines()
            for part in re.split(r"^ *\.\.\.\n", excerpt.group(2), flags=re.MULTILINE):
                if not contains(lines, part.strip("\n").splitlines()):
                    found.append(f"{where}: {excerpt.group(1)} does not contain these lines:\n{part}")
    return found, count


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]
    found, count = outdated(root.resolve())
    for complaint in found:
        print(complaint)
    print(f"{count} excerpts, {len(found)} complaints")
    # No excerpts: the pattern no longer matches the marks.
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
