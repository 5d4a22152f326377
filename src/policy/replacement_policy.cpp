#include <faultline/replacement_policy.hpp>

namespace faultline {

ReplacementPolicy::~ReplacementPolicy() = default;

void ReplacementPolicy::referenced(FrameId) noexcept {}
void ReplacementPolicy::demote(FrameId) noexcept {}
std::size_t ReplacementPolicy::staging_target(std::size_t) const noexcept { return 0; }
void ReplacementPolicy::resized(std::size_t) noexcept {}
std::size_t ReplacementPolicy::bytes_per_frame() const noexcept { return 0; }

}  // namespace faultline
