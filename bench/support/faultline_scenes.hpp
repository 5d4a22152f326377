// Scenes on a faultline region, one for each kind of fault. Each counts what really happened and reports it per touch:
// a scene that causes another fault than its name says shows it in its counters.
#pragma once

#include <faultline/faultline.hpp>
#include <filesystem>

#include "support/scene.hpp"

namespace bench {

struct FaultlineSetup {
    faultline::Delivery delivery = faultline::Delivery::uffd_signal;
    faultline::Eviction eviction = faultline::Eviction::automatic;
    std::filesystem::path swap_directory{};
    std::size_t pages = 4096;
    std::size_t page_bytes = faultline::kBasePageBytes;
    std::size_t spread_over =
        0;  ///< Size of the region, in which the pages have equal distances, in bytes; 0: no gaps.
    Order order = Order::random;
};

/// Pages that were never touched, or were discarded.
std::unique_ptr<Scene> make_first_touch_scene(const FaultlineSetup& setup);

/// Pages that are in the swap file only.
std::unique_ptr<Scene> make_hard_fault_scene(const FaultlineSetup& setup);

/// No faults: `perform` reserves a region of `spread_over` bytes and destroys it.
std::unique_ptr<Scene> make_reservation_scene(const FaultlineSetup& setup);

/// Staged pages: unmapped, frame still held. Throws if the pager stages none.
std::unique_ptr<Scene> make_soft_fault_scene(const FaultlineSetup& setup);

/// Clean resident pages before their first write.
std::unique_ptr<Scene> make_write_fault_scene(const FaultlineSetup& setup);

}  // namespace bench
