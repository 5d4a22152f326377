#include "replay/contestants.hpp"

#include <algorithm>

#include "policy/fifo.hpp"
#include "policy/second_chance.hpp"
#include "replay/observing.hpp"

namespace bench {
namespace {

namespace policy = faultline::policy;

std::unique_ptr<Model> observing(const Contestant& contestant, const DenseTrace& trace, const PagerSettings& settings) {
    return make_observing(contestant.name, trace, settings.frames);
}

std::unique_ptr<Model> pager_fifo(const Contestant&, const DenseTrace& trace, const PagerSettings& settings) {
    return std::make_unique<PagerModel>(
        trace, settings, [](auto links, auto, std::size_t) { return std::make_unique<policy::Fifo>(links); });
}

template <unsigned staging_percent>
std::unique_ptr<Model> pager_second_chance(const Contestant&, const DenseTrace& trace, const PagerSettings& settings) {
    return std::make_unique<PagerModel>(trace, settings, [](auto links, auto slots, std::size_t frames) {
        return std::make_unique<policy::SecondChance>(links, slots, frames, staging_percent);
    });
}

}  // namespace

const std::vector<Contestant>& contestants() {
    static const std::vector<Contestant> all{
        {"opt", "knows the future: evicts the page whose next use is farthest away", false, observing},
        {"lru", "evicts the page unused for longest", false, observing},
        {"clock", "FIFO that passes over pages used since it last looked", false, observing},
        {"fifo", "first in, first out", false, observing},
        {"s3_fifo", "small and main FIFO queue with a ghost queue", false, observing},
        {"pager/fifo", "faultline's FIFO in faultline's pager", true, pager_fifo},
        {"pager/second", "faultline's SecondChance in faultline's pager", true, pager_second_chance<0>},
        {"pager/zone", "the same with 3% of memory in the staging zone", true, pager_second_chance<3>},
    };
    return all;
}

const Contestant* find_contestant(std::string_view name) {
    const std::vector<Contestant>& all = contestants();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Contestant& one) { return one.name == name; });
    return found == all.end() ? nullptr : &*found;
}

}  // namespace bench
