// The kernel's own minor fault on anonymous memory, of pages of 4 KiB.
#include "support/latency_cases.hpp"
#include "support/mapping.hpp"
#include "support/scene.hpp"

namespace bench {
namespace {

class AnonymousScene final : public Scene {
public:
    AnonymousScene(std::size_t pages, Order order)
        : memory_{Mapping::anonymous(pages * kPageBytes)},
          targets_{page_addresses(memory_.data(), pages, kPageBytes, order)} {}

    std::span<std::byte* const> prepare() override {
        check(::madvise(memory_.data(), memory_.size(), MADV_DONTNEED), "madvise(MADV_DONTNEED)");
        return targets_;
    }

private:
    Mapping memory_;
    std::vector<std::byte*> targets_;
};

}  // namespace

void register_kernel_cases(const LatencyOptions& options) {
    for (const Act act : {Act::read, Act::write}) {
        for (const Order order : {Order::random, Order::sequential}) {
            register_for_threads(
                std::string{"kernel/first_touch/"} + name(act) + '/' + name(order), act,
                [pages = options.pages(), order] { return std::make_unique<AnonymousScene>(pages, order); });
        }
    }
}

}  // namespace bench
