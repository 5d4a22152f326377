// Forking: takes the pagers that children of fork inherit (ForkPolicy::inherit) over a fork, all together:
//
//   before     nobody is in the middle of a fault or a control call, and none begins (ForkGate)
//   before     what is dirty is written: everything is in the stores, which parent and child both read from then on
//   in parent  goes on where it was
//   in child   all addresses are closed first, so that nothing new comes to lie there and is taken for the parent's
//   in child   everything is absent; new descriptors, mappings and threads for the same regions at the same addresses
//
// A process without such pagers does nothing before fork; its child closes and forgets every region.
#pragma once

namespace faultline::detail {

class Pager;

class Forking {
public:
    /// Pagers of a process: what a child starts without. Called by the first pager, before there are regions.
    static void watch();

    /// `pager` is inherited from now on, until it is taken out. Throws std::bad_alloc.
    static void add(Pager& pager);
    static void remove(Pager& pager) noexcept;
};

}  // namespace faultline::detail
