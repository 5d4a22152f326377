// PagerSetup: what a pager is made of, chosen and checked before any of it is constructed.
#pragma once

#include "mmu/mappers.hpp"
#include "store/backing_store.hpp"

#include <faultline/config.hpp>

#include <memory>
#include <string>

namespace faultline::pager {

struct PagerSetup {
    /// Checks `config` and chooses the delivery, by trying what the kernel allows. `stores` null: swap files as
    /// `config` says. `mappers` null: those that belong to the delivery. Throws std::system_error.
    PagerSetup(const Config& config, std::unique_ptr<store::StoreFactory> stores,
               std::unique_ptr<mmu::Mappers> mappers);

    Config config;       ///< With the delivery that was chosen.
    std::string reason;  ///< Why that delivery.
    std::unique_ptr<store::StoreFactory> stores;
    std::unique_ptr<mmu::Mappers> mappers;
};

}  // namespace faultline::pager
