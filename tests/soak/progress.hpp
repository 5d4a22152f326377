// Progress: prints a line per round, or a progress bar on a terminal.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

namespace faultline::soak {

class Progress {
public:
    void round_began(std::uint64_t number, const std::string& what) const {
        if (!terminal_) std::printf("round %llu: %s", static_cast<unsigned long long>(number), what.c_str());
        std::fflush(stdout);
    }
    void round_ended(std::uint64_t number, std::uint64_t operations, double done) const {
        if (terminal_) {
            const auto width = static_cast<std::size_t>(std::clamp(done, 0.0, 1.0) * 40);
            std::printf("\r[%-40s] %3.0f%%  %llu rounds ", std::string(width, '#').c_str(), std::min(done, 1.0) * 100,
                        static_cast<unsigned long long>(number));
        } else {
            std::printf(": %llu operations\n", static_cast<unsigned long long>(operations));
        }
        std::fflush(stdout);
    }
    void finish() const {
        if (terminal_) std::printf("\n");
    }

private:
    bool terminal_ = ::isatty(STDOUT_FILENO) == 1;
};

}  // namespace faultline::soak
