#include "soak/worker.hpp"

#include "soak/children.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

namespace faultline::soak {
namespace {

constexpr std::size_t kMostPins = 4;
constexpr std::uint32_t kTableKeys = 4096;  // at most 600 KiB for each thread
constexpr std::size_t kEveryWord = kLargestPageBytes;

/// Makes a call that may throw std::system_error with one of `codes`. Returns whether it succeeded. Other exceptions
/// propagate.
template <typename Call>
bool allowed_unless(std::initializer_list<int> codes, Call call) {
    try {
        call();
        return true;
    } catch (const std::system_error& error) {
        if (std::find(codes.begin(), codes.end(), error.code().value()) == codes.end()) throw;
        return false;
    }
}

}  // namespace

Worker::Worker(Stage stage, unsigned index)
    : stage_{stage},
      index_{index},
      random_{stage.configuration.seed * 1000 + index + 1},
      file_{::memfd_create("soak", MFD_CLOEXEC)} {
    if (file_ < 0) throw std::system_error{errno, std::generic_category(), "memfd_create"};
    if (stage_.heap != nullptr) table_.emplace(*stage_.heap, kTableKeys, random_.word());
}

Worker::~Worker() { ::close(file_); }

void Worker::step() {
    ++operations_;
    if (table_ && random_.one_in(3)) return change_own_table();
    const std::size_t choice = random_.below(1000);
    if (choice < 380) return read();
    if (choice < 780) return write();
    if (choice < 830) return advise();
    if (choice < 870) return discard();
    if (choice < 890) return protect();
    if (choice < 920) return pin();
    if (choice < 950) return unpin();
    if (choice < 965) return write_file();
    if (choice < 980) return read_file();
    if (choice < 990) return look();
    if (choice < 994) return move_limit();
    if (choice < 998) return use_own_region();
    if (random_.one_in(10)) return fork();
    read();
}

void Worker::verify() {
    pins_.clear();
    for (const auto& territory : stage_.territories) {
        for (std::size_t page = 0; page < territory->pages(); ++page) {
            territory->compare_page(page, index_, stage_.findings);
        }
    }
    try {
        if (table_) table_->check_all();
    } catch (const test::LostBlock& lost) {
        stage_.findings.mismatch(lost.what());
    }
}

Territory& Worker::any_territory() { return *stage_.territories[random_.below(stage_.territories.size())]; }

Territory::Pages Worker::own_pages(Territory*& territory) {
    for (int tries = 0; tries < 4; ++tries) {
        Territory& candidate = any_territory();
        if (!candidate.by_pages()) continue;
        const Territory::Pages pages = candidate.some_own_pages(index_, random_);
        if (pages.count == 0) continue;
        territory = &candidate;
        return pages;
    }
    return {0, 0};
}

bool Worker::pinned(const Territory& territory, Territory::Pages range) const {
    return std::any_of(pins_.begin(), pins_.end(), [&](const HeldPin& held) {
        return held.territory == &territory && held.pages.first < range.first + range.count &&
               range.first < held.pages.first + held.pages.count;
    });
}

// Reads runs of pages now and then, which the pager prefetches.
void Worker::read() {
    Territory& territory = any_territory();
    const std::size_t first = random_.below(territory.pages());
    const std::size_t count = random_.one_in(8) ? std::min<std::size_t>(territory.pages() - first, 24) : 1;
    for (std::size_t page = first; page < first + count; ++page) {
        territory.compare(page, index_, random_.between(1, 64), random_, stage_.findings);
    }
}

void Worker::write() {
    Territory& territory = any_territory();
    const bool zeros = random_.one_in(12);
    territory.write(random_.below(territory.pages()), index_, zeros ? kEveryWord : random_.between(1, 64), zeros,
                    random_);
}

// Advises pages of any thread, because advice does not change contents.
void Worker::advise() {
    Territory& territory = any_territory();
    const std::size_t first = random_.below(territory.region().size());
    const std::size_t bytes =
        random_.between(1, std::min(territory.region().size() - first, 32 * territory.region().page_size()));
    territory.region().advise(territory.region().data() + first, bytes,
                              random_.any_of({Advice::willneed, Advice::dontneed}));
}

void Worker::discard() {
    Territory* territory = nullptr;
    const Territory::Pages range = own_pages(territory);
    if (range.count == 0) return;
    const bool expected = !pinned(*territory, range);
    const bool done = allowed_unless(
        {EBUSY}, [&] { territory->region().discard(territory->page(range.first), territory->bytes_of(range)); });
    if (done != expected) stage_.findings.fault(done ? "a pinned page was discarded" : "discard: EBUSY without a pin");
    for (std::size_t page = range.first; page < range.first + range.count; ++page) {
        if (!pinned(*territory, {page, 1})) territory->note_zeros({page, 1});
        territory->compare(page, index_, 8, random_, stage_.findings);
    }
}

void Worker::protect() {
    Territory* territory = nullptr;
    const Territory::Pages range = own_pages(territory);
    if (range.count == 0) return;
    const auto set = [&](Access access) {
        territory->region().protect(territory->page(range.first), territory->bytes_of(range), access);
    };
    set(Access::read);
    for (std::size_t i = 0; i < range.count; ++i) {
        territory->compare(range.first + i, index_, 8, random_, stage_.findings);
    }
    if (!pinned(*territory, range) && random_.one_in(2)) set(Access::none);
    set(Access::read_write);
    territory->compare(range.first, index_, 8, random_, stage_.findings);
    territory->write(range.first, index_, 8, false, random_);
}

void Worker::pin() {
    if (pins_.size() == kMostPins) return unpin();
    Territory* territory = nullptr;
    const Territory::Pages range = own_pages(territory);
    if (range.count == 0) return;
    const auto purpose = random_.any_of({PinFor::reading, PinFor::writing});
    // ENOMEM: other threads have pinned as many pages as the limit permits.
    allowed_unless({ENOMEM}, [&] {
        Pin held = territory->region().pin(territory->page(range.first), territory->bytes_of(range), purpose);
        pins_.push_back({std::move(held), territory, range});
    });
}

void Worker::unpin() {
    if (pins_.empty()) return;
    std::swap(pins_[random_.below(pins_.size())], pins_.back());
    const HeldPin& held = pins_.back();
    for (std::size_t i = 0; i < held.pages.count; ++i) {
        held.territory->compare(held.pages.first + i, index_, 4, random_, stage_.findings);
    }
    pins_.pop_back();
}

void Worker::move_limit() {
    const Configuration& configuration = stage_.configuration;
    if (!configuration.limit_moves) return;
    const std::size_t pages = random_.between(configuration.least_limit, configuration.most_limit);
    allowed_unless({EBUSY}, [&] { stage_.pager.set_resident_limit(pages * configuration.page_size); });
}

void Worker::look() {
    const PagerStats stats = stage_.pager.stats();
    if (stats.frames_used > stage_.configuration.most_limit_bytes()) {
        stage_.findings.fault("frames_used " + std::to_string(stats.frames_used) +
                              " is above the largest limit of the round");
    }
    std::array<ResidencyCell, 5> cells{};
    any_territory().region().residency(cells);
}

// Checks that the kernel reads from managed memory what the thread wrote there.
void Worker::write_file() {
    Territory* territory = nullptr;
    const Territory::Pages range = own_pages(territory);
    if (range.count == 0) return;
    const std::size_t bytes = random_.between(1, territory->bytes_of(range));
    const std::ptrdiff_t written = io::pwrite(file_, territory->page(range.first), bytes, 0);
    if (written < 0) {
        if (errno != ENOMEM) stage_.findings.fault(std::string("io::pwrite: ") + std::strerror(errno));
        return;
    }
    std::vector<std::byte> arrived(static_cast<std::size_t>(written));
    if (::pread(file_, arrived.data(), arrived.size(), 0) != written) stage_.findings.fault("pread was short");
    if (std::memcmp(arrived.data(), territory->expected(range.first), arrived.size()) != 0) {
        stage_.findings.mismatch("io::pwrite wrote " + std::to_string(written) + " bytes, but wrong ones");
    }
}

// Checks that managed memory holds what the kernel wrote there.
void Worker::read_file() {
    Territory* territory = nullptr;
    const Territory::Pages range = own_pages(territory);
    if (range.count == 0) return;
    const std::size_t bytes = random_.between(1, std::min<std::size_t>(territory->bytes_of(range), 256 << 10));
    std::vector<std::byte> sent(bytes, static_cast<std::byte>(random_.below(256)));
    if (::pwrite(file_, sent.data(), bytes, 0) != static_cast<std::ptrdiff_t>(bytes)) {
        return stage_.findings.fault("pwrite was short");
    }
    const std::ptrdiff_t read = io::pread(file_, territory->page(range.first), bytes, 0);
    if (read < 0) {
        if (errno != ENOMEM) stage_.findings.fault(std::string("io::pread: ") + std::strerror(errno));
        return;
    }
    std::memcpy(territory->expected(range.first), sent.data(), static_cast<std::size_t>(read));
    territory->compare(range.first, index_, kEveryWord, random_, stage_.findings);
}

// Makes, uses and destroys a region while other threads work.
void Worker::use_own_region() {
    const std::size_t page_size = std::min(stage_.configuration.page_size, kBasePageBytes << random_.below(5));
    Territory own{"thread " + std::to_string(index_) + "'s own region",
                  stage_.pager.reserve(random_.between(1, 40) * page_size, {.page_size = page_size}),
                  {Division::By::pages, 1, 1}};
    for (std::size_t i = random_.below(60); i > 0; --i) {
        const std::size_t page = random_.below(own.pages());
        own.write(page, 0, random_.between(1, 16), false, random_);
        own.compare(random_.below(own.pages()), 0, random_.between(1, 16), random_, stage_.findings);
    }
    for (std::size_t page = 0; page < own.pages(); ++page) own.compare_page(page, 0, stage_.findings);
    if (random_.one_in(2)) own.region().destroy();
}

void Worker::fork() {
    const Configuration& configuration = stage_.configuration;
    if (!configuration.forks) return;
    const ChildDoes what = random_.one_in(3)                ? ChildDoes::leave
                           : configuration.children_inherit ? ChildDoes::verify
                                                            : ChildDoes::touch;
    fork_child(what, any_territory(), index_, stage_.findings);
}

/// The table grows until most keys are in it, shrinks until few are, and grows again.
void Worker::change_own_table() {
    if (table_->size() > kTableKeys * 3 / 4) table_grows_ = false;
    if (table_->size() < kTableKeys / 8) table_grows_ = true;
    try {
        test::change_table(*table_, table_grows_, 8, [&] { return random_.word(); });
    } catch (const test::LostBlock& lost) {
        stage_.findings.mismatch(lost.what());
    }
}

}  // namespace faultline::soak
