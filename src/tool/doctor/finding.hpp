// Finding: one item that the doctor has checked, as a value: its state, and how to improve it.
// Made by the checks of doctor.hpp, printed by doctor.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace faultline::tool {

enum class Verdict : std::uint8_t {
    good,
    less,  ///< Works, but could work better.
    bad,   ///< Programs cannot run, or will fail.
};

[[nodiscard]] const char* name(Verdict verdict) noexcept;

struct Finding {
    std::string topic;  ///< For example "io_uring".
    Verdict verdict = Verdict::good;
    std::string what;    ///< The state, in a sentence without a full stop.
    std::string remedy;  ///< What to do to improve it; empty: nothing.
};

using Findings = std::vector<Finding>;

/// Returns true if no finding is bad.
[[nodiscard]] bool all_work(const Findings& findings) noexcept;

/// Returns the findings as text, `columns` wide, and as a JSON object. Both end with a newline.
[[nodiscard]] std::string findings_text(const Findings& findings, std::size_t columns);
[[nodiscard]] std::string findings_json(const Findings& findings);

}  // namespace faultline::tool
