#include <faultline/access_violation.hpp>
#include <faultline/segment_info.hpp>
#include <faultline/types.hpp>

namespace faultline {

const char* name(Delivery delivery) noexcept {
    switch (delivery) {
        case Delivery::uffd_threads:
            return "uffd_threads";
        case Delivery::uffd_signal:
            return "uffd_signal";
        case Delivery::sigsegv:
            return "sigsegv";
        case Delivery::automatic:
            return "automatic";
    }
    return "unknown";
}

const char* name(Eviction eviction) noexcept {
    switch (eviction) {
        case Eviction::automatic:
            return "automatic";
        case Eviction::move:
            return "move";
        case Eviction::copy:
            return "copy";
        case Eviction::protect:
            return "protect";
        case Eviction::guard:
            return "guard";
    }
    return "unknown";
}

const char* name(Replacement replacement) noexcept {
    switch (replacement) {
        case Replacement::fifo:
            return "fifo";
        case Replacement::second_chance:
            return "second_chance";
    }
    return "unknown";
}

const char* name(Attempt attempt) noexcept {
    switch (attempt) {
        case Attempt::read:
            return "read";
        case Attempt::write:
            return "write";
        case Attempt::execute:
            return "execute";
    }
    return "unknown";
}

const char* name(ViolationKind kind) noexcept {
    switch (kind) {
        case ViolationKind::unmapped:
            return "unmapped";
        case ViolationKind::forbidden:
            return "forbidden";
        case ViolationKind::stack_overflow:
            return "stack_overflow";
    }
    return "unknown";
}

const char* name(SegmentKind kind) noexcept {
    switch (kind) {
        case SegmentKind::image:
            return "image";
        case SegmentKind::bss:
            return "bss";
        case SegmentKind::heap:
            return "heap";
        case SegmentKind::anonymous:
            return "anonymous";
        case SegmentKind::file:
            return "file";
        case SegmentKind::stack:
            return "stack";
    }
    return "unknown";
}

const char* name(ForkPolicy policy) noexcept {
    switch (policy) {
        case ForkPolicy::refuse:
            return "refuse";
        case ForkPolicy::inherit:
            return "inherit";
    }
    return "unknown";
}

}  // namespace faultline
