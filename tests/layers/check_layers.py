#!/usr/bin/env python3
"""Refuses includes that point up or sideways.

    check_layers.py [ROOT]       prints file:line of each violation in ROOT (default: this checkout), and then exits 1
    check_layers.py --self-test  checks that each kind of violation is refused

A folder of src/ is a layer. It includes itself, lower layers, and public headers as <faultline/...>. Layers of one rank
do not include each other. A folder of src/pager/ is a stage and follows the same rule with other stages. A layer or
stage must not declare a class of a higher one. Public headers include only public headers and the C++ standard library.
"""

import pathlib
import re
import sys
import tempfile

# Lower layers first; one line is one rank.
RANKS = [
    {"core"},
    {"sys"},
    {"table", "policy", "store", "mmu", "trace"},
    {"pager"},
    {"space", "heap", "io"},
    {"run", "display"},
    {"api", "nbd", "preload", "tool"},
]
RANK_OF = {layer: rank for rank, layers in enumerate(RANKS) for layer in layers}

# The stages of src/pager, lower ones first: its folders, and core.hpp. The other files of src/pager are above them all.
STAGES = ["log", "region", "frame", "core", "evict", "fault", "delivery", "control", "snapshot"]
STAGE_OF = {stage: rank for rank, stage in enumerate(STAGES)}

# C++20. Left out are <csignal>, which brings <signal.h>, and <setjmp.h>'s and <uchar.h>'s wrappers.
STANDARD_HEADERS = frozenset(
    """
    algorithm any array atomic barrier bit bitset charconv chrono codecvt compare complex concepts condition_variable
    coroutine deque exception execution filesystem format forward_list fstream functional future initializer_list
    iomanip ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex new numbers
    numeric optional ostream queue random ranges ratio regex scoped_allocator semaphore set shared_mutex
    source_location span sstream stack stdexcept stop_token streambuf string string_view syncstream system_error thread
    tuple type_traits typeindex typeinfo unordered_map unordered_set utility valarray variant vector version
    cassert cctype cerrno cfenv cfloat cinttypes climits clocale cmath cstdarg cstddef cstdint cstdio cstdlib cstring
    ctime cwchar cwctype
    """.split()
)
# A public header for C (*.h) has only these.
C_HEADERS = frozenset(["stdbool.h", "stddef.h", "stdint.h"])

SUFFIXES = {".h", ".hpp", ".hh", ".ipp", ".inc", ".c", ".cc", ".cpp", ".S"}
# Classes at namespace scope: declared, and defined.
DECLARED = re.compile(r"^(?:class|struct|enum class)\s+(\w+)\s*;")
DEFINED = re.compile(r"^(?:class|struct|enum class)\s+(?:FAULTLINE_API\s+|alignas\(\w+\)\s+)?(\w+)\b(?!\s*;)")
INCLUDE = re.compile(r"^\s*#\s*(?:include|include_next|import)\b\s*(.*)$")
# Strings are matched, too, so that "//" inside a string does not begin a comment.
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def includes(text):
    """Yields (line number, '"' or '<' or '', name) of each include directive."""

    def blank(match):
        token = match.group()
        return token if token.startswith('"') else "\n" * token.count("\n")

    for number, line in enumerate(COMMENT_OR_STRING.sub(blank, text).splitlines(), 1):
        directive = INCLUDE.match(line)
        if directive:
            target = re.match(r'"([^"]*)"|<([^>]*)>', directive.group(1))
            if target is None:
                yield number, "", directive.group(1).strip()
            elif target.group(1) is not None:
                yield number, '"', target.group(1)
            else:
                yield number, "<", target.group(2)


def objection_in_layer(layer, quote, name):
    """Returns why a file of `layer` must not have this include, or None."""
    first = name.split("/")[0]
    if quote == "":
        return f"computed include {name}: cannot be checked"
    if quote == "<":
        if first in RANK_OF and first != "sys":  # <sys/...> is the C library's
            return f'write "{name}" with quotes'
        return None
    if first == "faultline":
        return f"write <{name}>: it is a public header"
    if first not in RANK_OF or "/" not in name or ".." in name.split("/"):
        return f'"{name}" does not start with a layer: write "layer/file"'
    if first == layer or RANK_OF[first] < RANK_OF[layer]:
        return None
    direction = "sideways" if RANK_OF[first] == RANK_OF[layer] else "up"
    return f'{layer} must not include "{name}": it points {direction}'


def stage_of(name):
    """Returns the stage's rank of a file of src/pager, given as "pager/..."."""
    parts = pathlib.PurePosixPath(name).parts[1:]
    stage = parts[0] if len(parts) > 1 else pathlib.PurePosixPath(parts[0]).stem
    return STAGE_OF.get(stage, len(STAGES))


def objection_in_stage(path, name):
    """Returns why a file of src/pager must not include this file of src/pager, or None."""
    if stage_of(name) <= stage_of(path):
        return None
    return f'{path} must not include "{name}": it points up'


def objection_in_public(suffix, quote, name):
    """Returns why a public header must not have this include, or None."""
    if quote == "<" and name.startswith("faultline/") and ".." not in name.split("/"):
        return None
    if quote == "<" and name in (C_HEADERS if suffix == ".h" else STANDARD_HEADERS):
        return None
    return f"a public header must not include {name}: only <faultline/...> and the C++ standard library"


def place_of(where):
    """Returns the rank of a file's layer, and of its stage if the file is in src/pager."""
    return RANK_OF[where.parts[1]], stage_of("/".join(where.parts[1:])) if where.parts[1] == "pager" else 0


def definitions(texts):
    """Returns for each class name the places (see place_of) of the files that define it."""
    places = {}
    for where, text in texts.items():
        for line in text.splitlines():
            if defined := DEFINED.match(line):
                places.setdefault(defined.group(1), set()).add(place_of(where))
    return places


def objections_to_declarations(where, text, places):
    """Yields (line number, reason) for each declared class that only higher layers or stages define."""
    for number, line in enumerate(text.splitlines(), 1):
        declared = DECLARED.match(line)
        defined = places.get(declared.group(1)) if declared else None
        if defined and min(defined) > place_of(where):
            yield number, f"{where} must not declare {declared.group(1)}: its definition is above"


def violations(root):
    """Returns all violations under `root` as 'file:line: reason', and the number of files checked."""
    found = []
    sources = sorted(p for p in (root / "src").rglob("*") if p.suffix in SUFFIXES)
    headers = sorted(p for p in (root / "include").rglob("*") if p.suffix in SUFFIXES)
    texts = {path.relative_to(root): path.read_text(encoding="utf-8") for path in sources + headers}
    in_layers = {where: text for where, text in texts.items() if where.parts[0] == "src" and where.parts[1] in RANK_OF}
    places = definitions(in_layers)
    for where, text in texts.items():
        if where not in in_layers and where.parts[0] == "src":
            found.append(f"{where}:1: src/{where.parts[1]} is not a layer")
            continue
        for number, quote, name in includes(text):
            if where.parts[0] == "include":
                objection = objection_in_public(where.suffix, quote, name)
            else:
                objection = objection_in_layer(where.parts[1], quote, name)
                if objection is None and quote == '"' and where.parts[1] == "pager" and name.startswith("pager/"):
                    objection = objection_in_stage("/".join(where.parts[1:]), name)
            if objection:
                found.append(f"{where}:{number}: {objection}")
        if where in in_layers:
            found += [f"{where}:{n}: {why}" for n, why in objections_to_declarations(where, text, places)]
    return found, len(texts)


# (file, its text, the line of the expected violation or None)
SELF_TEST = [
    # Allowed.
    ("src/core/a.hpp", "#include <cstdint>\n#include <faultline/types.hpp>\n", None),
    ("src/sys/a.cpp", '#include "sys/b.hpp"\n#include "core/a.hpp"\n#include <sys/mman.h>\n', None),
    ("src/store/a.cpp", '#include "store/b.hpp"\n#include "sys/b.hpp"\n', None),
    ("src/pager/a.cpp", '#include "mmu/a.hpp"\n#include "policy/a.hpp"\n#include "core/a.hpp"\n', None),
    ("src/pager/evict/a.cpp", '#include "pager/core.hpp"\n#include "pager/region/a.hpp"\n', None),
    ("src/pager/pager.hpp", '#include "pager/snapshot/a.hpp"\n', None),
    ("src/pager/snapshot/declares.hpp", "class Discarder;\n", None),
    ("src/tool/a.cpp", '#include "heap/a.hpp"\n#include "run/a.hpp"\n#include <CLI/CLI.hpp>\n', None),
    ("src/core/b.hpp", '// #include "sys/a.hpp"\n/*\n#include "sys/a.hpp"\n*/\n', None),
    ("include/faultline/a.hpp", "#include <faultline/b.hpp>\n#include <vector>\n", None),
    ("include/faultline/a.h", "#include <stddef.h>\n", None),
    # Up.
    ("src/core/up.cpp", '#include "core/a.hpp"\n#include "sys/a.hpp"\n', 2),
    ("src/sys/up.cpp", '  #  include "store/a.hpp"\n', 1),
    ("src/table/up.cpp", '#include "pager/a.hpp"\n', 1),
    ("src/pager/up.cpp", '#include "space/a.hpp"\n', 1),
    ("src/heap/up.cpp", '#include "api/a.hpp"\n', 1),
    ("src/heap/up_one.cpp", '#include "run/a.hpp"\n', 1),
    ("src/run/up.cpp", '#include "preload/a.hpp"\n', 1),
    ("src/core/deep/up.cpp", '#include "pager/a.hpp"\n', 1),
    ("src/core/after_comment.cpp", 'const char* s = "/*";\n#include "sys/a.hpp"\nconst char* t = "*/";\n', 2),
    ("src/pager/region/up.cpp", '#include "pager/evict/a.hpp"\n', 1),
    ("src/pager/frame/up.cpp", '#include "pager/core.hpp"\n', 1),
    ("src/pager/evict/up.cpp", '#include "pager/pager.hpp"\n', 1),
    ("src/pager/control/defines.hpp", "class Discarder {\n};\n", None),
    ("src/pager/frame/declares.hpp", "struct Here;\nclass Discarder;\n", 2),
    ("src/space/defines.hpp", "class StackArea final {\n};\n", None),
    ("src/pager/region/declares.hpp", "class StackArea;\n", 1),
    # Sideways.
    ("src/table/sideways.cpp", '#include "policy/a.hpp"\n', 1),
    ("src/policy/sideways.cpp", '#include "table/a.hpp"\n', 1),
    ("src/store/sideways.cpp", '#include "mmu/a.hpp"\n', 1),
    ("src/mmu/sideways.cpp", '#include "store/a.hpp"\n', 1),
    ("src/space/sideways.cpp", '#include "heap/a.hpp"\n', 1),
    ("src/run/sideways.cpp", '#include "display/a.hpp"\n', 1),
    ("src/api/sideways.cpp", '#include "tool/a.hpp"\n', 1),
    # Ways around.
    ("src/core/relative.cpp", '#include "../pager/a.hpp"\n', 1),
    ("src/core/through.cpp", '#include "core/../pager/a.hpp"\n', 1),
    ("src/core/bare.cpp", '#include "a.hpp"\n', 1),
    ("src/core/angle.cpp", "#include <pager/a.hpp>\n", 1),
    ("src/core/quoted_public.cpp", '#include "faultline/types.hpp"\n', 1),
    ("src/core/computed.cpp", "#include HEADER\n", 1),
    ("src/misc/a.cpp", "\n", 1),
    ("src/stray.cpp", "\n", 1),
    # Public headers.
    ("include/faultline/os1.hpp", "#include <cstddef>\n#include <sys/mman.h>\n", 2),
    ("include/faultline/os2.hpp", "#include <linux/userfaultfd.h>\n", 1),
    ("include/faultline/os3.hpp", "#include <unistd.h>\n", 1),
    ("include/faultline/os4.hpp", "#include <pthread.h>\n", 1),
    ("include/faultline/os5.hpp", "#include <signal.h>\n", 1),
    ("include/faultline/os6.h", "#include <sys/types.h>\n", 1),
    ("include/faultline/private.hpp", '#include "core/a.hpp"\n', 1),
    ("include/faultline/library.hpp", "#include <spdlog/spdlog.h>\n", 1),
]


def self_test():
    """Checks one tree with every kind of violation, and one with none. Returns the exit code."""
    failed = 0
    for bad in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            expected = set()
            for name, text, line in SELF_TEST:
                if line is not None and not bad:
                    continue
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                if line is not None:
                    expected.add(f"{name}:{line}")
            found, _ = violations(root)
            places = {":".join(v.split(":")[:2]) for v in found}
            for place in sorted(expected - places):
                print(f"not refused: {place}")
            for place in sorted(places - expected):
                print(f"refused wrongly: {place}")
            failed += len(expected ^ places)
            # ctest sees only the exit code.
            failed += check(root, quiet=True) != (1 if bad else 0)
    print(f"self-test: {len(SELF_TEST)} files, {failed} failures")
    return 1 if failed else 0


def check(root, quiet=False):
    """Prints the violations under `root`. Returns the exit code."""
    found, files = violations(root)
    if not quiet:
        for violation in found:
            print(violation)
        print(f"{files} files, {len(found)} violations")
    # No files: the caller named the wrong folder.
    return 1 if found or files == 0 else 0


def main():
    arguments = sys.argv[1:]
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) > 1 or any(a.startswith("-") for a in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).parents[2]
    return check(root.resolve())


if __name__ == "__main__":
    sys.exit(main())
