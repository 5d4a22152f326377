// PagerSetup: what a pager is made of, chosen and checked before any of it is constructed.
#pragma once

#include "mmu/mapper.hpp"
#include "store/backing_store.hpp"

#include <faultline/config.hpp>

#include <memory>
#include <string>

namespace faultline::pager {

struct PagerSetup {
    /// Checks `config` and chooses the delivery, by trying what the kernel allows. `stores` null: swap files as
    /// `config` says. `mapper` null: the one that belongs to the delivery. Throws std::system_error.
    PagerSetup(const Config& config, std::unique_ptr<store::StoreFactory> stores, std::unique_ptr<mmu::Mapper> mapper);

    Config config;       ///< With the delivery that was chosen.
    std::string reason;  ///< Why that delivery.
    std::unique_ptr<store::StoreFactory> stores;
    std::unique_ptr<mmu::Mapper> mapper;
};

}  // namespace faultline::pager
