"""The programs that are run under a limit: what each does, what it needs, and the limit that is too small for it."""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable


def no_inputs(_folder: Path) -> None:
    """For programs that read no file."""


@dataclass(frozen=True)
class Program:
    """One program. `command` is a shell command, run in a folder in which `prepare` has written its inputs."""

    name: str
    limit_mib: int
    command: str
    needs: tuple[str, ...]
    prepare: Callable[[Path], None] = no_inputs

    def missing(self) -> list[str]:
        """Returns the executables that this machine does not have."""
        return [executable for executable in self.needs if shutil.which(executable) is None]


def write_lines(folder: Path) -> None:
    """A text of 40 MB with lines in no order."""
    numbers = random.Random(1)
    with open(folder / "lines.txt", "w", encoding="ascii") as file:
        for _ in range(1_000_000):
            file.write(f"{numbers.getrandbits(64):020d} {numbers.getrandbits(48):015d}\n")


def write_c_files(folder: Path) -> None:
    """Six C files of 2,000 functions each, and a makefile."""
    numbers = random.Random(2)
    for number in range(6):
        with open(folder / f"unit{number}.c", "w", encoding="ascii") as file:
            for function in range(2000):
                factors = [numbers.randrange(1, 1000) for _ in range(4)]
                file.write(
                    f"int f{number}_{function}(int a, int b) {{\n"
                    f"    int s = {factors[0]};\n"
                    f"    for (int i = 0; i < a; ++i) s += (i * {factors[1]}) ^ (b + {factors[2]});\n"
                    f"    return s % {factors[3]} + (a > b ? a - b : b);\n"
                    "}\n"
                )
    objects = " ".join(f"unit{number}.o" for number in range(6))
    (folder / "Makefile").write_text(f"all: {objects}\n%.o: %.c\n\tgcc -O2 -c -o $@ $<\n", encoding="ascii")


def write_go_program(folder: Path) -> None:
    """A map of two million entries in a static program."""
    (folder / "map.go").write_text(
        "package main\n\n"
        'import "fmt"\n\n'
        "func main() {\n"
        "\tm := make(map[int]string)\n"
        "\tfor i := 0; i < 2000000; i++ {\n"
        "\t\tm[i*7919%2000003] = fmt.Sprint(i)\n"
        "\t}\n"
        "\tn := 0\n"
        "\tfor _, v := range m {\n"
        "\t\tn += len(v)\n"
        "\t}\n"
        "\tfmt.Println(len(m), n)\n"
        "}\n",
        encoding="ascii",
    )


def write_java_program(folder: Path) -> None:
    """A map of 1.5 million entries."""
    (folder / "Big.java").write_text(
        "import java.util.*;\n"
        "public class Big {\n"
        "    public static void main(String[] arguments) {\n"
        "        Map<Integer, String> map = new HashMap<>();\n"
        "        for (int i = 0; i < 1500000; i++) map.put((int) (i * 7919L % 1500007), \"v\" + i);\n"
        "        long n = 0;\n"
        "        for (var entry : map.entrySet()) n += entry.getKey() + entry.getValue().length();\n"
        "        System.out.println(map.size() + \" \" + n);\n"
        "    }\n"
        "}\n",
        encoding="ascii",
    )


def write_java_methods(folder: Path) -> None:
    """A class of 2,000 methods."""
    with open(folder / "Many.java", "w", encoding="ascii") as file:
        file.write("public class Many {\n")
        for i in range(2000):
            file.write(
                f"static int f{i}(int a, int b) {{ int s = {i};"
                f" for (int i = 0; i < a; i++) s += (i * {i + 3}) ^ (b + {i + 7});"
                f' String t = "x" + s; return t.length() + s; }}\n'
            )
        file.write("}\n")


def write_worker_script(folder: Path) -> None:
    """Three threads with 40 MB of buffers and a map each."""
    (folder / "workers.js").write_text(
        "const {Worker, isMainThread, parentPort, workerData} = require('worker_threads');\n"
        "if (isMainThread) {\n"
        "  const results = []; let ended = 0;\n"
        "  for (let i = 0; i < 3; i++) {\n"
        "    new Worker(__filename, {workerData: i}).on('message', (m) => {\n"
        "      results[i] = m; if (++ended == 3) console.log(results.join(' ')); });\n"
        "  }\n"
        "} else {\n"
        "  const hash = require('crypto').createHash('sha1'), buffers = [], map = new Map();\n"
        "  for (let i = 0; i < 40; i++) buffers.push(Buffer.alloc(1 << 20, workerData + i));\n"
        "  for (let i = 0; i < 100000; i++) map.set('k' + i, {i});\n"
        "  for (const buffer of buffers) hash.update(buffer);\n"
        "  parentPort.postMessage(hash.digest('hex') + map.size);\n"
        "}\n",
        encoding="ascii",
    )


PYTHON = """
d = {i: str(i) for i in range(1500000)}
print(sum(len(d[i]) for i in range(1500000)))
"""

PERL = "my %h; $h{$_} = $_ * 2 for 1 .. 1000000; my $n = 0; $n += $h{$_} for keys %h; print qq($n\\n)"

PERL_FORKS = (
    "my @a = map { qq(x$_) } 1 .. 500000; my @children;"
    " for my $k (1 .. 4) { pipe(my $in, my $out); my $pid = fork();"
    " if (!$pid) { my $n = 0; $n += length($_) * $k for @a; $a[$_] .= qq(y$k) for 0 .. 200000;"
    " print $out $n + length($a[7]); exit 0 } close $out; push @children, [$pid, $in] }"
    " for (@children) { my $in = $_->[1]; print scalar(<$in>), qq(\\n); waitpid $_->[0], 0; print $?, qq(\\n) }"
)

NODE = (
    "const a = []; for (let i = 0; i < 1500000; ++i) a.push({id: i, name: 'n' + i});"
    "let n = 0; for (const o of a) n += o.name.length + o.id; console.log(n)"
)

SQLITE = (
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);"
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 600000)"
    " INSERT INTO t SELECT x, hex(x * 2654435761 % 4294967296) || hex(x) FROM c;"
    "CREATE INDEX i ON t(b); SELECT count(*), min(b), max(b) FROM t;"
    "SELECT sum(a) FROM t WHERE b > '5';"
)

RUBY = "h = {}; 800000.times { |i| h[i.to_s] = i }; n = 0; h.each { |k, v| n += k.size + v }; puts n"

PHP = "$a = []; for ($i = 0; $i < 1500000; ++$i) $a[] = 'n' . $i; $n = 0; foreach ($a as $s) $n += strlen($s); echo $n;"

REDIS = (
    "redis-server --port 0 --unixsocket redis.sock --save '' --daemonize no --logfile /dev/null & server=$!;"
    " for i in $(seq 200); do redis-cli -s redis.sock ping >/dev/null 2>&1 && break; sleep 0.05; done;"
    " redis-cli -s redis.sock eval 'for i = 1, 600000 do redis.call(\"set\", \"key:\" .. i, string.rep(\"v\", 100)) end' 0;"
    " redis-benchmark -s redis.sock -n 100000 -r 600000 -t get -q >/dev/null 2>&1; redis-cli -s redis.sock dbsize;"
    " redis-cli -s redis.sock shutdown nosave >/dev/null 2>&1; wait $server"
)

PROGRAMS = (
    Program("python dict", 64, f"python3 -c '{PYTHON}'", ("python3",)),
    Program("perl hash", 96, f"perl -e '{PERL}'", ("perl",)),
    Program("perl forks", 96, f"perl -e '{PERL_FORKS}'", ("perl",)),
    Program("node objects", 96, f'node -e "{NODE}"', ("node",)),
    Program("node workers", 84, "node workers.js", ("node",), write_worker_script),
    Program(
        "java map",
        160,
        "test -f Big.class || javac Big.java; java -Xmx600m Big",
        ("java", "javac"),
        write_java_program,
    ),
    Program(
        "javac",
        48,
        "rm -f *.class; javac Many.java && javap Many | cksum",
        ("javac", "javap"),
        write_java_methods,
    ),
    Program("ruby hash", 64, f"ruby -e '{RUBY}'", ("ruby",)),
    Program("php array", 64, f'php -d memory_limit=-1 -r "{PHP}"'.replace("$", "\\$"), ("php",)),
    Program("sqlite in memory", 24, f'sqlite3 :memory: "{SQLITE}"', ("sqlite3",)),
    Program("sort", 64, "sort --parallel=1 -S 1G lines.txt", ("sort",), write_lines),
    Program(
        "convert",
        88,
        "convert -size 3000x2000 gradient:red-blue -rotate 33 -resize 70% rgb:- | cksum",
        ("convert",),
    ),
    Program("xz -6", 64, "xz -6 -T1 -c lines.txt", ("xz",), write_lines),
    Program("zstd -15", 48, "zstd -15 -T1 -q -c lines.txt", ("zstd",), write_lines),
    Program("gcc -O2", 48, "gcc -O2 -c -o unit0.o unit0.c && cksum < unit0.o", ("gcc",), write_c_files),
    Program("make -j3", 96, "rm -f *.o; make -s -j3 && cat *.o | cksum", ("gcc", "make"), write_c_files),
    Program("redis", 64, REDIS, ("redis-server", "redis-benchmark")),
    Program(
        "go map, static",
        96,
        "test -x ./map || (HOME=$PWD CGO_ENABLED=0 go build -o map map.go); ./map",
        ("go",),
        write_go_program,
    ),
    Program("stress-ng --vm", 64, "stress-ng --vm 1 --vm-bytes 128M --vm-ops 4000 --verify -q", ("stress-ng",)),
)

SMOKE = (Program("python list", 64, "python3 -c 'print(sum(list(range(100000))))'", ("python3",)),)
