#include "tool/doctor/finding.hpp"

#include "display/format.hpp"
#include "display/json.hpp"

#include <algorithm>
#include <string_view>

namespace faultline::tool {
namespace {

constexpr std::size_t kIndent = 21;  // of the text after verdict and topic
constexpr std::size_t kNarrowest = 24;

/// Returns `text` in lines of at most `width`, with the second and later lines indented. Keeps longer words whole.
std::string wrapped(std::string_view text, std::size_t width) {
    std::string result;
    std::size_t used = 0;
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(word.size() + 1, text.size()));
        if (used > 0 && used + 1 + word.size() > width) {
            result += "\n" + std::string(kIndent, ' ');
            used = 0;
        }
        if (used > 0) {
            result += ' ';
            ++used;
        }
        result += word;
        used += word.size();
    }
    return result + "\n";
}

}  // namespace

const char* name(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::good:
            return "good";
        case Verdict::less:
            return "less";
        case Verdict::bad:
            return "bad";
    }
    return "unknown";
}

bool all_work(const Findings& findings) noexcept {
    return std::none_of(findings.begin(), findings.end(), [](const Finding& f) { return f.verdict == Verdict::bad; });
}

std::string findings_text(const Findings& findings, std::size_t columns) {
    const std::size_t width = std::max(columns > kIndent ? columns - kIndent : 0, kNarrowest);
    std::string text;
    for (const Finding& finding : findings) {
        text += display::printed("%-5s %-14s ", name(finding.verdict), finding.topic.c_str()) +
                wrapped(finding.what, width);
        if (!finding.remedy.empty()) {
            text += std::string(kIndent - 3, ' ') + "-> " + wrapped(finding.remedy, width);
        }
    }
    return text + (all_work(findings) ? "Everything that matters works here.\n"
                                      : "Something that matters does not work here.\n");
}

std::string findings_json(const Findings& findings) {
    display::Json list = display::Json::array();
    for (const Finding& finding : findings) {
        list.push_back({{"topic", finding.topic},
                        {"verdict", name(finding.verdict)},
                        {"what", finding.what},
                        {"remedy", finding.remedy}});
    }
    return display::json_text({{"works", all_work(findings)}, {"findings", list}});
}

}  // namespace faultline::tool
