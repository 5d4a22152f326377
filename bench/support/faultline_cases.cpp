// The library's faults: each kind under each delivery (under `sigsegv` with both ways to hide a page), with one and two
// threads.
#include <algorithm>

#include "support/faultline_scenes.hpp"
#include "support/latency_cases.hpp"

namespace bench {
namespace {

void register_first_touch(const FaultlineSetup& setup, const std::string& delivery) {
    for (const Act act : {Act::read, Act::write}) {
        for (const Order order : {Order::random, Order::sequential}) {
            FaultlineSetup ordered = setup;
            ordered.order = order;
            register_for_threads("faultline/first_touch/" + std::string{name(act)} + '/' + name(order) + '/' + delivery,
                                 act, [ordered] { return make_first_touch_scene(ordered); });
        }
    }
}

void register_hard(const FaultlineSetup& setup, const std::string& delivery) {
    for (const std::size_t kibibytes : {std::size_t{4}, std::size_t{64}}) {
        FaultlineSetup sized = setup;
        sized.page_bytes = kibibytes << 10;
        sized.pages = setup.pages / 4;
        register_for_threads("faultline/hard_fault/" + std::to_string(kibibytes) + "K/" + delivery, Act::read,
                             [sized] { return make_hard_fault_scene(sized); });
    }
}

// The same number of pages in ever larger regions: the cost of a fault must not depend on the reserved size.
void register_spread(const FaultlineSetup& setup, const std::string& delivery) {
    for (const std::size_t gibibytes : {std::size_t{1}, std::size_t{64}, std::size_t{1024}}) {
        FaultlineSetup spread = setup;
        spread.spread_over = gibibytes << 30;
        const std::string suffix = std::to_string(gibibytes) + "GiB/" + delivery;
        register_case("faultline/first_touch_within/" + suffix, Act::write, 1,
                      [spread] { return make_first_touch_scene(spread); });
        register_case("faultline/hard_fault_within/" + suffix, Act::read, 1,
                      [spread] { return make_hard_fault_scene(spread); });
        register_case("faultline/reserve_and_destroy/" + suffix, Act::perform, 1,
                      [spread] { return make_reservation_scene(spread); });
    }
}

// Many more threads than CPUs: while one waits for its page, the others must be able to use the disk.
void register_crowd(const FaultlineSetup& setup, const std::string& delivery) {
    for (const unsigned threads : {1U, 2U, 4U, 8U, 16U, 32U}) {
        register_case("faultline/hard_fault_crowd/" + delivery + "/threads:" + std::to_string(threads), Act::read,
                      threads, [setup] { return make_hard_fault_scene(setup); });
    }
}

}  // namespace

void register_faultline_cases(const LatencyOptions& options) {
    using faultline::Delivery;
    using faultline::Eviction;
    struct Way {
        Delivery delivery;
        Eviction eviction;
    };
    for (const Way way :
         {Way{Delivery::uffd_signal, Eviction::automatic}, Way{Delivery::uffd_threads, Eviction::automatic},
          Way{Delivery::sigsegv, Eviction::guard}, Way{Delivery::sigsegv, Eviction::protect}}) {
        FaultlineSetup setup;
        setup.delivery = way.delivery;
        setup.eviction = way.eviction;
        setup.swap_directory = options.directory;
        setup.pages = options.pages();
        std::string word = faultline::to_string(way.delivery);
        if (way.eviction != Eviction::automatic) word = word + '_' + faultline::to_string(way.eviction);
        register_first_touch(setup, word);
        // With fewer pages than this, the pager stages none.
        FaultlineSetup staged = setup;
        staged.pages = std::max<std::size_t>(setup.pages, 2048);
        register_for_threads("faultline/soft_fault/" + word, Act::read,
                             [staged] { return make_soft_fault_scene(staged); });
        // Every batch must be written out before the next one, so batches are small.
        FaultlineSetup small = setup;
        small.pages = setup.pages / 4;
        register_for_threads("faultline/write_fault/" + word, Act::write,
                             [small] { return make_write_fault_scene(small); });
        register_hard(setup, word);
        register_spread(small, word);
        if (way.delivery != Delivery::sigsegv) register_crowd(setup, word);
    }
}

}  // namespace bench
