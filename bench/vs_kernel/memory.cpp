// The two kinds of memory: see memory.hpp.
#include "vs_kernel/memory.hpp"

#include <sys/resource.h>

#include <faultline/faultline.hpp>

#include "support/mapping.hpp"
#include "vs_kernel/options.hpp"

namespace bench {
namespace {

faultline::Config config_of(const Options& options) {
    faultline::Config config;
    config.resident_limit = options.resident;
    config.swap_directory = options.swap_directory;
    config.delivery = options.delivery;
    config.eviction = options.eviction;
    config.replacement = options.replacement;
    config.read_ahead = options.read_ahead;
    config.background_evictor = options.background_evictor;
    config.compressed_limit = options.compressed;
    return config;
}

class FaultlineMemory final : public Memory {
public:
    explicit FaultlineMemory(const Options& options)
        : pager_{config_of(options)},
          region_{pager_.reserve(options.size, {.page_size = options.page_size})},
          description_{std::string{faultline::to_string(pager_.delivery())} + ", " +
                       faultline::to_string(pager_.eviction()) + ", " + faultline::to_string(options.replacement)} {}

    [[nodiscard]] std::span<std::byte> bytes() const override { return region_.bytes(); }
    [[nodiscard]] std::string description() const override { return description_; }
    [[nodiscard]] FaultCounts faults() const override {
        const faultline::PagerStats stats = pager_.stats();
        // Faults, not pages: one first touch may map several pages.
        return {stats.hard_faults, stats.soft_faults + stats.first_touch_latency.count()};
    }
    void will_need(std::span<const std::span<std::byte>> ranges) override {
        for (const std::span<std::byte> range : ranges) {
            region_.advise(range.data(), range.size(), faultline::Advice::willneed);
        }
    }

private:
    faultline::Pager pager_;
    faultline::Region region_;
    std::string description_;
};

class KernelMemory final : public Memory {
public:
    explicit KernelMemory(Mapping mapping) : mapping_{std::move(mapping)} {}

    [[nodiscard]] std::span<std::byte> bytes() const override { return {mapping_.data(), mapping_.size()}; }
    [[nodiscard]] std::string description() const override { return "kernel"; }
    [[nodiscard]] FaultCounts faults() const override { return kernel_fault_counts(); }
    void will_need(std::span<const std::span<std::byte>> ranges) override {
        for (const std::span<std::byte> range : ranges) {
            check(::madvise(range.data(), range.size(), MADV_WILLNEED), "madvise(MADV_WILLNEED)");
        }
    }

private:
    Mapping mapping_;
};

}  // namespace

FaultCounts kernel_fault_counts() {
    rusage usage{};
    check(::getrusage(RUSAGE_SELF, &usage), "getrusage");
    return {static_cast<std::uint64_t>(usage.ru_majflt), static_cast<std::uint64_t>(usage.ru_minflt)};
}

std::unique_ptr<Memory> make_faultline_memory(const Options& options) {
    return std::make_unique<FaultlineMemory>(options);
}

std::unique_ptr<Memory> make_kernel_memory(std::size_t bytes, int file) {
    return std::make_unique<KernelMemory>(file == -1 ? Mapping::anonymous(bytes) : Mapping::shared_file(file, bytes));
}

}  // namespace bench
