#include "replay/contestants.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <stdexcept>

#include "policy/built_in_policies.hpp"
#include "replay/observing.hpp"

namespace bench {
namespace {

using faultline::Replacement;
using faultline::policy::factory_of;

std::vector<Contestant>& all_contestants() {
    static std::vector<Contestant> all{
        {"opt", "knows the future: evicts the page whose next use is farthest away"},
        {"lru", "evicts the page unused for longest"},
        {"clock", "FIFO that passes over pages used since it last looked"},
        {"fifo", "first in, first out"},
        {"s3_fifo", "small and main FIFO queue with a ghost queue"},
        {"pager/fifo", "faultline's FIFO in faultline's pager", factory_of(Replacement::fifo)},
        {"pager/second", "faultline's SecondChance in faultline's pager", factory_of(Replacement::second_chance)},
        {"pager/zone", "the same with 3% of memory in the staging zone", factory_of(Replacement::second_chance), 3},
    };
    return all;
}

}  // namespace

std::unique_ptr<Model> Contestant::make(const DenseTrace& trace, PagerSettings settings) const {
    if (!policy) return make_observing(name, trace, settings.frames);
    settings.staging_percent = staging_percent;
    return std::make_unique<PagerModel>(trace, settings, policy);
}

const std::vector<Contestant>& contestants() { return all_contestants(); }

const Contestant* find_contestant(std::string_view name) {
    const std::vector<Contestant>& all = contestants();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Contestant& one) { return one.name == name; });
    return found == all.end() ? nullptr : &*found;
}

void add_plugin(const std::filesystem::path& path) {
    constexpr const char* kSymbol = "faultline_make_policy";
    using MakePolicy = faultline::ReplacementPolicy*(const faultline::PolicySetup&);
    // By its path: dlopen looks for a mere name where libraries are installed. It stays loaded.
    void* const object = ::dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (object == nullptr) throw std::runtime_error{std::string{"cannot load the policy: "} + ::dlerror()};
    auto* const make = reinterpret_cast<MakePolicy*>(::dlsym(object, kSymbol));
    if (make == nullptr) {
        throw std::runtime_error{path.string() + " does not define " + kSymbol + " with C linkage"};
    }
    std::string name = path.filename().string();
    name.erase(std::min(name.find('.'), name.size()));
    if (find_contestant(name) != nullptr) throw std::runtime_error{"there is a policy '" + name + "' already"};
    all_contestants().push_back({name, "the policy of " + path.string(), [make](const faultline::PolicySetup& setup) {
                                     return std::unique_ptr<faultline::ReplacementPolicy>{make(setup)};
                                 }});
}

}  // namespace bench
