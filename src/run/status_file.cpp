#include "run/status_file.hpp"

#include "sys/error.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace faultline::run {
namespace {

constexpr int kTries = 100;  // a record takes its writer under a microsecond

SlotReading read_patiently(const StatusSlot& slot) noexcept {
    SlotReading reading = read_slot(slot);
    for (int i = 1; i < kTries && !reading.whole && reading.owner != StatusSlot::kFree; ++i) reading = read_slot(slot);
    return reading;
}

}  // namespace

StatusFile::StatusFile() : fd_{::memfd_create("faultline-status", MFD_CLOEXEC | MFD_ALLOW_SEALING)} {
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
    path_ = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

StatusFile::~StatusFile() { ::munmap(memory_, sizeof(StatusMemory)); }

SeenPrograms StatusFile::look() const {
    SeenPrograms seen;
    for (const StatusSlot& slot : memory_->slots) {
        const SlotReading reading = read_patiently(slot);
        if (!reading.whole) continue;
        const bool running = reading.status.ended == 0 && !has_ended(slot, reading);
        seen.programs.push_back({running, reading.status});
    }
    std::sort(seen.programs.begin(), seen.programs.end(),
              [](const SeenProgram& a, const SeenProgram& b) { return a.status.claim < b.status.claim; });
    seen.earlier = memory_->earlier.load();
    seen.unheard = memory_->unheard.load(std::memory_order_acquire);
    seen.claims = memory_->claims.load(std::memory_order_acquire);
    return seen;
}

}  // namespace faultline::run
