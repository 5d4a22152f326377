// Territory: a region and an array in ordinary memory that must hold the same words (the oracle). Each word belongs to
// one thread, which alone compares and changes it, so that no lock is needed and the right value is always known.
#pragma once

#include "soak/findings.hpp"
#include "soak/random.hpp"

#include <faultline/faultline.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace faultline::soak {

/// How a region is divided among threads.
struct Division {
    enum class By : std::uint8_t {
        pages,  ///< Stripes of pages, in turn: the owner may also discard, protect and pin its pages.
        words,  ///< Every page has words of every thread: all threads fault on the same pages.
    };
    By by = By::pages;
    std::size_t stripe = 1;  ///< Pages per stripe.
    unsigned threads = 1;
};

class Territory {
public:
    struct Pages {
        std::size_t first;
        std::size_t count;
    };

    Territory(std::string name, Region region, Division division)
        : name_{std::move(name)}, region_{std::move(region)}, division_{division}, oracle_(region_.size() / kWord) {}

    [[nodiscard]] Region& region() noexcept { return region_; }
    [[nodiscard]] bool by_pages() const noexcept { return division_.by == Division::By::pages; }
    [[nodiscard]] std::size_t pages() const noexcept { return region_.size() / region_.page_size(); }
    [[nodiscard]] std::byte* page(std::size_t index) const noexcept {
        return region_.data() + index * region_.page_size();
    }
    [[nodiscard]] std::size_t bytes_of(Pages range) const noexcept { return range.count * region_.page_size(); }

    /// Returns up to 16 adjacent pages of one stripe of `thread`, or none if the chosen stripe does not exist. Call it
    /// only if by_pages().
    [[nodiscard]] Pages some_own_pages(unsigned thread, Random& random) const {
        const std::size_t stripes = (pages() + division_.stripe - 1) / division_.stripe;
        const std::size_t rounds = (stripes + division_.threads - 1) / division_.threads;
        const std::size_t stripe = random.below(rounds) * division_.threads + thread;
        if (stripe >= stripes) return {0, 0};
        const std::size_t begin = stripe * division_.stripe;
        const std::size_t end = std::min(begin + division_.stripe, pages());
        const std::size_t first = random.between(begin, end - 1);
        return {first, random.between(1, std::min<std::size_t>(end - first, 16))};
    }

    /// Compares up to `most` words of `thread` in a page, from a random one on.
    void compare(std::size_t page, unsigned thread, std::size_t most, Random& random, Findings& findings) const {
        for_some_words(page, thread, most, random, [&](std::size_t word) { compare_word(word, findings); });
    }
    void compare_page(std::size_t page, unsigned thread, Findings& findings) const {
        for_words(page, thread, 0, words_per_page(), [&](std::size_t word) { compare_word(word, findings); });
    }

    /// Writes up to `most` words of `thread` in a page, from a random one on: zeros or random values.
    void write(std::size_t page, unsigned thread, std::size_t most, bool zeros, Random& random) {
        for_some_words(page, thread, most, random, [&](std::size_t word) {
            const std::uint64_t value = zeros ? 0 : random.word();
            oracle_[word] = value;
            live()[word] = value;
        });
    }

    /// Sets the oracle of pages to zeros, after the region's pages were discarded.
    void note_zeros(Pages range) {
        std::fill_n(oracle_.begin() + static_cast<std::ptrdiff_t>(range.first * words_per_page()),
                    range.count * words_per_page(), 0);
    }

    /// Returns the oracle's bytes of a page. The owner writes there what it has written to the region by other means.
    [[nodiscard]] std::byte* expected(std::size_t page) noexcept {
        return reinterpret_cast<std::byte*>(oracle_.data() + page * words_per_page());
    }

    /// Returns whether any word of `thread` differs. For a child of fork: neither allocates nor prints.
    [[nodiscard]] bool differs(unsigned thread) const noexcept {
        for (std::size_t page = 0; page < pages(); ++page) {
            if (by_pages() && owner(page) != thread) continue;
            for (std::size_t i = first_word(thread); i < words_per_page(); i += stride()) {
                const std::size_t word = page * words_per_page() + i;
                if (live()[word] != oracle_[word]) return true;
            }
        }
        return false;
    }

    [[nodiscard]] bool owns_any(std::size_t page, unsigned thread) const noexcept {
        return !by_pages() || owner(page) == thread;
    }

private:
    static constexpr std::size_t kWord = sizeof(std::uint64_t);

    [[nodiscard]] unsigned owner(std::size_t page) const noexcept {
        return static_cast<unsigned>(page / division_.stripe % division_.threads);
    }
    [[nodiscard]] std::size_t words_per_page() const noexcept { return region_.page_size() / kWord; }
    [[nodiscard]] std::size_t stride() const noexcept { return by_pages() ? 1 : division_.threads; }
    [[nodiscard]] std::size_t first_word(unsigned thread) const noexcept { return by_pages() ? 0 : thread; }
    [[nodiscard]] volatile std::uint64_t* live() const noexcept {
        return reinterpret_cast<volatile std::uint64_t*>(region_.data());
    }

    template <typename Visit>
    void for_words(std::size_t page, unsigned thread, std::size_t from, std::size_t most, Visit visit) const {
        if (!owns_any(page, thread)) return;
        for (std::size_t i = from * stride() + first_word(thread); i < words_per_page() && most > 0;
             i += stride(), --most) {
            visit(page * words_per_page() + i);
        }
    }
    template <typename Visit>
    void for_some_words(std::size_t page, unsigned thread, std::size_t most, Random& random, Visit visit) const {
        for_words(page, thread, random.below(words_per_page() / stride()), most, visit);
    }

    void compare_word(std::size_t word, Findings& findings) const {
        const std::uint64_t found = live()[word];
        if (found == oracle_[word]) return;
        findings.mismatch(name_ + " page " + std::to_string(word / words_per_page()) + " word " +
                          std::to_string(word % words_per_page()) + " held " + std::to_string(found) +
                          " and should hold " + std::to_string(oracle_[word]) + "; now it holds " +
                          std::to_string(live()[word]));
    }

    std::string name_;
    Region region_;
    Division division_;
    std::vector<std::uint64_t> oracle_;
};

}  // namespace faultline::soak
