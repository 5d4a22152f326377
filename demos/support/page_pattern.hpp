// PagePattern: page contents that reveal errors. Every byte follows from (seed, page, counter), so a lost write, a page
// in another's place, zeros, or one flipped bit is detected and can be described.
//
//     word 0            the page's number
//     word 1            the counter: how often the page was written
//     word 2 .. n-2     pseudo-random, from (seed, page, counter)
//     word n-1          a checksum over all words before it
//
// Counter 0 is a page never written: all zeros. Words are written singly with release and read with acquire order, so a
// reader may read while a writer writes: each word has the old or the new contents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace faultline::demo {

/// The result of a check. All zero if the page was as expected.
struct PageFindings {
    std::uint64_t wrong_words = 0;
    std::size_t first_wrong_byte = 0;  ///< Offset in the page of the first wrong word, in bytes.
    std::uint64_t expected_word = 0;   ///< The word expected there.
    std::uint64_t found_word = 0;      ///< The word found there.
    std::uint64_t found_page = 0;      ///< Word 0.
    std::uint64_t found_counter = 0;   ///< Word 1.
    bool checksum_holds =
        false;  ///< The checksum of the found contents is right: they are complete, but of another page or time.
    bool all_zero = true;  ///< Only zeros were found.

    [[nodiscard]] bool ok() const noexcept { return wrong_words == 0; }

    /// Describes the findings of page `number`: "expected counter 5 ..., found ...".
    [[nodiscard]] std::string describe(std::uint64_t number, std::uint32_t counter) const;
};

/// Immutable: any number of threads. It faults on the pages it is given, and makes no system call.
class PagePattern {
public:
    /// `page_bytes` is a multiple of 8, at least 32.
    PagePattern(std::uint64_t seed, std::size_t page_bytes) noexcept : seed_{seed}, words_{page_bytes / 8} {}

    /// Writes the contents of page `number` for `counter` (above 0) over the whole page.
    void fill(std::byte* page, std::uint64_t number, std::uint32_t counter) const noexcept;

    /// Compares the whole page with its contents for `counter`.
    [[nodiscard]] PageFindings check(const std::byte* page, std::uint64_t number, std::uint32_t counter) const noexcept;

    /// Checks a page that is being rewritten: each word must be that of `counter` or of `next`.
    [[nodiscard]] PageFindings check_during_write(const std::byte* page, std::uint64_t number, std::uint32_t counter,
                                                  std::uint32_t next) const noexcept;

    /// Makes the first access of the CPU a write, as in a program that overwrites without reading, and changes nothing.
    /// Only for the page's only writer.
    void touch_for_writing(std::byte* page, std::uint64_t number, std::uint32_t counter) const noexcept;

private:
    std::uint64_t seed_;
    std::size_t words_;
};

}  // namespace faultline::demo
