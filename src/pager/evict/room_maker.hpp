// RoomMaker: repeats calls that the kernel refuses for lack of mappings (vm.max_map_count) or of memory. Before it
// repeats a call, it evicts pages to free mappings or memory.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/evict/evictor.hpp"
#include "sys/transient.hpp"

#include <cerrno>

namespace faultline::pager {

/// Signal-safe. The caller is a reader of RegionMap::readers() and has signals blocked.
class RoomMaker {
public:
    explicit RoomMaker(PagerCore& core, Evictor& evictor) noexcept : core_{core}, evictor_{evictor} {}

    /// Calls `call`, which returns 0 or an errno and changes nothing when it fails, until it succeeds. After ENOMEM it
    /// evicts pages that take many mappings if the process is short of those, else a few pages; before another try it
    /// pauses. Returns 0, or the error that stays.
    template <typename Call>
    [[nodiscard]] int retry(Call call) FAULTLINE_SIGNAL_SAFE {
        sys::TransientWait wait{"mapping a page"};
        for (int tries = 0;; ++tries) {
            const int error = call();
            if (error == 0) return 0;
            const bool gives = error == ENOMEM && tries < kMostTries;
            if (gives && core_.mappers.short_of_mappings() && give_mappings_back()) continue;
            if (gives) give_memory_back();
            if ((error != ENOMEM && error != EBUSY) || !wait.again(error)) return error;
        }
    }

    /// Evicts pages that take many mappings, if the process is short of them.
    void spare_mappings() FAULTLINE_SIGNAL_SAFE {
        if (core_.mappers.short_of_mappings()) give_mappings_back();
    }

private:
    static constexpr int kMostTries = 8;

    bool give_mappings_back() FAULTLINE_SIGNAL_SAFE {
        store::SequentialWriteQueue queue;
        return evictor_.evict_fragmenting(queue).progress;
    }
    void give_memory_back() FAULTLINE_SIGNAL_SAFE {
        constexpr std::size_t kPages = 16;
        store::SequentialWriteQueue queue;
        static_cast<void>(evictor_.make_room(kPages, queue));
    }

    PagerCore& core_;
    Evictor& evictor_;
};

}  // namespace faultline::pager
