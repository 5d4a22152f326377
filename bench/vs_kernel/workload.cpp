// A page is 512 words. Word 0 is the page's number, every fourth other word is random, the rest is zero: LZ4 compresses
// it to less than half. A write adds 2^32 to one of those words, so that afterwards
//     word = filled word + 2^32 * writes to it
// holds for every word, and the sum over all words is the number of writes made. So a page that lost a write is
// detected even if its bytes look right. Writes do not change how well the page compresses.
#include "vs_kernel/workload.hpp"

#include <atomic>
#include <chrono>
#include <future>

#include "support/clock.hpp"

namespace bench {
namespace {

constexpr std::size_t kWords = kTouchedPageBytes / sizeof(std::uint64_t);
constexpr std::size_t kStride = 4;  // words from one filled word to the next
constexpr std::uint64_t kOneWrite = std::uint64_t{1} << 32;
constexpr double kZipfExponent = 0.99;

std::uint64_t* words_of(std::span<std::byte> memory, std::uint64_t page) noexcept {
    return reinterpret_cast<std::uint64_t*>(memory.data() + page * kTouchedPageBytes);
}

constexpr std::uint64_t filled_word(std::uint64_t page, std::size_t word) noexcept {
    if (word == 0) return page;
    return word % kStride == 0 ? mix(page * kWords + word) : 0;
}

void fill(std::uint64_t* words, std::uint64_t page) noexcept {
    for (std::size_t word = 0; word < kWords; ++word) words[word] = filled_word(page, word);
}

// Adds the writes that the page's words have received to `writes`. Returns false if a word cannot result from writes.
bool check_page(const std::uint64_t* words, std::uint64_t page, std::uint64_t& writes) noexcept {
    std::uint64_t odd_bits = 0;
    for (std::size_t word = 0; word < kWords; ++word) {
        const std::uint64_t added = words[word] - filled_word(page, word);
        odd_bits |= word % kStride == 0 ? added % kOneWrite : added;
        writes += added / kOneWrite;
    }
    return odd_bits == 0;
}

// Both touches are relaxed atomics: one plain load, one locked add. Threads may meet on a page.
template <Touch touch>
void touch_word(std::uint64_t* word) noexcept {
    std::atomic_ref<std::uint64_t> cell{*word};
    if constexpr (touch == Touch::modify) {
        cell.fetch_add(kOneWrite, std::memory_order_relaxed);
    } else {
        [[maybe_unused]] const std::uint64_t value = cell.load(std::memory_order_relaxed);
        // Keeps the load although its value is not used.
        asm volatile("" : : "r"(value) : "memory");
    }
}

// Only the touch is timed. Choosing the page costs 10 to 40 ns, which the operations per second include.
template <Touch touch, typename NextPage>
void touch_until(std::span<std::byte> memory, std::uint64_t deadline, Random& random, NextPage next_page,
                 Touches& touches) {
    const TickScale& scale = TickScale::instance();
    for (;;) {
        const std::uint64_t page = next_page(random);
        std::uint64_t* const word = words_of(memory, page) + random.below(kWords / kStride) * kStride;
        const std::uint64_t before = ticks_before();
        touch_word<touch>(word);
        const std::uint64_t after = ticks_after();
        touches.latency.record(scale.nanoseconds(before, after));
        ++touches.count;
        if (after >= deadline) return;
    }
}

template <typename NextPage>
void touch_until(Touch touch, std::span<std::byte> memory, std::uint64_t deadline, Random& random, NextPage next_page,
                 Touches& touches) {
    if (touch == Touch::modify) {
        touch_until<Touch::modify>(memory, deadline, random, next_page, touches);
    } else {
        touch_until<Touch::read>(memory, deadline, random, next_page, touches);
    }
}

}  // namespace

Workload::Workload(Memory& memory, const WorkloadShape& shape)
    : pager_{memory},
      memory_{memory.bytes()},
      pages_{memory_.size() / kTouchedPageBytes},
      named_at_once_{shape.named_at_once},
      shuffle_{pages_},
      zipf_{pages_, kZipfExponent},
      named_pages_(shape.threads) {
    for (unsigned thread = 0; thread < shape.threads; ++thread) {
        randoms_.emplace_back(thread + 1);
        next_pages_.push_back(pages_ * thread / shape.threads);
    }
}

Touches Workload::populate() {
    const TickScale& scale = TickScale::instance();
    Touches touches;
    const auto start = std::chrono::steady_clock::now();
    for (std::uint64_t page = 0; page < pages_; ++page) {
        std::uint64_t* const words = words_of(memory_, page);
        const std::uint64_t before = ticks_before();
        std::atomic_ref{*words}.store(page, std::memory_order_relaxed);
        // The store stays before the second stamp; a store that faults is over before the next instruction is counted.
        asm volatile("" : : : "memory");
        touches.latency.record(scale.nanoseconds(before, ticks_after()));
        fill(words, page);
    }
    touches.count = pages_;
    touches.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return touches;
}

Touches Workload::run_thread(unsigned thread, const Mode& mode, std::uint64_t deadline) {
    // Local copies while the thread works: neighbours in the vectors share cache lines.
    Touches touches;
    Random random = randoms_[thread];
    std::uint64_t next = next_pages_[thread];
    const auto touch_pages = [&](auto next_page) {
        touch_until(mode.touch, memory_, deadline, random, next_page, touches);
    };
    switch (mode.pattern) {
        case Pattern::uniform:
            touch_pages([pages = pages_](Random& source) { return source.below(pages); });
            break;
        case Pattern::zipf:
            touch_pages([this](Random& source) { return shuffle_(zipf_(source)); });
            break;
        case Pattern::named: {
            std::unique_ptr<NamedPages>& named = named_pages_[thread];
            if (!named) named = std::make_unique<NamedPages>(pager_, named_at_once_, random.next());
            touch_pages([&pages = *named](Random&) { return pages(); });
            break;
        }
        case Pattern::sequential:
            // Each round continues where the last one stopped, and wraps around at the last page.
            touch_pages([&next, pages = pages_](Random&) {
                const std::uint64_t page = next;
                next = page + 1 == pages ? 0 : page + 1;
                return page;
            });
            break;
    }
    randoms_[thread] = random;
    next_pages_[thread] = next;
    return touches;
}

Touches Workload::run(const Mode& mode, double seconds) {
    Touches all;
    const std::uint64_t start = ticks_after();
    const std::uint64_t deadline = start + TickScale::instance().ticks(seconds);
    const auto add = [&all](const Touches& part) {
        all.count += part.count;
        all.latency.merge(part.latency);
    };
    std::vector<std::future<Touches>> helpers;
    for (unsigned thread = 1; thread < randoms_.size(); ++thread) {
        helpers.push_back(std::async(std::launch::async, [&, thread] { return run_thread(thread, mode, deadline); }));
    }
    add(run_thread(0, mode, deadline));
    for (std::future<Touches>& helper : helpers) add(helper.get());
    all.seconds = static_cast<double>(TickScale::instance().nanoseconds(start, ticks_after())) * 1e-9;
    if (mode.touch == Touch::modify) writes_ += all.count;
    return all;
}

Verification Workload::verify() const {
    Verification result;
    result.pages = pages_;
    std::uint64_t found = 0;
    for (std::uint64_t page = 0; page < pages_; ++page) {
        if (!check_page(words_of(memory_, page), page, found)) ++result.mismatches;
    }
    result.missing_writes = static_cast<std::int64_t>(writes_ - found);
    return result;
}

}  // namespace bench
