// Seeds of random tests that the test's report names.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace faultline::test {

/// Returns `seed` after adding it to the report of the running test.
inline std::uint64_t recorded_seed(std::uint64_t seed) {
    testing::Test::RecordProperty("seed", std::to_string(seed));
    return seed;
}

}  // namespace faultline::test
