#!/usr/bin/env python3
"""Refuses documents with names that the tree does not contain.

    check_names.py [ROOT]       prints file:line of each unknown name in ROOT (default: this checkout), and then exits 1
    check_names.py --self-test  checks that each kind of unknown name is refused

The documents are README.md, CONTRIBUTING.md, bench/README.md, docs/**/*.md, docs/faultline.1, and the sources of
pictures, docs/pictures/*.txt. In code spans (`like this`, outside of code blocks) it checks

    name, name()        is a word in the code (not in comments), a file name without its suffix, or in ALLOWED below. If
                        a link to a file follows in parentheses, `name` ([file](path)), it is a word in that file
    Class::member       is a member in a file that declares the class
    Suite.Test*         is a test; * matches any text
    src/file.cpp        is a file or a folder; * matches any text; a bare file name may be in any folder
    --option, -DOPTION  is an option of a program, script or CMake file of the tree, or in ALLOWED_OPTIONS

It also checks that links lead to existing files and headings, and that docs/index.md links every document of docs/.
"""

import fnmatch
import pathlib
import re
import sys
import tempfile

# Names of the kernel, the C library and other programs that documents use. One that no document uses is refused.
ALLOWED = frozenset(
    """
    getdents io_submit io_uring_setup mseal pidfd_open remap_file_pages rt_sigaction
    EPOLLEXCLUSIVE PAGEMAP_SCAN PR_GET_MEMORY_MERGE WP_ASYNC
    ccache perf items_per_second
    std::pmr::polymorphic_allocator::new_object
    """.split()
)
# Options of Google Benchmark.
ALLOWED_OPTIONS = frozenset(
    """
    --benchmark_filter --benchmark_min_time
    """.split()
)
# Paths that are not in the tree: a setting of the kernel, and benchmark cases whose names the program composes.
ALLOWED_PATHS = frozenset(
    """
    queue/read_ahead_kb bare/uffd_sigbus_copy bare/uffd_sigbus_zeropage
    """.split()
)

CODE_FOLDERS = ("src", "include", "demos", "tests", "bench", "cmake", "python", ".ci")
CODE_FILES = ("CMakeLists.txt", "CMakePresets.json", "bootstrap")
C_SUFFIXES = {".h", ".hpp", ".c", ".cpp", ".S", ".in", ".map"}
SCRIPT_SUFFIXES = {".txt", ".cmake", ".sh", ".py", ".gp", ".gdb", ".json", ""}

C_COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
SCRIPT_COMMENT = re.compile(r"(?m)^\s*#[^!\n][^\n]*$")
WORD = re.compile(r"[A-Za-z_]\w*")
OPTION_IN_CODE = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")
TEST_IN_CODE = re.compile(r"\b(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)")
DECLARED = re.compile(
    r"\b(?:class|struct|enum|enum class|namespace|using)\s+(?:FAULTLINE_API\s+|alignas\(\w+\)\s+)?([\w:]+)"
)

SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)
FOLLOWING_LINK = re.compile(r"\s*\(\[[^\]]*\]\(([^)#\s]+)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
MAN_OPTION = re.compile(r"\\-\\-[a-z][a-z\\-]*[a-z]")


class Tree:
    """The words, tests, options and files of a checkout."""

    def __init__(self, root):
        self.root = root
        self.words, self.tests, self.options = set(), set(), set()
        self.files_of_class = {}  # name -> words of the files that declare it
        self.files, self.folders, self.text = set(), set(), []
        top = sorted(path for path in root.iterdir() if path.is_file() or path.name in (*CODE_FOLDERS, "docs"))
        for path in [path for one in top for path in ([one, *sorted(one.rglob("*"))] if one.is_dir() else [one])]:
            where = path.relative_to(root)
            if "__pycache__" in where.parts:
                continue
            if path.is_dir():
                self.folders.add(str(where))
            else:
                self.files.add(str(where))
                if where.parts[0] in CODE_FOLDERS or str(where) in CODE_FILES:
                    self.read(path)
        self.names = {name.rsplit("/", 1)[-1] for name in self.files}
        self.words |= {name.partition(".")[0] for name in self.names}

    @staticmethod
    def code_of(path):
        """Returns the text of a code file without its comments, or None for any other file."""
        if path.suffix in C_SUFFIXES:
            keep = lambda match: match.group() if match.group().startswith('"') else " "
            return C_COMMENT.sub(keep, path.read_text(encoding="utf-8", errors="replace"))
        if path.suffix in SCRIPT_SUFFIXES and path.name != pathlib.Path(__file__).name:
            return SCRIPT_COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
        return None

    def read(self, path):
        text = self.code_of(path)
        if text is None:
            return
        self.text.append(text)
        words = set(WORD.findall(text))
        self.words |= words
        self.options |= set(OPTION_IN_CODE.findall(text))
        for suite, test in TEST_IN_CODE.findall(text):
            self.tests.add(f"{suite}.{test}")
        for declared in DECLARED.findall(text):
            for name in declared.split("::"):
                self.files_of_class.setdefault(name, set()).update(words)
        # Members that are defined in another file than the class, and enumerators that are only used.
        for owner, member in re.findall(r"\b(\w+)::~?(\w+)", text):
            self.files_of_class.setdefault(owner, set()).add(member)

    def has_path(self, name, beside):
        """Returns whether the tree has the path. `beside` is the folder of the document."""
        name = name.rstrip("/")
        if "/" not in name and "*" not in name:
            return name in self.names or name in self.folders
        places = [name, f"src/{name}", f"include/{name}", f"tests/{name}", f"demos/{name}"]
        places += [f"{name}{suffix}" for suffix in (".cpp", ".hpp")]
        places.append(str((beside / name).resolve().relative_to(self.root.resolve())) if "*" not in name else name)
        everything = self.files | self.folders
        if any(place in everything or fnmatch.filter(everything, place) for place in places):
            return True
        return any(name in text for text in self.text)  # names of benchmark cases look like paths


class Document:
    """One document, and the unknown names in it."""

    def __init__(self, tree, path):
        self.tree, self.path = tree, path
        self.where = path.relative_to(tree.root)
        self.text = path.read_text(encoding="utf-8")
        self.used = set()  # the names in it that ALLOWED... permits
        self.found = []  # (line, complaint)

    def without_blocks(self):
        """Returns the text with the lines of its code blocks emptied."""
        inside, lines = False, []
        for line in self.text.split("\n"):
            fence = line.lstrip().startswith("```")
            lines.append("" if inside or fence or line.startswith("    ") else line)
            inside ^= fence
        return "\n".join(lines)

    def complain(self, position, why):
        self.found.append((self.text_read.count("\n", 0, position) + 1, why))

    def check(self):
        if self.path.suffix == ".1":
            self.text_read = self.text
            for option in MAN_OPTION.finditer(self.text):
                self.check_option(option.group().replace("\\", ""), option.start())
            return self
        self.text_read = self.without_blocks()
        for span in SPAN.finditer(self.text_read):
            self.check_span(" ".join(span.group(2).split()), span.start())
            link = FOLLOWING_LINK.match(self.text_read, span.end())
            if link and re.fullmatch(r"[a-z_]\w*(?:\(\))?", span.group(2)):
                self.check_word_in(span.group(2).removesuffix("()"), link.group(1), span.start())
        for link in LINK.finditer(self.text_read):
            self.check_link(link.group(1), link.start())
        return self

    def check_span(self, span, position):
        for option in OPTION.findall(span):
            self.check_option(option, position)
        for word in re.findall(r"-D(\w+)", span) + re.findall(r"\b(FAULTLINE_\w+)", span):
            self.check_word(word, position)
        if " " not in span:
            self.check_single(span, position)

    def check_single(self, span, position):
        """Checks a span of one word."""
        name = re.sub(r"\(.*\)$", "", span).lstrip("&~").rstrip(",;")
        if name.startswith(("-", "/", "$", "#", "<", "http")) or "=" in name or not re.search(r"[A-Za-z]", name):
            return
        if re.fullmatch(r"(?:\w+::)+~?\w+", name):
            self.check_member(name, position)
        elif re.fullmatch(r"\w+\.(?:c|h|cpp|hpp|md|py|sh|txt|json|svg|gdb|map|S)|[\w.*{}-]+(?:/[\w.*{}-]*)+", name):
            self.check_path(name, position)
        elif re.fullmatch(r"[A-Z\w*]+\.[\w*]+", name) and (name[0].isupper() or "*" in name) and "." in name:
            if not fnmatch.filter(self.tree.tests, f"{name}") and not fnmatch.filter(self.tree.tests, f"*{name}"):
                self.allow_or_complain(name, position, "there is no test")
        elif re.fullmatch(r"[A-Za-z_]\w*", name):
            self.check_word(name, position)

    def allow_or_complain(self, name, position, why, allowed=ALLOWED):
        if name in allowed:
            self.used.add(name)
        else:
            self.complain(position, f"{why} {name}")

    def check_word(self, name, position):
        if name not in self.tree.words:
            self.allow_or_complain(name, position, "the code does not contain")

    def check_word_in(self, name, link, position):
        file = (self.path.parent / link).resolve()
        code = self.tree.code_of(file) if file.is_file() else None
        if code is not None and name not in WORD.findall(code):
            self.complain(position, f"{file.name} does not contain {name}")

    def check_member(self, name, position):
        owner, member = name.replace("~", "").split("::")[-2:]
        if member not in self.tree.files_of_class.get(owner, ()):
            self.allow_or_complain(name, position, "no class or namespace has the member")

    def check_option(self, option, position):
        if option not in self.tree.options:
            self.allow_or_complain(option, position, "no program has the option", ALLOWED_OPTIONS)

    def check_path(self, name, position):
        if not name.startswith("build/") and not self.tree.has_path(name, self.path.parent):
            self.allow_or_complain(name, position, "there is no file", ALLOWED_PATHS)

    def check_link(self, link, position):
        if re.match(r"[a-z]+:", link):
            return
        file, _, heading = link.partition("#")
        target = (self.path.parent / file).resolve() if file else self.path
        if not target.exists():
            self.complain(position, f"there is no file {file}")
        elif heading and heading not in headings_of(target):
            self.complain(position, f"{target.name} has no heading #{heading}")


def headings_of(path):
    """Returns the anchors that GitHub makes of a document's headings."""
    found = re.findall(r"(?m)^#+ (.*)$", path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def documents_of(root):
    named = [root / "README.md", root / "CONTRIBUTING.md", root / "bench" / "README.md", root / "docs" / "faultline.1"]
    named += sorted((root / "docs" / "pictures").glob("*.txt"))
    return [path for path in named if path.is_file()] + sorted((root / "docs").rglob("*.md"))


def unlisted(root):
    """Returns a complaint for each document of docs/ that docs/index.md does not link."""
    index = root / "docs" / "index.md"
    if not index.is_file():
        return ["docs/index.md:1: there is no index"]
    links = LINK.findall(index.read_text(encoding="utf-8"))
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links}
    return [
        f"docs/index.md:1: {path.relative_to(root)} is not listed"
        for path in documents_of(root)
        if path.parts[len(root.parts)] == "docs" and path.suffix != ".txt" and path.resolve() not in {index, *linked}
    ]


def violations(root):
    """Returns all complaints about the documents under `root`, the number of documents, and the allowed names used."""
    tree = Tree(root)
    documents = [Document(tree, path).check() for path in documents_of(root)]
    found = [f"{d.where}:{line}: {why}" for d in documents for line, why in d.found]
    used = set().union(*(d.used for d in documents)) if documents else set()
    return found + unlisted(root), len(documents), used


def check(root, quiet=False):
    """Prints the complaints about the documents under `root`. Returns the exit code."""
    found, documents, used = violations(root)
    if root == pathlib.Path(__file__).resolve().parents[2]:
        unused = sorted((ALLOWED | ALLOWED_OPTIONS | ALLOWED_PATHS) - used)
        found += [f"tests/docs/check_names.py:1: no document uses the allowed name {name}" for name in unused]
    if not quiet:
        for complaint in found:
            print(complaint)
        print(f"{documents} documents, {len(found)} complaints")
    # No documents: the caller named the wrong folder.
    return 1 if found or documents == 0 else 0


# The tree of the self-test: the names that its documents may use.
SELF_TEST_FILES = {
    "src/core/page.hpp": "// stale_name is in this comment only\nclass Page {\npublic:\n    void fill();\n};\n",
    "src/core/page.cpp": "void Page::fill() { helper_of_fill(); }\n",
    "src/tool/options.cpp": 'app.add_option("--resident-limit", limit);\n',
    "tests/core/page_test.cpp": "TEST(PageTest, FillsOnce) {}\n",
    "CMakeLists.txt": "option(FAULTLINE_EXTRA OFF)\n",
    "docs/index.md": "[a](a.md)\n",
}
# (a line of a document, whether it must be refused)
SELF_TEST_LINES = [
    ("`Page` and `Page::fill`, `fill()`, `helper_of_fill(x)`", False),
    ("`src/core/page.hpp`, `page.cpp`, `core/*.hpp`, `src/core/`", False),
    ("`--resident-limit 4M` and `-DFAULTLINE_EXTRA=ON`", False),
    ("`PageTest.FillsOnce`, `PageTest.*`", False),
    ("`two words that are no code`, `42`, `/proc/self/maps`, `$HOME`", False),
    ("[the page](../src/core/page.hpp), [below](#heading)", False),
    ("`fill` ([page.cpp](../src/core/page.cpp))", False),
    ("    `made_up_name` in a code block", False),
    ("`made_up_name`", True),
    ("`made_up_function()`", True),
    ("`stale_name`", True),
    ("`helper_of_fill` ([page.hpp](../src/core/page.hpp))", True),
    ("`Page::made_up`", True),
    ("`MadeUp::fill`", True),
    ("`src/core/made_up.hpp`", True),
    ("`made_up.cpp`", True),
    ("`core/made_up*.hpp`", True),
    ("`--made-up-option`", True),
    ("`run --made-up-option 5`", True),
    ("`-DFAULTLINE_MADE_UP=ON`", True),
    ("`PageTest.MadeUp`", True),
    ("`MadeUp.*`", True),
    ("[a file](../src/made_up.hpp)", True),
    ("[a heading](#made-up)", True),
]


def self_test():
    """Checks a document with every kind of unknown name, and one with none. Returns the exit code."""
    failed = 0
    for bad in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            lines = ["# Heading"] + [line for line, refused in SELF_TEST_LINES if bad or not refused]
            files = dict(SELF_TEST_FILES, **{"docs/a.md": "\n\n".join(lines) + "\n"})
            if bad:
                files["docs/unlisted.md"] = "nothing\n"
                files["docs/pictures/a.txt"] = "box L1 step 1 page\n  `Page::fill` `Page::made_up`\n"
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            refused = {line for line, is_refused in SELF_TEST_LINES if is_refused}
            expected = {f"docs/a.md:{2 * i + 1}" for i, line in enumerate(lines) if bad and line in refused}
            expected |= {"docs/index.md:1", "docs/pictures/a.txt:2"} if bad else set()
            places = {":".join(complaint.split(":")[:2]) for complaint in violations(root)[0]}
            for place in sorted(expected ^ places):
                print(f"{'not refused' if place in expected else 'refused wrongly'}: {place}")
            failed += len(expected ^ places)
            # ctest sees only the exit code.
            failed += check(root, quiet=True) != (1 if bad else 0)
    print(f"self-test: {len(SELF_TEST_LINES)} lines, {failed} failures")
    return 1 if failed else 0


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
