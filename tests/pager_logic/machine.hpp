// Machine: a pager on a fake mapper and a fake disk, and threads that access memory as a CPU would. An access that
// faults is passed to the pager and repeated.
#pragma once

#include "disk.hpp"
#include "fake_mapper.hpp"
#include "pager/fault/fault_entry.hpp"
#include "pager/pager.hpp"
#include "sys/cpu.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace faultline::test {

struct MachineKind {
    StagedFrames frames = StagedFrames::move;
    core::FaultOrigin origin = core::FaultOrigin::faulting_thread;
    std::size_t page_size = kBasePageBytes;
    std::size_t limit_pages = 16;
    bool background_evictor = false;
    bool read_ahead = false;
    Replacement replacement = Replacement::second_chance;
    unsigned refusals = 0;
    unsigned shortages = 0;
    DiskFailures failures{};
};

class Machine {
public:
    explicit Machine(const MachineKind& kind)
        : kind_{kind},
          record_{std::make_shared<MmuRecord>()},
          mapper_{new FakeMapper{{kind.frames, kind.refusals, kind.shortages}, record_}},
          pager_{config(kind), std::make_unique<Disks>(kind.failures), std::unique_ptr<mmu::Mappers>{mapper_}} {}
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    [[nodiscard]] const MachineKind& kind() const noexcept { return kind_; }
    [[nodiscard]] pager::Pager& pager() noexcept { return pager_; }
    [[nodiscard]] FakeMapper& mapper() noexcept { return *mapper_; }
    [[nodiscard]] std::shared_ptr<MmuRecord> record() const noexcept { return record_; }

    [[nodiscard]] std::uint64_t load(pager::Region& region, std::size_t offset) {
        std::uint64_t word = 0;
        access(region, offset, core::FaultAccess::read,
               [&](std::byte* address) { return mapper_->load(address, word); });
        return word;
    }
    void store(pager::Region& region, std::size_t offset, std::uint64_t word) {
        access(region, offset, core::FaultAccess::write,
               [&](std::byte* address) { return mapper_->store(address, word); });
    }

private:
    static Config config(const MachineKind& kind) {
        Config config;
        config.resident_limit = kind.limit_pages * kind.page_size;
        config.delivery = kind.origin == core::FaultOrigin::handler_thread ? Delivery::uffd_threads
                          : kind.frames == StagedFrames::stay              ? Delivery::sigsegv
                                                                           : Delivery::uffd_signal;
        config.replacement = kind.replacement;
        config.background_evictor = kind.background_evictor;
        config.read_ahead = kind.read_ahead;
        config.log = [](LogLevel, std::string_view) {};
        return config;
    }

    /// Repeats the access until the CPU can do it. A page that a failing disk could not return is retried.
    template <typename Attempt>
    void access(pager::Region& region, std::size_t offset, core::FaultAccess kind, Attempt attempt) {
        std::byte* const address = region.mapping().data() + offset;
        for (;;) {
            const unsigned wakes = mapper_->wakes(address);
            const MmuAnswer answer = attempt(address);
            if (answer == MmuAnswer::done) return;
            core::FaultOutcome outcome = core::FaultOutcome::failed;
            if (answer == MmuAnswer::fault) {
                outcome = pager::resolve_fault({core::address_of(address), kind, kind_.origin, sys::thread_token()});
            }
            switch (outcome) {
                case core::FaultOutcome::resolved:
                case core::FaultOutcome::already_resolved:
                    break;
                case core::FaultOutcome::deferred:
                    mapper_->sleep(address, wakes);
                    break;
                case core::FaultOutcome::failed:
                    if (kind_.failures.reads == 0 && kind_.failures.writes == 0) {
                        ADD_FAILURE() << "a fault failed, and nothing else has";
                        return;
                    }
                    pager_.advice().retry(region, {region.page_of(core::address_of(address)), 1});
                    break;
                case core::FaultOutcome::not_ours:
                case core::FaultOutcome::access_violation:
                    ADD_FAILURE() << "the pager refuses an access that is allowed";
                    return;
            }
        }
    }

    MachineKind kind_;
    std::shared_ptr<MmuRecord> record_;
    FakeMapper* mapper_;  // owned by the pager
    pager::Pager pager_;
};

}  // namespace faultline::test
