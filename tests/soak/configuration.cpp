#include "soak/configuration.hpp"

#include "support/variants.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <system_error>

namespace faultline::soak {

std::vector<Mechanism> usable_mechanisms() {
    std::vector<Mechanism> usable;
    for (const test::Variant& variant : test::deliveries_and_evictions()) {
        try {
            const Pager probe{test::config_for(variant, Pager::kMinimumPages * kBasePageBytes)};
            usable.push_back({variant.delivery, variant.eviction});
        } catch (const std::system_error& error) {
            if (!test::not_permitted(error)) throw;
        }
    }
    return usable;
}

Configuration random_configuration(const std::vector<Mechanism>& mechanisms, std::uint64_t seed) {
    Random random{seed};
    Configuration chosen;
    chosen.seed = seed;
    chosen.mechanism = mechanisms[random.below(mechanisms.size())];
    chosen.replacement = random.any_of({Replacement::fifo, Replacement::second_chance});
    chosen.page_size = std::size_t{1} << random.any_of<unsigned>({12, 12, 12, 13, 14, 16, 18, 21});
    const std::size_t most_bytes = std::size_t{1} << random.between(22, 25);
    chosen.pages = std::clamp<std::size_t>(most_bytes / chosen.page_size, 24, 8192);
    // Half of the rounds have the fewest frames that a pager accepts, or a few more.
    const std::size_t few = Pager::kMinimumPages;
    chosen.least_limit = random.one_in(2) ? few : random.between(few, std::max(few, chosen.pages / 2));
    chosen.most_limit = chosen.least_limit + random.below(random.one_in(2) ? 8 : chosen.pages);
    chosen.regions = static_cast<unsigned>(random.between(1, 4));
    chosen.threads = static_cast<unsigned>(random.between(1, 8));
    chosen.handler_threads = static_cast<unsigned>(random.below(4));
    chosen.read_ahead = random.one_in(2);
    chosen.background_evictor = random.one_in(2);
    chosen.limit_moves = random.one_in(2);
    if (random.one_in(2)) chosen.compressed_limit = std::size_t{1} << random.between(18, 22);
    chosen.forks = random.one_in(2);
    chosen.children_inherit = random.one_in(2);
    chosen.heap = random.one_in(2);
    chosen.clears_accessed_bits = random.one_in(2);
    return chosen;
}

Config Configuration::config() const {
    Config config;
    config.resident_limit = most_limit_bytes();
    config.delivery = mechanism.delivery;
    config.eviction = mechanism.eviction;
    config.replacement = replacement;
    config.compressed_limit = compressed_limit;
    config.handler_threads = handler_threads;
    config.read_ahead = read_ahead;
    config.background_evictor = background_evictor;
    config.fork = children_inherit ? ForkPolicy::inherit : ForkPolicy::refuse;
    return config;
}

std::string Configuration::text() const {
    std::array<char, 320> line{};
    static_cast<void>(
        std::snprintf(line.data(), line.size(),
                      "%s/%s %s, pages of %zuK, %zu of them, limit %zu to %zu%s, %zuK compressed, %u threads, %u "
                      "regions%s%s%s%s%s%s, round seed %llu",
                      name(mechanism.delivery), name(mechanism.eviction), name(replacement), page_size >> 10, pages,
                      least_limit, most_limit, limit_moves ? " moving" : "", compressed_limit >> 10, threads, regions,
                      read_ahead ? ", read-ahead" : "", background_evictor ? ", evictor" : "", forks ? ", forks" : "",
                      forks && children_inherit ? " that inherit" : "", heap ? ", a heap" : "",
                      clears_accessed_bits ? ", accessed bits cleared" : "", static_cast<unsigned long long>(seed)));
    return line.data();
}

}  // namespace faultline::soak
