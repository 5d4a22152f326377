"""The input files of the programs: each function writes those of one program into its folder."""

import random
import subprocess
from pathlib import Path


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


def write_cpp_file(folder: Path) -> None:
    """A C++ file with 60 classes that use the standard library's containers."""
    with open(folder / "classes.cpp", "w", encoding="ascii") as file:
        file.write("#include <algorithm>\n#include <map>\n#include <string>\n#include <vector>\n")
        for number in range(60):
            file.write(
                f"struct Entry{number} {{ int key; std::string name; }};\n"
                f"int f{number}(const std::vector<Entry{number}>& entries) {{\n"
                f"    std::map<std::string, Entry{number}> sorted;\n"
                "    for (const auto& entry : entries) sorted.emplace(entry.name, entry);\n"
                "    int sum = 0;\n"
                f"    for (const auto& [name, entry] : sorted) sum += entry.key * {number + 1};\n"
                "    return sum;\n"
                "}\n"
            )


def build_rust_program(folder: Path) -> None:
    """A map of 1.5 million entries."""
    (folder / "map.rs").write_text(
        "use std::collections::HashMap;\n"
        "fn main() {\n"
        "    let mut m: HashMap<u64, String> = HashMap::new();\n"
        "    for i in 0..1500000u64 { m.insert(i * 7919 % 1500007, i.to_string()); }\n"
        "    let n: usize = m.iter().map(|(k, v)| *k as usize + v.len()).sum();\n"
        '    println!("{} {}", m.len(), n);\n'
        "}\n",
        encoding="ascii",
    )
    subprocess.run(["rustc", "-O", "map.rs"], cwd=folder, check=True)


def write_nginx_files(folder: Path) -> None:
    """A page of 1 MiB, and a configuration that serves it on a socket."""
    (folder / "page").write_bytes(random.Random(3).randbytes(1 << 20))
    (folder / "nginx.conf").write_text(
        "daemon off; pid nginx.pid; error_log /dev/null; worker_processes 2;\n"
        "events {}\n"
        "http {\n"
        "    access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
        "    uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
        "    server { listen unix:nginx.sock; root .; gzip on; gzip_types *; }\n"
        "}\n",
        encoding="ascii",
    )
