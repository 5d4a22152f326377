#include <faultline/alternate_stack.hpp>

#include "sys/error.hpp"
#include "sys/mapping_limit.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <csignal>

namespace faultline {
namespace {

constexpr std::size_t kGuardBytes = 4096;

stack_t present_stack() {
    stack_t present{};
    if (::sigaltstack(nullptr, &present) != 0) sys::throw_error(errno, "cannot read the thread's signal stack");
    return present;
}

}  // namespace

AlternateStack::AlternateStack() {
    const stack_t current = present_stack();
    if ((current.ss_flags & SS_DISABLE) == 0 && current.ss_size >= kBytes) return;
    void* mapping = ::mmap(nullptr, kBytes + kGuardBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) sys::throw_error(errno, "cannot map a signal stack of 64 KiB");
    auto* const stack = static_cast<std::byte*>(mapping) + kGuardBytes;
    if (::mprotect(stack, kBytes, PROT_READ | PROT_WRITE) != 0) {
        const int error = errno;
        ::munmap(mapping, kBytes + kGuardBytes);
        sys::throw_mapping_error(error, "cannot open a signal stack of 64 KiB");
    }
    stack_t next{};
    next.ss_sp = stack;
    next.ss_size = kBytes;
    stack_t previous{};
    if (::sigaltstack(&next, &previous) != 0) {
        const int error = errno;  // EPERM: a handler is running on the current one
        ::munmap(mapping, kBytes + kGuardBytes);
        sys::throw_error(error, "cannot change the thread's signal stack");
    }
    mapping_ = mapping;
    previous_address_ = previous.ss_sp;
    previous_bytes_ = previous.ss_size;
    previous_flags_ = previous.ss_flags;
}

AlternateStack::~AlternateStack() {
    if (mapping_ == nullptr) return;
    stack_t previous{};
    previous.ss_sp = previous_address_;
    previous.ss_size = previous_bytes_;
    previous.ss_flags = previous_flags_ & ~SS_ONSTACK;
    // Fails only while a handler runs on the stack; then it must stay.
    if (::sigaltstack(&previous, nullptr) == 0) ::munmap(mapping_, kBytes + kGuardBytes);
}

}  // namespace faultline
