// Worker: one thread of a round. Does random operations on the territories and checks the result of each.
#pragma once

#include "soak/configuration.hpp"
#include "soak/findings.hpp"
#include "soak/random.hpp"
#include "soak/territory.hpp"
#include "support/linked_table.hpp"

#include <faultline/faultline.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace faultline::soak {

/// The objects that the threads of a round share.
struct Stage {
    const Configuration& configuration;
    Pager& pager;
    std::vector<std::unique_ptr<Territory>>& territories;
    Heap* heap;  // null: the round has none
    Findings& findings;
};

class Worker {
public:
    Worker(Stage stage, unsigned index);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Does one random operation. Throws what the library throws unexpectedly.
    void step();

    /// Releases all pins and compares every word of this thread.
    void verify();

    [[nodiscard]] std::uint64_t operations() const noexcept { return operations_; }

private:
    struct HeldPin {
        Pin pin;
        Territory* territory;
        Territory::Pages pages;
    };

    [[nodiscard]] Territory& any_territory();
    /// Chooses a territory that is divided by pages, and pages of this thread in it. Returns no pages if a few tries
    /// find none; then `territory` is unchanged.
    [[nodiscard]] Territory::Pages own_pages(Territory*& territory);
    [[nodiscard]] bool pinned(const Territory& territory, Territory::Pages range) const;

    void read();
    void write();
    void advise();
    void discard();
    void protect();
    void pin();
    void unpin();
    void move_limit();
    void look();
    void write_file();
    void read_file();
    void use_own_region();
    void fork();
    void change_own_table();

    Stage stage_;
    unsigned index_;
    Random random_;
    int file_;  // a memory file, for system calls
    std::vector<HeldPin> pins_;
    std::optional<test::LinkedTable> table_;
    bool table_grows_ = true;
    std::uint64_t operations_ = 0;
};

}  // namespace faultline::soak
