// ArrayMemory: one mapping from which several arrays take their memory. A mapping of its own for each would cost eight
// system calls each.
#pragma once

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/mapping.hpp"

#include <cstddef>
#include <utility>

namespace faultline::sys {

/// Not thread-safe. Outlives the arrays.
class ArrayMemory {
public:
    /// Reserves `bytes` of zeros. `purpose` names them in error messages. Throws std::system_error (ENOMEM).
    ArrayMemory(std::size_t bytes, const char* purpose)
        : mapping_{Mapping::reserve(bytes, core::kUnitBytes, true, purpose)} {}

    /// Names a part that `other.take` has returned. `other` outlives this.
    explicit ArrayMemory(Mapping part) noexcept : mapping_{std::move(part)} {}

    /// Returns the memory of all its arrays to the kernel. They are not used any more.
    void discard() noexcept { static_cast<void>(mapping_.discard_part(0, mapping_.size())); }

    /// Returns the next `bytes`, a multiple of 4 KiB.
    [[nodiscard]] Mapping take(std::size_t bytes) noexcept {
        FAULTLINE_REQUIRE(bytes <= mapping_.size() - used_, "arrays take more memory than was reserved for them");
        Mapping part = mapping_.part(used_, bytes);
        used_ += bytes;
        return part;
    }

private:
    Mapping mapping_;
    std::size_t used_ = 0;
};

}  // namespace faultline::sys
