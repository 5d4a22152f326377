#include "heap_paging/programs.hpp"

#include "support/random.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

namespace bench {

const std::array<PhaseName, kPhases> kPhaseNames{{{"build", "allocate and fill objects of 32 bytes to 8 KiB"},
                                                  {"walk", "check each, in the order of their age"},
                                                  {"lookups", "check one at random"},
                                                  {"replace", "free one at random, allocate another"},
                                                  {"thin out", "free nine of ten, at random"},
                                                  {"survivors", "check the rest"},
                                                  {"rebuild", "allocate and fill as many again"},
                                                  {"free", "free all, at random"}}};

namespace {

constexpr std::size_t kMeanBytes = 800;  // the approximate mean of the sizes below

/// Most objects are small; most bytes are in large objects.
std::size_t size_of_next(Random& random) {
    const std::uint64_t choice = random.below(100);
    if (choice < 50) return 32 + random.below(224);
    if (choice < 90) return 256 + random.below(768);
    return 1024 + random.below(7168);
}

class Objects {
public:
    Objects(const Allocator& allocator, std::size_t bytes) : allocator_{allocator} {
        all_.reserve(table_bytes(bytes) / sizeof all_[0]);
    }

    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
    void add(Random& random) {
        all_.push_back(make(random));
        bytes_ += header(all_.back()).bytes;
    }
    void check(std::size_t index) const {
        const Header& its = header(all_[index]);
        std::uint64_t last = 0;
        std::memcpy(&last, all_[index] + its.bytes - sizeof last, sizeof last);
        if (its.bytes < 32 || last != mix(its.stamp)) throw std::runtime_error("an object has wrong contents");
    }
    void replace(std::size_t index, Random& random) {
        drop(index);
        all_[index] = make(random);
        bytes_ += header(all_[index]).bytes;
    }
    /// Frees all objects except the first `left`.
    void shrink(std::size_t left) {
        while (all_.size() > left) {
            drop(all_.size() - 1);
            all_.pop_back();
        }
    }
    void shuffle(Random& random) {
        for (std::size_t i = all_.size(); i > 1; --i) std::swap(all_[i - 1], all_[random.below(i)]);
    }
    /// Frees all objects except the first `left`, and moves those to `others`.
    void leave(std::size_t left, Objects& others) {
        shrink(left);
        others.all_.insert(others.all_.end(), all_.begin(), all_.end());
        all_.clear();
    }
    /// Counts all objects ever made.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    struct Header {
        std::uint64_t bytes;
        std::uint64_t stamp;
    };
    static const Header& header(const std::byte* object) { return *reinterpret_cast<const Header*>(object); }

    std::byte* make(Random& random) {
        const std::size_t bytes = size_of_next(random) / 8 * 8;
        auto* const object = static_cast<std::byte*>(allocator_.allocate(allocator_.context, bytes));
        if (object == nullptr) throw std::runtime_error("the allocator has no memory left");
        auto* const words = reinterpret_cast<std::uint64_t*>(object);
        words[0] = bytes;
        words[1] = random.next();
        for (std::size_t i = 2; i < bytes / 8; ++i) words[i] = words[1] + i;
        words[bytes / 8 - 1] = mix(words[1]);
        return object;
    }
    void drop(std::size_t index) { allocator_.deallocate(allocator_.context, all_[index]); }

    const Allocator& allocator_;
    std::vector<std::byte*> all_;
    std::size_t bytes_ = 0;
};

template <typename Work>
Phase timed(Work work) {
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t operations = work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    return {took.count(), operations};
}

}  // namespace

std::size_t table_bytes(std::size_t object_bytes) noexcept {
    return (object_bytes / kMeanBytes * 5 / 4 + 1024) * sizeof(void*);
}

Phases live_with(const Allocator& allocator, std::size_t bytes, std::size_t lookups) {
    Random random{1};
    Objects objects{allocator, bytes};
    Phases phases;
    std::size_t next = 0;
    const auto check_all = [&] {
        for (std::size_t i = 0; i < objects.size(); ++i) objects.check(i);
        return objects.size();
    };
    phases[next++] = timed([&] {
        while (objects.bytes() < bytes) objects.add(random);
        return objects.size();
    });
    const std::size_t full = objects.size();
    phases[next++] = timed(check_all);
    phases[next++] = timed([&] {
        for (std::size_t i = 0; i < lookups; ++i) objects.check(random.below(full));
        return lookups;
    });
    phases[next++] = timed([&] {
        for (std::size_t i = 0; i < lookups; ++i) objects.replace(random.below(full), random);
        return lookups;
    });
    objects.shuffle(random);
    phases[next++] = timed([&] {
        objects.shrink(full / 10);
        return full - full / 10;
    });
    phases[next++] = timed(check_all);
    phases[next++] = timed([&] {
        while (objects.size() < full) objects.add(random);
        return full - full / 10;
    });
    objects.shuffle(random);
    phases[next++] = timed([&] {
        objects.shrink(0);
        return full;
    });
    return phases;
}

std::uint64_t free_most(const Allocator& allocator, std::size_t bytes, unsigned generations) {
    constexpr std::size_t kOneIn = 32;
    Random random{2};
    Objects young{allocator, bytes};
    Objects old{allocator, bytes * generations / kOneIn};
    for (unsigned generation = 1; generation <= generations; ++generation) {
        while (young.bytes() < generation * bytes) young.add(random);
        young.shuffle(random);
        young.leave(young.size() / kOneIn, old);
    }
    for (std::size_t i = 0; i < old.size(); ++i) old.check(i);
    old.shrink(0);
    return young.bytes();
}

}  // namespace bench
