#include "pager/pager_setup.hpp"

#include "core/units.hpp"
#include "mmu/delivery_trial.hpp"
#include "pager/frame/memory_split.hpp"
#include "store/store_device.hpp"
#include "store/swap_space.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"
#include "sys/machine_memory.hpp"
#include "sys/own_memory.hpp"
#include "sys/valgrind.hpp"

#include <faultline/pager.hpp>

#include <cerrno>
#include <chrono>
#include <utility>

namespace faultline::pager {
namespace {

constexpr std::size_t kLeastCompressed = std::size_t{256} << 10;
constexpr std::size_t kLeastMemory = std::size_t{256} << 10;

std::unique_ptr<store::StoreFactory> stores_for(const Config& config) {
    const std::size_t memory = config.memory_limit;
    const std::size_t compressed = memory == 0 ? config.compressed_limit : MemorySplit::first_share(memory);
    const std::size_t most_compressed = memory < MemorySplit::kLeastMemory ? 0 : memory;
    if (config.store != nullptr) {
        return std::make_unique<store::SwapSpace>(std::make_shared<store::StoreDevice>(config.store), compressed,
                                                  most_compressed);
    }
    return std::make_unique<store::SwapSpace>(config.swap_directory, config.swap_file, compressed, most_compressed);
}

/// The faults of valgrind's simulated CPU do not reach a pager as the kernel's do: memory would be lost.
void refuse_valgrind() {
    if (!sys::runs_under_valgrind()) return;
    sys::throw_error(ENOTSUP,
                     "valgrind cannot run a program whose page faults faultline answers: run it without "
                     "valgrind, or build it with -fsanitize=address, which faultline supports");
}

void check(const Config& config) {
    refuse_valgrind();
    if (config.resident_limit < faultline::Pager::kMinimumPages * core::kUnitBytes) {
        sys::throw_error(EINVAL, "a resident limit of " + sys::readable_bytes(config.resident_limit) +
                                     " is too small: it must hold at least " +
                                     std::to_string(faultline::Pager::kMinimumPages) +
                                     " pages of 4 KiB (Config::resident_limit)");
    }
    if (config.compressed_limit != 0 && config.compressed_limit < kLeastCompressed) {
        sys::throw_error(EINVAL, "Config::compressed_limit of " + sys::readable_bytes(config.compressed_limit) +
                                     " is too small: it must be 0, or at least 256 KiB");
    }
    if (config.memory_limit != 0 && config.compressed_limit != 0) {
        sys::throw_error(EINVAL,
                         "Config::memory_limit includes the compressed pages, and divides the memory by itself: leave "
                         "Config::compressed_limit 0");
    }
    if (config.memory_limit != 0 && config.memory_limit < kLeastMemory) {
        sys::throw_error(EINVAL, "Config::memory_limit of " + sys::readable_bytes(config.memory_limit) +
                                     " is too small: it must be 0, or at least 256 KiB");
    }
    if (config.store != nullptr && config.fork == ForkPolicy::inherit) {
        sys::throw_error(EINVAL,
                         "Config::store cannot be shared with a child of fork: set Config::fork to ForkPolicy::refuse");
    }
    if (config.staging_percent > 50) sys::throw_error(EINVAL, "Config::staging_percent is above 50");
    if (!config.stack_samples_file.empty() && config.delivery == Delivery::uffd_threads) {
        sys::throw_error(EINVAL,
                         "Config::stack_samples_file needs the registers of the thread that faults, which handler "
                         "threads do not have: choose Delivery::uffd_signal, sigsegv or automatic");
    }
    if (config.stack_samples_rate == 0 || config.stack_samples_rate > 1'000'000) {
        sys::throw_error(EINVAL, "Config::stack_samples_rate is 0, or above 1000000");
    }
    if (config.stack_sample_bytes > sys::kMostCopied) {
        sys::throw_error(EINVAL, "Config::stack_sample_bytes is above 16 KiB");
    }
    if (config.handler_threads > 4096) sys::throw_error(EINVAL, "Config::handler_threads is above 4096");
    if (config.full_disk_patience.count() < 0 || config.full_disk_patience > std::chrono::hours{24 * 365}) {
        sys::throw_error(EINVAL, "Config::full_disk_patience is negative, or longer than a year");
    }
}

/// Stacks are sampled by the thread that faults.
mmu::ChosenDelivery choose_delivery(const Config& config) {
    if (config.stack_samples_file.empty() || config.delivery != Delivery::automatic) {
        return mmu::choose_delivery(config.delivery, config.eviction);
    }
    constexpr const char* kWhy = "stacks are recorded, so each thread resolves its own faults";
    if (mmu::try_delivery(Delivery::uffd_signal).empty()) return {Delivery::uffd_signal, kWhy};
    return {Delivery::sigsegv, kWhy};
}

}  // namespace

PagerSetup::PagerSetup(const Config& wanted, std::unique_ptr<store::StoreFactory> factory,
                       std::unique_ptr<mmu::Mappers> own_mappers)
    : config{wanted}, reason{"the mappers were given"}, stores{std::move(factory)}, mappers{std::move(own_mappers)} {
    check(config);
    lower_limit("Config::resident_limit", config.resident_limit);
    lower_limit("Config::compressed_limit", config.compressed_limit);
    lower_limit("Config::memory_limit", config.memory_limit);
    if (config.memory_limit != 0) config.resident_limit = config.memory_limit;  // the most that frames may have
    if (!config.stack_samples_file.empty()) {
        config.stack_samples_file = std::filesystem::absolute(config.stack_samples_file);  // a child may be elsewhere
    }
    if (!mappers) {
        const mmu::ChosenDelivery chosen = choose_delivery(config);
        config.delivery = chosen.delivery;
        reason = chosen.reason;
    }
    if (!stores) stores = stores_for(config);
}

void PagerSetup::lower_limit(const char* name, std::size_t& bytes) {
    std::string warning = sys::lower_to_machine_memory(name, bytes);
    if (!warning.empty()) warnings.push_back(std::move(warning));
}

}  // namespace faultline::pager
