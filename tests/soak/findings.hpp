// Findings: counts the errors of a run and prints the first few. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>

namespace faultline::soak {

class Findings {
public:
    /// Reports that memory does not hold what was written to it.
    void mismatch(const std::string& what) {
        mismatches_.fetch_add(1);
        print("mismatch", what);
    }
    /// Reports any other error: an unexpected exception, a figure above its limit, a child with the wrong end.
    void fault(const std::string& what) {
        faults_.fetch_add(1);
        print("fault", what);
    }

    [[nodiscard]] std::uint64_t mismatches() const noexcept { return mismatches_.load(); }
    [[nodiscard]] bool any() const noexcept { return mismatches_.load() + faults_.load() > 0; }

private:
    static constexpr std::uint64_t kMostPrinted = 16;

    void print(const char* kind, const std::string& what) {
        const std::lock_guard lock{printing_};
        if (printed_++ < kMostPrinted) std::fprintf(stderr, "\n%s: %s\n", kind, what.c_str());
    }

    std::atomic<std::uint64_t> mismatches_{0};
    std::atomic<std::uint64_t> faults_{0};
    std::mutex printing_;
    std::uint64_t printed_ = 0;  // guarded by printing_
};

}  // namespace faultline::soak
