// Helpers of the failure tests: scoped resource limits, and a check that a pager works or says why it does not.
#pragma once

#include "support/child.hpp"
#include "support/process.hpp"
#include "support/sanitizers.hpp"
#include "support/variants.hpp"

#include <faultline/faultline.hpp>

#include <sys/resource.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <system_error>

namespace faultline::test {

/// Exit code of a child to which the kernel refuses seccomp filters.
inline constexpr int kNoFilters = 77;

inline constexpr std::size_t kSmallLimit = 16 * kBasePageBytes;

/// Sets a soft limit; the destructor restores the previous one.
class ScopedLimit {
public:
    ScopedLimit(int resource, rlim_t most) : resource_{resource} {
        if (::getrlimit(which(), &before_) != 0) throw std::system_error(errno, std::generic_category(), "getrlimit");
        rlimit changed = before_;
        changed.rlim_cur = most;
        if (::setrlimit(which(), &changed) != 0) throw std::system_error(errno, std::generic_category(), "setrlimit");
    }
    ~ScopedLimit() { ::setrlimit(which(), &before_); }
    ScopedLimit(const ScopedLimit&) = delete;
    ScopedLimit& operator=(const ScopedLimit&) = delete;

private:
    [[nodiscard]] __rlimit_resource which() const noexcept { return static_cast<__rlimit_resource>(resource_); }
    int resource_;
    rlimit before_{};
};

inline Config small_config(Delivery delivery) {
    Config config;
    config.resident_limit = kSmallLimit;
    config.delivery = delivery;
    return config;
}

/// Makes a pager and a region of four times the limit, writes every page and checks it. Returns the number of wrong
/// pages. If `reason` is not null, stores there what the pager logged. Throws what the pager throws.
inline std::size_t wrong_pages_of_a_life(const Config& config, std::string* reason = nullptr) {
    Config with_log = config;
    if (reason != nullptr) {
        with_log.log = [reason](LogLevel level, std::string_view message) {
            if (level == LogLevel::info) *reason += message;
        };
    }
    constexpr std::size_t kPages = 4 * kSmallLimit / kBasePageBytes;
    Pager pager{with_log};
    Region region = pager.reserve(kPages * kBasePageBytes);
    const auto word = [&](std::size_t page) {
        return reinterpret_cast<volatile std::uint64_t*>(region.data() + page * kBasePageBytes);
    };
    for (std::size_t page = 0; page < kPages; ++page) *word(page) = page + 1;
    std::size_t wrong = 0;
    for (std::size_t page = 0; page < kPages; ++page) wrong += *word(page) != page + 1 ? 1U : 0U;
    return wrong;
}

enum class Outcome : std::uint8_t { works, refused, wrong_contents };

struct Attempt {
    Outcome outcome = Outcome::works;
    int error = 0;
    std::string said;  ///< The message of the refusal.
};

/// Runs wrong_pages_of_a_life(). std::system_error counts as refused; other exceptions propagate.
inline Attempt attempt(const Config& config) {
    try {
        return {wrong_pages_of_a_life(config) == 0 ? Outcome::works : Outcome::wrong_contents, 0, {}};
    } catch (const std::system_error& error) {
        return {Outcome::refused, error.code().value(), error.what()};
    }
}

/// Resources that a failed constructor must not leak.
struct Belongings {
    std::size_t descriptors = open_descriptors();
    std::size_t mapped = mappings();
};

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Returns the name of a delivery for test names.
struct DeliveryName {
    std::string operator()(const testing::TestParamInfo<Delivery>& info) const { return to_string(info.param); }
};

inline auto every_delivery() {
    return testing::Values(Delivery::uffd_threads, Delivery::uffd_signal, Delivery::sigsegv, Delivery::automatic);
}

/// Returns why the kernel refuses this delivery without any restriction by the test; empty if it does not.
inline std::string why_not_here(Delivery delivery) {
    try {
        const Pager probe{small_config(delivery)};
        return {};
    } catch (const std::system_error& error) {
        if (may_be_skipped(error, delivery)) return error.what();
        throw;
    }
}

}  // namespace faultline::test
