// ArenaPlan: the sizes and addresses of a space's two arenas, computed from the image and the Layout. Checks both; it
// reserves nothing.
#pragma once

#include <faultline/address_space.hpp>
#include <faultline/layout.hpp>

#include <cstddef>
#include <span>

namespace faultline::space {

inline constexpr std::size_t kMostArenaBytes = std::size_t{8}
                                               << 40;  // a region has at most 2^32 pages; this leaves room

struct ArenaPlan {
    std::size_t low_bytes = 0;
    std::size_t high_bytes = 0;
    ClonePlace place{};  ///< Address of each arena; 0: a random one.
};

/// Returns the size of the image in bytes, whole pages. Throws EINVAL for an impossible segment.
[[nodiscard]] std::size_t image_bytes(std::span<const ImageSegment> image);

/// Throws EINVAL for an impossible image or layout.
[[nodiscard]] ArenaPlan plan_arenas(std::span<const ImageSegment> image, const Layout& layout);

}  // namespace faultline::space
