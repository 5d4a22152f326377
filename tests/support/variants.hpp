// The matrix that tests of behaviour run over, and how a test makes a pager of one of its variants.
#pragma once

#include <faultline/faultline.hpp>

#include <gtest/gtest.h>

#include <cerrno>
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

/// For test names: "uffd_signal_move_second_chance_4K".
inline std::string label(const Variant& variant) {
    return std::string(name(variant.delivery)) + "_" + name(variant.eviction) + "_" + name(variant.replacement) + "_" +
           std::to_string(variant.page_size >> 10) + "K";
}
inline void PrintTo(const Variant& variant, std::ostream* out) { *out << label(variant); }

struct VariantName {
    template <typename Info>
    std::string operator()(const Info& info) const {
        return label(info.param);
    }
};

/// Every delivery with each of its ways to evict, with one replacement and page size.
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

/// The above with page sizes of 4 KiB, 64 KiB and 2 MiB; and with the other replacement, which does not see page sizes.
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

/// Whether `error` says that this user or kernel may not have what was asked for: then the test is skipped, not failed.
inline bool not_permitted(const std::system_error& error) {
    return error.code().value() == EPERM || error.code().value() == ENOSYS || error.code().value() == EOPNOTSUPP;
}

}  // namespace faultline::test

/// Declares `pager` from a Config, or skips the test where the delivery or eviction is not permitted here.
#define FAULTLINE_PAGER_OR_SKIP(pager, config)                                     \
    std::optional<::faultline::Pager> pager##_storage;                             \
    try {                                                                          \
        pager##_storage.emplace(config);                                           \
    } catch (const std::system_error& error) {                                     \
        if (::faultline::test::not_permitted(error)) GTEST_SKIP() << error.what(); \
        throw;                                                                     \
    }                                                                              \
    ::faultline::Pager& pager = *pager##_storage
