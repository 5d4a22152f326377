// anatomy: draws the parts of a program - text, data, bss, heap, mappings, stack - from a live address space. Then it
// steps through a fault, a brk, a write to a page of data, a refused write, a copy-on-write and a stack overflow.
#include "anatomy/executable.hpp"
#include "anatomy/options.hpp"
#include "anatomy/picture.hpp"
#include "anatomy/steps.hpp"
#include "display/format.hpp"
#include "support/command_line.hpp"
#include "support/exit_code.hpp"
#include "support/live_line.hpp"

#include <faultline/address_space.hpp>
#include <faultline/pager.hpp>

#include <cstdio>
#include <vector>

namespace faultline::demo::anatomy {
namespace {

// Not within the fixed ranges of the space itself.
constexpr ClonePlace kFixedClone{Layout::kFixedBase + 4 * Layout::kFixedDistance,
                                 Layout::kFixedBase + 5 * Layout::kFixedDistance};

int run(const Options& options) {
    LiveLine line;
    Pager pager = open_pager(options.pager.config(), line);
    const std::vector<ImageSegment> image = image_of(options.program);
    AddressSpace space{pager, image, options.fixed ? Layout::fixed() : Layout{}};
    space.sbrk(64 << 10);
    static_cast<void>(space.map_anonymous(1 << 20, {.name = "cache"}));
    std::printf("A program in its address space; delivery %s, eviction %s, at most %s resident\n\n%s",
                to_string(pager.delivery()), to_string(pager.eviction()),
                display::format_bytes(pager.resident_limit()).c_str(), picture_of(space).c_str());
    Tour tour{pager, space, image};
    tour.fault_text_in();
    tour.move_the_break();
    tour.write_data();
    tour.grow_the_stack();
    tour.write_text();
    tour.write_to_a_clone(options.fixed ? kFixedClone : ClonePlace{});
    tour.overflow_a_stack();
    std::printf("\n== afterwards, as /proc/PID/maps has it\n\n%s\n%s\n== what page tables cost\n\n%s",
                space.maps().c_str(), usage_table(space).c_str(), table_costs(space).c_str());
    return tour.as_expected() ? kExitOk : kExitWrong;
}

}  // namespace
}  // namespace faultline::demo::anatomy

int main(int argc, char** argv) {
    using namespace faultline::demo;
    return run_program("anatomy", [&] {
        const auto options = anatomy::parse_options(argc, argv);
        return options ? anatomy::run(*options) : kExitOk;
    });
}
