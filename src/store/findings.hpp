// Findings: what a check of the store's own records finds wrong, in words. Not for the fault path: it allocates.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace faultline::store {

class Findings {
public:
    void expect(bool holds, const std::string& what) {
        if (!holds) problems_.push_back(what);
    }
    template <typename Number>
    void expect_equal(Number found, Number wanted, const std::string& what) {
        expect(found == wanted, what + " is " + std::to_string(found) + " instead of " + std::to_string(wanted));
    }

    /// Returns what is wrong. Empty: nothing.
    [[nodiscard]] std::vector<std::string> take() noexcept { return std::move(problems_); }

private:
    std::vector<std::string> problems_;
};

}  // namespace faultline::store
