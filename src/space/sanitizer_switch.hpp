// SanitizerSwitch: tells the sanitizers of a call on another stack: AddressSanitizer the bounds of the stack,
// ThreadSanitizer the chain of calls. Without a sanitizer it does nothing. It does not switch stacks: stack_switch.cpp
// does, and uses it. forget_frames is for StackArea.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAULTLINE_ADDRESS_SANITIZER
#endif
#if __has_feature(thread_sanitizer)
#define FAULTLINE_THREAD_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FAULTLINE_ADDRESS_SANITIZER
#endif
#if defined(__SANITIZE_THREAD__)
#define FAULTLINE_THREAD_SANITIZER
#endif

#if defined(FAULTLINE_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#elif defined(FAULTLINE_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

namespace faultline::space {

/// Makes the memory of a stack usable again: abandoned frames have poisoned parts of it.
inline void forget_frames([[maybe_unused]] std::byte* bottom, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(FAULTLINE_ADDRESS_SANITIZER)
    __asan_unpoison_memory_region(bottom, bytes);
#endif
}

#if defined(FAULTLINE_ADDRESS_SANITIZER)

/// Lives on the old stack for the duration of the call.
class SanitizerSwitch {
public:
    SanitizerSwitch(std::byte* bottom, std::size_t bytes) noexcept : bottom_{bottom}, bytes_{bytes} {
        __sanitizer_start_switch_fiber(&fake_stack_, bottom_, bytes_);
    }
    ~SanitizerSwitch() {
        // The call ended by an exception or was abandoned: its frames have poisoned the memory.
        if (!left_) {
            leaving();
            forget_frames(bottom_, bytes_);
        }
        __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr);
    }
    SanitizerSwitch(const SanitizerSwitch&) = delete;
    SanitizerSwitch& operator=(const SanitizerSwitch&) = delete;

    /// Call `arrived` first on the other stack, and `leaving` last.
    void arrived() noexcept { __sanitizer_finish_switch_fiber(nullptr, &old_bottom_, &old_bytes_); }
    void leaving() noexcept {
        left_ = true;
        __sanitizer_start_switch_fiber(nullptr, old_bottom_, old_bytes_);
    }

private:
    std::byte* bottom_;
    std::size_t bytes_;
    void* fake_stack_ = nullptr;
    const void* old_bottom_ = nullptr;
    std::size_t old_bytes_ = 0;
    bool left_ = false;
};

#elif defined(FAULTLINE_THREAD_SANITIZER)

/// Inlined, because a function must end on the fiber on which it began.
class SanitizerSwitch {
public:
    [[gnu::always_inline]] SanitizerSwitch(std::byte*, std::size_t) noexcept
        : old_{__tsan_get_current_fiber()}, new_{__tsan_create_fiber(0)} {
        __tsan_switch_to_fiber(new_, 0);
    }
    [[gnu::always_inline]] ~SanitizerSwitch() {
        __tsan_switch_to_fiber(old_, 0);
        __tsan_destroy_fiber(new_);
    }
    SanitizerSwitch(const SanitizerSwitch&) = delete;
    SanitizerSwitch& operator=(const SanitizerSwitch&) = delete;

    void arrived() noexcept {}
    void leaving() noexcept {}

private:
    void* old_;
    void* new_;
};

#else

class SanitizerSwitch {
public:
    SanitizerSwitch(std::byte*, std::size_t) noexcept {}
    void arrived() noexcept {}
    void leaving() noexcept {}
};

#endif

}  // namespace faultline::space
