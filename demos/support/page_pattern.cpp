#include "support/page_pattern.hpp"

#include "display/format.hpp"
#include "support/random.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

namespace faultline::demo {
namespace {

/// A checksum that depends on the order of the words: each is rotated further than the one before.
class Checksum {
public:
    void add(std::uint64_t word) noexcept { sum_ = std::rotl(sum_, 5) ^ word; }
    [[nodiscard]] std::uint64_t value() const noexcept { return sum_; }

private:
    // Not zero, so that a page of zeros has no valid checksum.
    std::uint64_t sum_ = kGoldenGamma;
};

/// Generates the words of one page for one counter, in order.
class Contents {
public:
    Contents(std::uint64_t seed, std::uint64_t number, std::uint32_t counter, std::size_t words) noexcept
        : number_{number}, counter_{counter}, last_{words - 1}, state_{mix64(mix64(seed ^ mix64(number)) + counter)} {}

    std::uint64_t next() noexcept {
        if (counter_ == 0) return 0;
        if (index_ == last_) return checksum_.value();
        const std::uint64_t word = index_ == 0 ? number_ : index_ == 1 ? counter_ : mix64(state_ += kGoldenGamma);
        ++index_;
        checksum_.add(word);
        return word;
    }

private:
    std::uint64_t number_;
    std::uint32_t counter_;
    std::size_t last_;
    std::uint64_t state_;
    std::size_t index_ = 0;
    Checksum checksum_;
};

using Word = std::atomic_ref<std::uint64_t>;
static_assert(Word::is_always_lock_free, "a lock would hide what the pager does");

Word word_at(std::byte* page, std::size_t index) noexcept {
    return Word{*(reinterpret_cast<std::uint64_t*>(page) + index)};
}

std::uint64_t load(const std::byte* page, std::size_t index) noexcept {
    // C++20's atomic_ref takes no const object; a load does not write.
    return word_at(const_cast<std::byte*>(page), index).load(std::memory_order_acquire);
}

/// Collects the differences while a page is walked.
class Findings {
public:
    void see(std::size_t index, std::uint64_t found, bool right, std::uint64_t expected, std::size_t words) noexcept {
        result_.all_zero = result_.all_zero && found == 0;
        if (index == 0) result_.found_page = found;
        if (index == 1) result_.found_counter = found;
        if (index + 1 == words) {
            result_.checksum_holds = found == checksum_.value();
        } else {
            checksum_.add(found);
        }
        if (right) return;
        if (result_.wrong_words++ > 0) return;
        result_.first_wrong_byte = index * sizeof(std::uint64_t);
        result_.expected_word = expected;
        result_.found_word = found;
    }

    [[nodiscard]] PageFindings result() const noexcept { return result_; }

private:
    PageFindings result_;
    Checksum checksum_;
};

}  // namespace

void PagePattern::fill(std::byte* page, std::uint64_t number, std::uint32_t counter) const noexcept {
    Contents contents{seed_, number, counter, words_};
    for (std::size_t i = 0; i < words_; ++i) word_at(page, i).store(contents.next(), std::memory_order_release);
}

PageFindings PagePattern::check(const std::byte* page, std::uint64_t number, std::uint32_t counter) const noexcept {
    Contents contents{seed_, number, counter, words_};
    Findings findings;
    for (std::size_t i = 0; i < words_; ++i) {
        const std::uint64_t expected = contents.next();
        const std::uint64_t found = load(page, i);
        findings.see(i, found, found == expected, expected, words_);
    }
    return findings.result();
}

PageFindings PagePattern::check_during_write(const std::byte* page, std::uint64_t number, std::uint32_t counter,
                                             std::uint32_t next) const noexcept {
    Contents before{seed_, number, counter, words_};
    Contents after{seed_, number, next, words_};
    Findings findings;
    for (std::size_t i = 0; i < words_; ++i) {
        const std::uint64_t old_word = before.next();
        const std::uint64_t new_word = after.next();
        const std::uint64_t found = load(page, i);
        findings.see(i, found, found == old_word || found == new_word, old_word, words_);
    }
    return findings.result();
}

void PagePattern::touch_for_writing(std::byte* page, std::uint64_t number, std::uint32_t counter) const noexcept {
    // Exchanges word 0 with itself. An atomic exchange needs write access whatever value it finds. A wrong word stays,
    // and the check that follows finds it.
    std::uint64_t expected = counter == 0 ? 0 : number;
    static_cast<void>(word_at(page, 0).compare_exchange_strong(expected, expected, std::memory_order_relaxed));
}

std::string PageFindings::describe(std::uint64_t number, std::uint32_t counter) const {
    std::string text = display::printed("page %llu: expected counter %u, found ",
                                        static_cast<unsigned long long>(number), static_cast<unsigned>(counter));
    if (all_zero) {
        text += "zeros";
    } else if (checksum_holds && found_page != number) {
        text += display::printed("page %llu's contents", static_cast<unsigned long long>(found_page));
    } else if (checksum_holds && found_counter != counter) {
        text += display::printed("whole contents of counter %llu", static_cast<unsigned long long>(found_counter));
    } else {
        text += display::printed("counter %llu and a %s checksum", static_cast<unsigned long long>(found_counter),
                                 checksum_holds ? "good" : "wrong");
    }
    return text + display::printed("; %llu words wrong, the first at byte %zu: expected %016llx, found %016llx",
                                   static_cast<unsigned long long>(wrong_words), first_wrong_byte,
                                   static_cast<unsigned long long>(expected_word),
                                   static_cast<unsigned long long>(found_word));
}

}  // namespace faultline::demo
