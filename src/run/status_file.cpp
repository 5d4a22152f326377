#include "run/status_file.hpp"

#include "sys/error.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace faultline::run {
namespace {

constexpr int kTries = 100;  // a record takes its writer less than a microsecond

SlotReading read_patiently(const StatusSlot& slot) noexcept {
    SlotReading reading = read_slot(slot);
    for (int i = 1; i < kTries && !reading.whole && reading.owner != StatusSlot::kFree; ++i) reading = read_slot(slot);
    return reading;
}

void add(std::vector<SeenUnmanaged>& seen, const SeenUnmanaged& entry) {
    const auto same = std::find_if(seen.begin(), seen.end(),
                                   [&](const SeenUnmanaged& other) { return other.program == entry.program; });
    if (same == seen.end()) {
        seen.push_back(entry);
    } else {
        same->starts += entry.starts;
    }
}

void look_at_unmanaged(const StatusMemory& memory, SeenPrograms& seen) {
    for (const UnmanagedEntry& entry : memory.unmanaged) {
        const std::uint64_t starts = entry.starts.load(std::memory_order_acquire);
        if (starts > 0) add(seen.unmanaged, {entry.program.load(), starts});
    }
    const std::uint64_t taken = memory.unmanaged_taken.load(std::memory_order_acquire);
    seen.more_unmanaged = taken > kUnmanagedEntries ? taken - kUnmanagedEntries : 0;
}

void look_at_slots(const StatusMemory& memory, SeenPrograms& seen) {
    for (const StatusSlot& slot : used_slots(memory)) {
        const SlotReading reading = read_patiently(slot);
        if (!reading.whole) continue;
        const bool running = reading.status.ended == 0 && !has_ended(slot, reading);
        seen.programs.push_back({running, reading.status});
    }
    std::sort(seen.programs.begin(), seen.programs.end(),
              [](const SeenProgram& a, const SeenProgram& b) { return a.status.claim < b.status.claim; });
    seen.earlier = memory.earlier.load();
    seen.unheard = memory.unheard.load(std::memory_order_acquire);
}

}  // namespace

StatusFile::StatusFile(Figures figures, std::uint64_t memory_limit)
    : fd_{::memfd_create("faultline-status", MFD_CLOEXEC | MFD_ALLOW_SEALING)} {
    if (!fd_) sys::throw_error(errno, "cannot make the status file in memory; see `ulimit -n`");
    constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (::ftruncate(fd_.get(), sizeof(StatusMemory)) != 0 || ::fcntl(fd_.get(), F_ADD_SEALS, kSeals) != 0) {
        sys::throw_error(errno, "cannot give the status file its size");
    }
    void* const address = ::mmap(nullptr, sizeof(StatusMemory), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (address == MAP_FAILED) sys::throw_error(errno, "cannot map the status file");
    memory_ = static_cast<StatusMemory*>(address);
    memory_->magic = kStatusMagic;
    memory_->version = kStatusVersion;
    memory_->bytes = sizeof(StatusMemory);
    memory_->wants_figures = figures == Figures::wanted ? 1 : 0;
    memory_->tree.limit = memory_limit;
    path_ = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

StatusFile::~StatusFile() { ::munmap(memory_, sizeof(StatusMemory)); }

bool StatusFile::can_be_opened() const noexcept { return ::access(path_.c_str(), R_OK | W_OK) == 0; }

SeenPrograms StatusFile::look() const {
    SeenPrograms seen;
    look_at_unmanaged(*memory_, seen);
    if (memory_->wants_figures != 0) look_at_slots(*memory_, seen);
    const auto& tree = memory_->tree;
    seen.tree_peak = {tree.peak_managed.load(), tree.peak_compressed.load(), 0};
    seen.tree_peak.other = tree.peak.load() - std::min(tree.peak.load(), seen.tree_peak.sum());
    seen.claims = memory_->claims.load(std::memory_order_acquire);
    return seen;
}

}  // namespace faultline::run
