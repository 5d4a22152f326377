#include "policy/built_in_policies.hpp"

#include "policy/fifo.hpp"
#include "policy/second_chance.hpp"
#include "sys/lazy_array.hpp"

#include <array>

namespace faultline::policy {
namespace {

constexpr const char* kPurpose = "a replacement policy";

struct FifoMemory {
    explicit FifoMemory(const PolicySetup& setup) : links{setup.capacity + 1, kPurpose} {}
    static constexpr std::size_t kBytesPerFrame = sizeof(FrameLinks);

    sys::LazyArray<FrameLinks> links;
};

struct SecondChanceMemory {
    explicit SecondChanceMemory(const PolicySetup& setup)
        : links{setup.capacity + 1, kPurpose}, main_slots{setup.capacity + 1, kPurpose} {}
    static constexpr std::size_t kBytesPerFrame = sizeof(FrameLinks) + sizeof(FrameId);

    sys::LazyArray<FrameLinks> links;
    sys::LazyArray<FrameId> main_slots;
};

class OwningFifo final : private FifoMemory, public Fifo {
public:
    explicit OwningFifo(const PolicySetup& setup) : FifoMemory{setup}, Fifo{links.span()} {}
    [[nodiscard]] std::size_t bytes_per_frame() const FAULTLINE_SIGNAL_SAFE override { return kBytesPerFrame; }
};

class OwningSecondChance final : private SecondChanceMemory, public SecondChance {
public:
    explicit OwningSecondChance(const PolicySetup& setup)
        : SecondChanceMemory{setup},
          SecondChance{links.span(), main_slots.span(), setup.frames, setup.staging_percent} {}
    [[nodiscard]] std::size_t bytes_per_frame() const FAULTLINE_SIGNAL_SAFE override { return kBytesPerFrame; }
};

std::unique_ptr<ReplacementPolicy> make_fifo(const PolicySetup& setup) { return std::make_unique<OwningFifo>(setup); }
std::unique_ptr<ReplacementPolicy> make_second_chance(const PolicySetup& setup) {
    return std::make_unique<OwningSecondChance>(setup);
}

#define FAULTLINE_FACTORY(name, word) &make_##name,
constexpr std::array kFactories{FAULTLINE_REPLACEMENTS(FAULTLINE_FACTORY)};
#undef FAULTLINE_FACTORY

}  // namespace

PolicyFactory factory_of(Replacement replacement) { return kFactories.at(static_cast<std::size_t>(replacement)); }

}  // namespace faultline::policy
