#include "core/units.hpp"
#include "display/format.hpp"
#include "sys/clock.hpp"
#include "sys/mapping.hpp"
#include "sys/userfaultfd.hpp"
#include "tool/doctor/doctor.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <system_error>

namespace faultline::tool {
namespace {

constexpr std::size_t kPages = 256;
constexpr int kRounds = 8;

/// Two places for pages, which the kernel moves from one to the other.
class Places {
public:
    Places() {
        for (const sys::Mapping* place : {&home_, &away_}) uffd_.watch(place->data(), place->size(), true);
    }

    /// What the calls for one page take: the best of several rounds, since a round may be interrupted.
    struct Costs {
        double copy = 1e9;  // microseconds
        double move_out = 1e9;
        double move_in = 1e9;
        double write_protect = 1e9;
        double drop = 1e9;
    };
    [[nodiscard]] Costs measure() {
        Costs best;
        for (int i = 0; i < kRounds; ++i) measure_round(best);
        return best;
    }

private:
    void measure_round(Costs& best) {
        const auto keep = [](double& cost, auto call) { cost = std::min(cost, time_of_each(call)); };
        keep(best.copy, [&](std::size_t at) { return uffd_.copy(home_.data() + at, page_, sizeof page_, false); });
        keep(best.move_out, [&](std::size_t at) { return move(away_, home_, at); });
        keep(best.move_in, [&](std::size_t at) { return move(home_, away_, at); });
        keep(best.write_protect, [&](std::size_t at) { return uffd_.write_protect(home_.data() + at, kPage, true); });
        keep(best.drop, [&](std::size_t at) {
            sys::drop_pages(home_.data() + at, kPage);
            return 0;
        });
    }

    /// Calls `call` for each page. Returns the microseconds that one call takes. Throws std::system_error.
    template <typename Call>
    [[nodiscard]] static double time_of_each(Call call) {
        const std::chrono::nanoseconds began = sys::monotonic_time();
        for (std::size_t page = 0; page < kPages; ++page) {
            if (const int error = call(page * kPage)) throw std::system_error(error, std::generic_category());
        }
        return std::chrono::duration<double, std::micro>(sys::monotonic_time() - began).count() / kPages;
    }

    [[nodiscard]] int move(const sys::Mapping& to, const sys::Mapping& from, std::size_t at) {
        std::size_t moved = 0;
        return uffd_.move(to.data() + at, from.data() + at, kPage, &moved);
    }

    static constexpr std::size_t kPage = core::kUnitBytes;

    sys::Userfaultfd uffd_{sys::Userfaultfd::Notify::by_sigbus};
    sys::Mapping home_ = sys::Mapping::reserve(kPages * kPage, kPage, true, "a measurement");
    sys::Mapping away_ = sys::Mapping::reserve(kPages * kPage, kPage, true, "a measurement");
    alignas(kPage) std::byte page_[kPage]{};
};

}  // namespace

void look_at_costs(Findings& findings) {
    try {
        const Places::Costs costs = Places{}.measure();
        std::string what = display::printed(
            "a page takes %.1f us to copy in, %.1f to move out, %.1f to move in, %.1f to write-protect, %.1f to drop; "
            "many at once take less",
            costs.copy, costs.move_out, costs.move_in, costs.write_protect, costs.drop);
        if (costs.copy > 2 * costs.move_in)
            what += "; to allocate a page is dear here: a virtual machine's host may take free pages back";
        findings.push_back({"page costs", Verdict::good, std::move(what), {}});
    } catch (const std::system_error& error) {
        findings.push_back({"page costs", Verdict::good, std::string{"not measured: "} + error.what(), {}});
    }
}

}  // namespace faultline::tool
