// The C functions for pagers.

#include "api/c/figures.hpp"
#include "api/c/handles.hpp"
#include "api/c/sized_struct.hpp"
#include "api/c/tables.hpp"
#include "api/c/words.hpp"

#include <faultline/config.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace {

using namespace faultline::api;

constexpr unsigned kKnownFlags = FAULTLINE_NO_BACKGROUND_EVICTOR | FAULTLINE_NO_READ_AHEAD;

const char* text_of(const char* text) { return text != nullptr ? text : ""; }

/// Converts the configuration. A 0 in C means the default, which a new `Config` holds.
faultline::Config config_of(const faultline_config& given) {
    if ((given.flags & ~kKnownFlags) != 0) {
        faultline::sys::throw_error(
            EINVAL, "faultline_config.flags has unknown bits set; valid are the FAULTLINE_NO_... constants");
    }
    faultline::Config config;
    if (given.resident_limit != 0) config.resident_limit = given.resident_limit;
    config.compressed_limit = given.compressed_limit;
    config.memory_limit = given.memory_limit;
    config.swap_directory = text_of(given.swap_directory);
    config.swap_file = text_of(given.swap_file);
    config.trace_file = text_of(given.trace_file);
    config.stack_samples_file = text_of(given.stack_samples_file);
    config.delivery = value_of<faultline::Delivery>(given.delivery);
    config.eviction = value_of<faultline::Eviction>(given.eviction);
    config.replacement = value_of<faultline::Replacement>(given.replacement);
    config.policy = policy_of(given.policy);
    config.store = store_of(given.store);
    config.fork = value_of<faultline::ForkPolicy>(given.fork_policy);
    config.handler_threads = given.handler_threads;
    config.staging_percent = given.staging_percent;
    config.background_evictor = (given.flags & FAULTLINE_NO_BACKGROUND_EVICTOR) == 0;
    config.read_ahead = (given.flags & FAULTLINE_NO_READ_AHEAD) == 0;
    if (given.full_disk_patience != 0) {
        config.full_disk_patience =
            std::chrono::milliseconds{given.full_disk_patience > 0 ? given.full_disk_patience : 0};
    }
    if (given.log != nullptr) {
        config.log = [log = given.log, context = given.log_context](faultline::LogLevel level, std::string_view text) {
            log(context, word_of(level), std::string{text}.c_str());
        };
    }
    return config;
}

}  // namespace

faultline_pager* faultline_pager_create(const faultline_config* config) {
    return guarded<faultline_pager*>(__func__, nullptr, [&] {
        const faultline_config given = read_sized(config, FAULTLINE_SIZED(faultline_config, log_context));
        return new faultline_pager{faultline::Pager{config_of(given)}};
    });
}

void faultline_pager_destroy(faultline_pager* pager) { delete pager; }

int faultline_pager_set_resident_limit(faultline_pager* pager, size_t bytes) {
    return done_or_refused(__func__, [&] { checked(pager).set_resident_limit(bytes); });
}

size_t faultline_pager_resident_limit(const faultline_pager* pager) {
    return pager != nullptr ? pager->cpp.resident_limit() : 0;
}

int faultline_pager_set_memory_limit(faultline_pager* pager, size_t bytes) {
    return done_or_refused(__func__, [&] { checked(pager).set_memory_limit(bytes); });
}

size_t faultline_pager_memory_limit(const faultline_pager* pager) {
    return pager != nullptr ? pager->cpp.memory_limit() : 0;
}

int faultline_pager_delivery(const faultline_pager* pager) {
    return guarded(__func__, -1, [&] { return word_of(checked(pager).delivery()); });
}

int faultline_pager_eviction(const faultline_pager* pager) {
    return guarded(__func__, -1, [&] { return word_of(checked(pager).eviction()); });
}

int faultline_pager_get_stats(const faultline_pager* pager, faultline_stats* sums, faultline_pager_stats* own) {
    return done_or_refused(__func__, [&] {
        const faultline::PagerStats stats = checked(pager).stats();
        if (sums != nullptr) write_stats(*sums, stats);
        if (own != nullptr) write_stats(*own, stats);
    });
}
