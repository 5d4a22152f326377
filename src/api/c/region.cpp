// The C functions for regions and pins.

#include "api/c/figures.hpp"
#include "api/c/handles.hpp"
#include "api/c/sized_struct.hpp"
#include "api/c/words.hpp"

#include <algorithm>
#include <cerrno>
#include <vector>

using namespace faultline::api;

faultline_region* faultline_region_create(faultline_pager* pager, size_t bytes,
                                          const faultline_region_options* options) {
    return guarded<faultline_region*>(__func__, nullptr, [&] {
        const auto given = read_sized(options, FAULTLINE_SIZED(faultline_region_options, page_size));
        faultline::RegionOptions wanted;
        if (given.page_size != 0) wanted.page_size = given.page_size;
        return new faultline_region{checked(pager).reserve(bytes, wanted)};
    });
}

int faultline_region_destroy(faultline_region* region) { return destroy_if_possible(__func__, region); }

void* faultline_region_data(const faultline_region* region) { return region != nullptr ? region->cpp.data() : nullptr; }
size_t faultline_region_size(const faultline_region* region) { return region != nullptr ? region->cpp.size() : 0; }
size_t faultline_region_page_size(const faultline_region* region) {
    return region != nullptr ? region->cpp.page_size() : 0;
}

faultline_pin* faultline_region_pin(faultline_region* region, const void* address, size_t bytes, int purpose) {
    return guarded<faultline_pin*>(__func__, nullptr, [&] {
        return new faultline_pin{checked(region).pin(address, bytes, value_of<faultline::PinFor>(purpose))};
    });
}

void faultline_unpin(faultline_pin* pin) {
    const int error = errno;
    delete pin;
    errno = error;
}

int faultline_region_advise(faultline_region* region, const void* address, size_t bytes, int advice) {
    return done_or_refused(__func__,
                           [&] { checked(region).advise(address, bytes, value_of<faultline::Advice>(advice)); });
}

int faultline_region_wait_for_advised(faultline_region* region, const void* address, size_t bytes) {
    return done_or_refused(__func__, [&] { checked(region).wait_for_advised(address, bytes); });
}

int faultline_region_discard(faultline_region* region, void* address, size_t bytes) {
    return done_or_refused(__func__, [&] { checked(region).discard(address, bytes); });
}

int faultline_region_protect(faultline_region* region, void* address, size_t bytes, int access) {
    return done_or_refused(__func__,
                           [&] { checked(region).protect(address, bytes, value_of<faultline::Access>(access)); });
}

int faultline_region_retry(faultline_region* region, void* address, size_t bytes) {
    return done_or_refused(__func__, [&] { checked(region).retry(address, bytes); });
}

int faultline_region_get_stats(const faultline_region* region, faultline_stats* stats) {
    return done_or_refused(__func__, [&] {
        if (stats == nullptr) refuse_null("stats");
        write_stats(*stats, checked(region).stats());
    });
}

int faultline_region_get_residency(const faultline_region* region, faultline_residency* parts, size_t count) {
    return done_or_refused(__func__, [&] {
        std::vector<faultline::ResidencyCell> cells(count);
        checked(region).residency(cells);
        if (parts == nullptr && count > 0) refuse_null("parts");
        std::transform(cells.begin(), cells.end(), parts, [](const faultline::ResidencyCell& cell) {
            return faultline_residency{cell.untouched, cell.resident, cell.dirty, cell.staged, cell.swapped};
        });
    });
}
