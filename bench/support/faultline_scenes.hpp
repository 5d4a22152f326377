// Scenes on a faultline region, one for each kind of fault. All of them count what really happened and report it per
// touch: a scene that provokes another fault than its name says shows it in its own counters.
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
    std::size_t spread_over = 0;  ///< Bytes of the region, at equal distances in which the pages are; 0: no gaps.
    Order order = Order::random;
};

/// Pages that were never touched, or are forgotten again.
std::unique_ptr<Scene> make_first_touch_scene(const FaultlineSetup& setup);

/// Pages that are only in the swap file.
std::unique_ptr<Scene> make_hard_fault_scene(const FaultlineSetup& setup);

/// No faults: reserving a region of `spread_over` bytes and giving it back, which is what `perform` does.
std::unique_ptr<Scene> make_reservation_scene(const FaultlineSetup& setup);

/// Pages that were evicted a moment ago: off the view, frame still held. Throws when the pager keeps none in that
/// state.
std::unique_ptr<Scene> make_soft_fault_scene(const FaultlineSetup& setup);

/// Pages that came in clean and wait for their first write.
std::unique_ptr<Scene> make_write_fault_scene(const FaultlineSetup& setup);

}  // namespace bench
