// ReadAhead: notices threads that walk through stored pages in order, and says how many pages after the faulting one to
// bring along. Sixteen streams at once; a stream's window doubles with every fault that falls where the last window
// ended. Pure logic: the caller serialises calls. Signal-safe.
#pragma once

#include "core/signal_safe.hpp"

#include <array>
#include <cstdint>

namespace faultline::policy {

class ReadAhead {
public:
    static constexpr std::uint32_t kLongestWindow = 16;  // pages, the faulting one included

    /// A hard fault on page number `page` (unique across regions, neighbours adjacent). Returns how many of the pages
    /// that follow should come along, below `kLongestWindow`.
    std::uint32_t pages_after(std::uint64_t page) FAULTLINE_SIGNAL_SAFE {
        ++now_;
        Stream* oldest = &streams_[0];
        for (Stream& stream : streams_) {
            if (page - stream.next <= kSlack && stream.window != 0) return extend(stream, page);
            if (stream.last_used < oldest->last_used) oldest = &stream;
        }
        *oldest = {page + 1, 1, now_};
        return 0;
    }

private:
    // A walk skips pages that are still resident: the next fault may come this many pages late.
    static constexpr std::uint64_t kSlack = kLongestWindow;

    struct Stream {
        std::uint64_t next = 0;  // the fault that would continue it
        std::uint32_t window = 0;
        std::uint64_t last_used = 0;
    };

    std::uint32_t extend(Stream& stream, std::uint64_t page) FAULTLINE_SIGNAL_SAFE {
        stream.window = stream.window * 2 < kLongestWindow ? stream.window * 2 : kLongestWindow;
        stream.next = page + stream.window;
        stream.last_used = now_;
        return stream.window - 1;
    }

    std::array<Stream, 16> streams_{};
    std::uint64_t now_ = 0;
};

}  // namespace faultline::policy
