// The states into which tests bring a page before the program or the kernel does something to it.
#pragma once

#include <cstdint>

namespace faultline::test {

enum class Page : std::uint8_t { dirty, clean, absent };

}  // namespace faultline::test
