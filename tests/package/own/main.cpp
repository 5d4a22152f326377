// Another project that gives a pager its own policy and its own store, and tests both with the conformance suite.
#include "map_store.hpp"
#include "random_policy.hpp"

#include <faultline/conformance.hpp>
#include <faultline/faultline.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace {

int report(const char* what, const std::vector<std::string>& findings) {
    for (const std::string& finding : findings) std::printf("%s: %s\n", what, finding.c_str());
    return static_cast<int>(findings.size());
}

int count_wrong_words() {
    using namespace faultline::literals;
    faultline::Config config;
    config.resident_limit = 4_MiB;
    config.policy = [](const faultline::PolicySetup& setup) { return std::make_unique<RandomPolicy>(setup); };
    config.store = std::make_shared<MapStore>();
    faultline::Pager pager{config};
    faultline::Region region = pager.reserve(32_MiB);
    const auto words = region.as<std::uint64_t>();
    for (std::size_t i = 0; i < words.size(); i += 512) words[i] = i + 1;
    int wrong = 0;
    for (std::size_t i = 0; i < words.size(); i += 512) wrong += words[i] != i + 1;
    std::printf("%zu pages in a std::map, %d wrong\n", words.size() / 512, wrong);
    return wrong;
}

}  // namespace

int main(int argc, char** argv) try {
    const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::uint64_t{1};
    const faultline::ConformanceOptions options{.seed = seed};
    const auto make_policy = [](const faultline::PolicySetup& setup) { return std::make_unique<RandomPolicy>(setup); };
    int findings = report("policy", faultline::check_policy(make_policy, options));
    findings += report("store", faultline::check_store(std::make_shared<MapStore>(), options));
    return findings == 0 && count_wrong_words() == 0 ? 0 : 1;
} catch (const std::system_error& error) {
    std::printf("%s\n", error.what());
    const bool not_permitted = error.code().value() == EPERM || error.code().value() == ENOSYS;
    return not_permitted ? 77 : 1;
}
