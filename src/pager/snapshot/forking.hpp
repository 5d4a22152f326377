// Forking: takes all pagers that children inherit (ForkPolicy::inherit) over a fork together:
//
//   before     no thread is in the middle of a fault or a control call, and none begins one (FaultGate)
//   before     dirty pages are written: all bytes are in the stores, from which parent and child read from then on
//   in parent  faults go on
//   in child   all addresses are closed first, so that no new mapping lies there and is taken for the parent's
//   in child   all pages are absent; new descriptors, mappings and threads for the same regions at the same addresses
//
// A process without such pagers does nothing before fork; its child closes and forgets every region.
#pragma once

namespace faultline::pager {

class ForkSnapshot;

class Forking {
public:
    /// Registers the fork handlers. Called by the first pager, before there are regions.
    static void watch();

    /// Children inherit the pager of `snapshot` from now on, until `remove`. Throws std::bad_alloc.
    static void add(ForkSnapshot& snapshot);
    static void remove(ForkSnapshot& snapshot) noexcept;
};

}  // namespace faultline::pager
