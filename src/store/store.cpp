#include <faultline/store.hpp>

namespace faultline {

Store::~Store() = default;

void Store::discard(std::uint64_t, std::uint64_t) {}
unsigned Store::concurrency() const noexcept { return 4; }
bool Store::is_signal_safe() const noexcept { return false; }

}  // namespace faultline
