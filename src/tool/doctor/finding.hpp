// Finding: one thing that the doctor has looked at, as a value: how it is, and how to get more where that is little.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace faultline::tool {

enum class Verdict : std::uint8_t {
    good,
    less,  ///< Works, and could work better.
    bad,   ///< Programs cannot be run, or will fail.
};

[[nodiscard]] const char* name(Verdict verdict) noexcept;

struct Finding {
    std::string topic;  ///< "io_uring"
    Verdict verdict = Verdict::good;
    std::string what;    ///< How it is, in a sentence without a full stop.
    std::string remedy;  ///< What to do to get more; empty: nothing needs to be done.
};

using Findings = std::vector<Finding>;

/// Whether all that matters works.
[[nodiscard]] bool all_work(const Findings& findings) noexcept;

/// For people, `columns` wide; and as a JSON object. Both end with a newline.
[[nodiscard]] std::string findings_text(const Findings& findings, std::size_t columns);
[[nodiscard]] std::string findings_json(const Findings& findings);

}  // namespace faultline::tool
