// Variants: the matrix over which tests of behaviour run, and how a test makes a pager of one of them.
#pragma once

#include "support/sanitizers.hpp"

#include <faultline/faultline.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

namespace faultline::test {

struct Variant {
    Delivery delivery = Delivery::uffd_signal;
    Eviction eviction = Eviction::move;
    Replacement replacement = Replacement::second_chance;
    std::size_t page_size = kBasePageBytes;
};

/// Returns a name for tests: "uffd_signal_move_second_chance_4K".
inline std::string label(const Variant& variant) {
    return std::string(to_string(variant.delivery)) + "_" + to_string(variant.eviction) + "_" +
           to_string(variant.replacement) + "_" + std::to_string(variant.page_size >> 10) + "K";
}
inline void PrintTo(const Variant& variant, std::ostream* out) { *out << label(variant); }

struct VariantName {
    template <typename Info>
    std::string operator()(const Info& info) const {
        return label(info.param);
    }
};

/// Returns every delivery with each of its evictions, with one replacement and page size.
inline std::vector<Variant> deliveries_and_evictions(Replacement replacement = Replacement::second_chance,
                                                     std::size_t page_size = kBasePageBytes) {
    std::vector<Variant> all;
    for (Delivery delivery : {Delivery::uffd_signal, Delivery::uffd_threads}) {
        for (Eviction eviction : {Eviction::move, Eviction::copy})
            all.push_back({delivery, eviction, replacement, page_size});
    }
    for (Eviction eviction : {Eviction::guard, Eviction::protect}) {
        all.push_back({Delivery::sigsegv, eviction, replacement, page_size});
    }
    return all;
}

/// Returns the above with page sizes of 4 KiB, 64 KiB and 2 MiB, and with the other replacement, which does not depend
/// on page sizes.
inline std::vector<Variant> whole_matrix() {
    std::vector<Variant> all = deliveries_and_evictions(Replacement::fifo);
    for (std::size_t page_size : {std::size_t{4} << 10, std::size_t{64} << 10, std::size_t{2} << 20}) {
        for (const Variant& variant : deliveries_and_evictions(Replacement::second_chance, page_size)) {
            all.push_back(variant);
        }
    }
    return all;
}

inline Config config_for(const Variant& variant, std::size_t resident_limit) {
    Config config;
    config.resident_limit = resident_limit;
    config.delivery = variant.delivery;
    config.eviction = variant.eviction;
    config.replacement = variant.replacement;
    return config;
}

/// Returns whether `error` means that this user or kernel does not permit the request: the test is then skipped.
inline bool not_permitted(const std::system_error& error) {
    return error.code().value() == EPERM || error.code().value() == ENOSYS || error.code().value() == EOPNOTSUPP;
}

/// Returns whether this run demands `delivery`: FAULTLINE_REQUIRE_DELIVERIES lists it
/// ("uffd_threads,uffd_signal,sigsegv").
inline bool required(Delivery delivery) {
    const char* list = std::getenv("FAULTLINE_REQUIRE_DELIVERIES");
    if (list == nullptr) return false;
    return (',' + std::string(list) + ',').find(',' + std::string(to_string(delivery)) + ',') != std::string::npos;
}

/// Returns whether a test of `delivery` that met `error` may be skipped: this user or kernel does not permit the
/// request, and the run does not demand the delivery. A kernel that lacks one of its operations (EOPNOTSUPP) is always
/// an excuse.
inline bool may_be_skipped(const std::system_error& error, Delivery delivery) {
    return not_permitted(error) && (error.code().value() == EOPNOTSUPP || !required(delivery));
}

}  // namespace faultline::test

/// Declares `pager` from a Config, or skips the test if the delivery or eviction is not permitted here
/// (may_be_skipped).
#define FAULTLINE_PAGER_OR_SKIP(pager, config)                                                         \
    std::optional<::faultline::Pager> pager##_storage;                                                 \
    try {                                                                                              \
        pager##_storage.emplace(config);                                                               \
    } catch (const std::system_error& error) {                                                         \
        if (::faultline::test::may_be_skipped(error, (config).delivery)) GTEST_SKIP() << error.what(); \
        throw;                                                                                         \
    }                                                                                                  \
    ::faultline::Pager& pager = *pager##_storage
