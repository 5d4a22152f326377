// PagerSetup: what a pager is made of, chosen and checked before any of it is constructed.
#pragma once

#include "mmu/mappers.hpp"
#include "store/backing_store.hpp"

#include <faultline/config.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace faultline::pager {

struct PagerSetup {
    /// Checks `config`, lowers limits to the machine's memory, and chooses the delivery, by trying what the kernel
    /// allows. `stores` null: swap files as `config` says. `mappers` null: those that belong to the delivery. Throws
    /// std::system_error.
    PagerSetup(const Config& config, std::unique_ptr<store::StoreFactory> stores,
               std::unique_ptr<mmu::Mappers> mappers);

    Config config;                      ///< With the limits in force and the delivery that was chosen.
    std::vector<std::string> warnings;  ///< Of limits that were lowered. For the log, once it is open.
    std::string reason;                 ///< Why that delivery.
    std::unique_ptr<store::StoreFactory> stores;
    std::unique_ptr<mmu::Mappers> mappers;

private:
    void lower_limit(const char* name, std::size_t& bytes);
};

}  // namespace faultline::pager
