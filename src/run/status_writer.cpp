#include "run/status_writer.hpp"

#include "sys/syscall.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace faultline::run {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

struct Mapped {
    StatusMemory* memory = nullptr;
    int error = 0;
};

Mapped map_file(int fd) noexcept {
    struct stat file {};
    const long looked = raw_syscall(SYS_fstat, fd, syscall_argument(&file));
    if (looked < 0) return {.error = sys::error_of(looked)};
    // Touching the end of a shorter file would fault. The path may lead to another program's file by now.
    if (!S_ISREG(file.st_mode) || static_cast<std::size_t>(file.st_size) < sizeof(StatusMemory))
        return {.error = EINVAL};
    const long address = raw_syscall(SYS_mmap, 0, sizeof(StatusMemory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (const int error = sys::error_of(address)) return {.error = error};
    auto* const memory = reinterpret_cast<StatusMemory*>(address);
    if (memory->magic == kStatusMagic && memory->version == kStatusVersion && memory->bytes == sizeof(StatusMemory)) {
        return {.memory = memory};
    }
    raw_syscall(SYS_munmap, address, sizeof(StatusMemory));
    return {.error = EINVAL};
}

Mapped map_path(std::string_view path) noexcept {
    std::array<char, PATH_MAX> name{};
    if (path.size() >= name.size()) return {.error = ENAMETOOLONG};
    std::copy(path.begin(), path.end(), name.begin());
    // The path goes through a descriptor of another process. If that is a terminal or a pipe, opening it must have no
    // effect.
    constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    long fd;
    do {
        fd = raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(name.data()), kFlags, 0);
    } while (fd == -EINTR);
    if (fd < 0) return {.error = sys::error_of(fd)};
    const Mapped mapped = map_file(static_cast<int>(fd));
    raw_syscall(SYS_close, fd);
    return mapped;
}

std::uint64_t now_nanoseconds() noexcept {
    timespec time{};
    raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, syscall_argument(&time));
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

int StatusWriter::open(std::string_view path) noexcept {
    const Mapped mapped = map_path(path);
    if (mapped.error != 0) return mapped.error;
    memory_ = mapped.memory;
    if (!wants_figures()) {
        memory_->claims.fetch_add(1, std::memory_order_relaxed);
        return 0;
    }
    claim();
    if (slot_ == nullptr) return EUSERS;
    publish({});
    return 0;
}

void StatusWriter::publish(const ProgramStatus& status, Last last) noexcept {
    if (!wants_figures()) return;
    if (this_pid() != process_.pid) {
        before_ = status.counters;
        claim();
    }
    if (slot_ == nullptr || slot_->owner.load(std::memory_order_acquire) != owner_) return;
    ProgramStatus said = status;
    said.process = process_;
    said.claim = StatusSlot::claim_of(owner_);
    said.started_at = started_at_;
    said.published_at = now_nanoseconds();
    said.ended = last == Last::yes ? 1 : 0;
    said.counters = status.counters.since(before_);
    ++published_;
    slot_->records[published_ % 2].store(said);
    slot_->published.store(published_, std::memory_order_release);
}

void StatusWriter::note_unmanaged(const UnmanagedProgram& program) noexcept {
    if (memory_ != nullptr) run::note_unmanaged(*memory_, program);
}

void StatusWriter::claim() noexcept {
    process_ = identify_this_process();
    started_at_ = now_nanoseconds();
    published_ = 0;
    slot_ = nullptr;
    const std::uint64_t number = memory_->claims.fetch_add(1, std::memory_order_relaxed) + 1;
    // The previous process of this number has ended, or it was this process before exec.
    for (StatusSlot& slot : used_slots(*memory_)) {
        const std::uint64_t owner = slot.owner.load(std::memory_order_acquire);
        if (StatusSlot::pid_of(owner) != process_.pid) continue;
        slot.gone.store(owner, std::memory_order_release);
        memory_->tree.entries[static_cast<std::size_t>(&slot - memory_->slots.data())].clear();
    }
    if (!take_free(number) && !take_over(number)) memory_->unheard.fetch_add(1, std::memory_order_relaxed);
}

void StatusWriter::take(StatusSlot& slot, std::uint64_t owner) noexcept {
    slot_ = &slot;
    owner_ = owner;
    memory_->tree.entries[this->slot()].clear();  // of an earlier owner
}

bool StatusWriter::take_free(std::uint64_t claim) noexcept {
    const std::uint64_t wanted = StatusSlot::owner_word(process_.pid, claim);
    for (std::size_t i = 0; i < kStatusSlots; ++i) {
        StatusSlot& slot = memory_->slots[(claim + i) % kStatusSlots];
        std::uint64_t owner = StatusSlot::kFree;
        if (slot.owner.load(std::memory_order_relaxed) != owner) continue;
        if (!slot.owner.compare_exchange_strong(owner, wanted, std::memory_order_acq_rel)) continue;
        take(slot, wanted);
        return true;
    }
    return false;
}

bool StatusWriter::take_over(std::uint64_t claim) noexcept {
    const std::uint64_t wanted = StatusSlot::owner_word(process_.pid, claim);
    for (std::size_t i = 0; i < kStatusSlots; ++i) {
        StatusSlot& slot = memory_->slots[(claim + i) % kStatusSlots];
        const SlotReading last = read_slot(slot);
        if (!has_ended(slot, last)) continue;
        std::uint64_t owner = last.owner;
        if (!slot.owner.compare_exchange_strong(owner, wanted, std::memory_order_acq_rel)) continue;
        memory_->earlier.add({.programs = 1, .counters = last.status.counters});
        slot.published.store(0, std::memory_order_release);
        take(slot, wanted);
        return true;
    }
    return false;
}

}  // namespace faultline::run
