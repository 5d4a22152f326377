// Runs the calling program once more, without libfaultline-preload.so, so that the kernel's own results are the oracle.
// A test says in lines what it has seen, and compares them with those of the second run.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

/// Returns the lines that the program prints with these arguments.
inline std::vector<std::string> lines_without_preload(const std::vector<std::string>& arguments) {
    char self[256]{};
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) std::abort();
    std::string command = std::string{"exec env -u LD_PRELOAD '"} + self + "'";
    for (const std::string& argument : arguments) command += " " + argument;
    std::FILE* const output = popen(command.c_str(), "r");
    std::vector<std::string> lines;
    char* line = nullptr;
    std::size_t room = 0;
    for (ssize_t bytes = 0; (bytes = getline(&line, &room, output)) > 0;) {
        lines.emplace_back(line, static_cast<std::size_t>(bytes - 1));
    }
    std::free(line);
    pclose(output);
    return lines;
}

/// Prints the first difference, with the lines in front of it. Returns the exit code of the test.
inline int compare_lines(const std::vector<std::string>& want, const std::vector<std::string>& got) {
    if (want.size() != got.size()) {
        std::printf("%zu lines instead of %zu\n", got.size(), want.size());
        return 1;
    }
    for (std::size_t i = 0; i < want.size(); ++i) {
        if (want[i] == got[i]) continue;
        for (std::size_t j = i < 3 ? 0 : i - 3; j < i; ++j) std::printf("step %zu: %s\n", j, want[j].c_str());
        std::printf("step %zu: %s\n    want: %s\n", i, got[i].c_str(), want[i].c_str());
        return 1;
    }
    std::printf("all right\n");
    return 0;
}
