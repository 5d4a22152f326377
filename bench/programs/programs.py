"""The programs that are run under a limit: what each does, what it needs, and the limit that is too small for it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from inputs import (
    build_rust_program,
    write_c_files,
    write_cpp_file,
    write_go_program,
    write_java_methods,
    write_java_program,
    write_lines,
    write_nginx_files,
    write_worker_script,
)


def no_inputs(_folder: Path) -> None:
    """For programs that read no file."""


def has_python_module(name: str) -> bool:
    """True if Debian's Python finds the module."""
    command = ["/usr/bin/python3", "-c", f"import {name}"]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


@dataclass(frozen=True)
class Program:
    """One program. `command` is a shell command, run in a folder in which `prepare` has written its inputs."""

    name: str
    limit_mib: int
    command: str
    needs: tuple[str, ...]
    prepare: Callable[[Path], None] = no_inputs
    modules: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Returns the executables and the modules of Debian's Python that this machine does not have."""
        executables = [executable for executable in self.needs if shutil.which(executable) is None]
        return executables or [module for module in self.modules if not has_python_module(module)]


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

REDIS_START = (
    "rm -f dump.rdb;"
    " redis-server --port 0 --unixsocket redis.sock --save '' --daemonize no --logfile /dev/null & server=$!;"
    " for i in $(seq 200); do redis-cli -s redis.sock ping >/dev/null 2>&1 && break; sleep 0.05; done;"
    " redis-cli -s redis.sock eval"
    " 'for i = 1, {keys} do redis.call(\"set\", \"key:\" .. i, string.rep(\"v\", 100)) end' 0;"
)

REDIS_STOP = " redis-cli -s redis.sock dbsize; redis-cli -s redis.sock shutdown nosave >/dev/null 2>&1; wait $server"

REDIS_GET = (
    REDIS_START.format(keys=600000)
    + " redis-benchmark -s redis.sock -n 100000 -r 600000 -t get -q >/dev/null 2>&1;"
    + REDIS_STOP
)

REDIS_SAVE = (
    REDIS_START.format(keys=500000)
    + " redis-cli -s redis.sock bgsave; sleep 0.1;"
    + " while redis-cli -s redis.sock info persistence | grep -q in_progress:1; do sleep 0.05; done;"
    + " redis-cli -s redis.sock info persistence | grep last_bgsave_status;"
    + REDIS_STOP
)

# PostgreSQL refuses to run as root.
POSTGRES = (
    'rm -rf data; user=; if [ "$(id -u)" = 0 ]; then'
    " user='setpriv --reuid=65534 --regid=65534 --clear-groups'; mkdir -m 777 data; chown 65534 data; fi;"
    " PATH=$PATH:$(echo /usr/lib/postgresql/*/bin); $user initdb -N -A trust -U me -D data >/dev/null && "
    " $user pg_ctl -D data -w -s -l /dev/null -o \"-F -k $PWD -c listen_addresses='' -c shared_buffers=32MB\" start;"
    " $user pgbench -h $PWD -U me -i -q -s 5 postgres >/dev/null 2>&1;"
    " $user pgbench -h $PWD -U me --random-seed=1 -n -c 1 -t 1000 postgres >/dev/null 2>&1; echo $?;"
    " $user psql -h $PWD -U me -A -t -c 'select count(*), sum(abalance), sum(hashtext(filler)) from pgbench_accounts'"
    " postgres; $user pg_ctl -D data -s -m fast stop; echo $?"
)

NUMPY = (
    "import numpy as n; a = n.random.RandomState(1).rand(6000000); b = n.sort(a); c = n.cumsum(b * a);"
    " print(b[::500000].sum(), c[-1])"
)

PANDAS = (
    "import pandas as p, numpy as n; r = n.random.RandomState(1);"
    " d = p.DataFrame(dict(k=r.randint(0, 50000, 1500000), v=r.rand(1500000)));"
    " g = d.groupby(chr(107)).v.agg([min, max, sum]); print(len(g), g.sum().tolist(), len(d.merge(g, on=chr(107))))"
)

NODE_BUFFERS = (
    "const a = []; for (let i = 0; i < 150; ++i) a.push(Buffer.alloc(1 << 20, i)); let n = 0;"
    " for (let r = 0; r < 3; ++r) for (const b of a) for (let i = 0; i < b.length; i += 64) { n += b[i]; b[i] ^= r }"
    " console.log(n)"
)

NGINX = (
    "nginx -p $PWD -c nginx.conf -e /dev/null & server=$!;"
    " for i in $(seq 200); do test -S nginx.sock && break; sleep 0.05; done;"
    " for i in $(seq 100); do curl -s --compressed --unix-socket nginx.sock http://localhost/page; done | cksum;"
    " kill -QUIT $server; wait $server; echo $?; rm -f nginx.sock"
)

GIT = (
    "rm -rf .git; export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*';"
    " export HOME=$PWD GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000';"
    " git init -q . && git add lines.txt &&"
    " git -c user.name=n -c user.email=e commit -q -m first && sort lines.txt -o more.txt && git add more.txt &&"
    " git -c user.name=n -c user.email=e commit -q -m second && git gc -q && git fsck && git rev-parse HEAD"
)

APT = (
    "mkdir -p state/lists/partial cache; apt-get -qq -o Dir::State=$PWD/state -o Dir::Cache=$PWD/cache"
    " -o Dir::State::status=/var/lib/dpkg/status -o APT::Sandbox::User= update; echo $?; rm -r state cache"
)

PROGRAMS = (
    Program("python dict", 64, f"python3 -c '{PYTHON}'", ("python3",)),
    Program("numpy", 64, f'/usr/bin/python3 -c "{NUMPY}"', ("/usr/bin/python3",), modules=("numpy",)),
    Program("pandas", 96, f'/usr/bin/python3 -c "{PANDAS}"', ("/usr/bin/python3",), modules=("pandas",)),
    Program("perl hash", 96, f"perl -e '{PERL}'", ("perl",)),
    Program("perl forks", 96, f"perl -e '{PERL_FORKS}'", ("perl",)),
    Program("node objects", 96, f'node -e "{NODE}"', ("node",)),
    Program("node buffers", 84, f'node -e "{NODE_BUFFERS}"', ("node",)),
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
    Program("xz -T2", 64, "xz -3 -T2 -c lines.txt", ("xz",), write_lines),
    Program("zstd -T2", 64, "zstd -12 -T2 -q -c lines.txt", ("zstd",), write_lines),
    Program("gcc -O2", 48, "gcc -O2 -c -o unit0.o unit0.c && cksum < unit0.o", ("gcc",), write_c_files),
    Program(
        "clang++ -O2",
        48,
        "clang++ -O2 -c -o classes.o classes.cpp && cksum < classes.o",
        ("clang++",),
        write_cpp_file,
    ),
    Program("rust map", 64, "./map", ("rustc",), build_rust_program),
    Program("make -j3", 96, "rm -f *.o; make -s -j3 && cat *.o | cksum", ("gcc", "make"), write_c_files),
    Program("redis get", 64, REDIS_GET, ("redis-server", "redis-benchmark")),
    Program("redis bgsave", 64, REDIS_SAVE, ("redis-server", "redis-cli")),
    Program("postgres", 48, POSTGRES, ("pgbench", "psql", "setpriv")),
    Program("nginx", 32, NGINX, ("nginx", "curl"), write_nginx_files),
    Program(
        "go map, static",
        96,
        "test -x ./map || (HOME=$PWD CGO_ENABLED=0 go build -o map map.go); ./map",
        ("go",),
        write_go_program,
    ),
    Program("git gc", 32, GIT, ("git",), write_lines),
    Program("man", 16, "man man | cksum", ("man",)),
    Program("apt-get update", 32, APT, ("apt-get",)),
    Program("memtester", 24, "MEMTESTER_TEST_MASK=15 memtester 16M 1 | grep -o 'ok$'", ("memtester",)),
    Program("stress-ng --vm", 64, "stress-ng --vm 1 --vm-bytes 128M --vm-ops 4000 --verify -q", ("stress-ng",)),
)

SMOKE = (Program("python list", 64, "python3 -c 'print(sum(list(range(100000))))'", ("python3",)),)
