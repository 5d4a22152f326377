// PagePattern: contents that tell on themselves. Every byte of a page follows from (seed, page, counter), so a lost
// write, a page in another's place, zeros, or one flipped bit anywhere is noticed and can be named.
//
//     word 0            the page's number
//     word 1            the counter: how often the page was written
//     word 2 .. n-2     pseudo-random, from (seed, page, counter)
//     word n-1          a checksum over all words before it
//
// Counter 0 is a page never written: all zeros. Words are written one by one with release and read with acquire order,
// so a reader may look while a writer works: it finds, word by word, the old or the new contents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace faultline::demo {

/// What a look at a page found. All zero when the page was as expected.
struct PageFindings {
    std::uint64_t wrong_words = 0;
    std::size_t first_wrong_byte = 0;  ///< Offset in the page of the first wrong word, in bytes.
    std::uint64_t expected_word = 0;   ///< There, and
    std::uint64_t found_word = 0;      ///< what was there instead.
    std::uint64_t found_page = 0;      ///< Word 0.
    std::uint64_t found_counter = 0;   ///< Word 1.
    bool checksum_holds = false;       ///< Of what was found: these are whole contents in the wrong place or time.
    bool all_zero = true;              ///< Nothing but zeros was found.

    [[nodiscard]] bool ok() const noexcept { return wrong_words == 0; }

    /// "expected counter 5 ..., found ...": the findings of page `number` in words.
    [[nodiscard]] std::string describe(std::uint64_t number, std::uint32_t counter) const;
};

/// Stateless but for its parameters: any number of threads. Faults on the pages it is shown, and makes no system call.
class PagePattern {
public:
    /// `page_bytes` is a multiple of 8, at least 32.
    PagePattern(std::uint64_t seed, std::size_t page_bytes) noexcept : seed_{seed}, words_{page_bytes / 8} {}

    /// Writes the contents of page `number` for `counter` (above 0) over the whole page.
    void fill(std::byte* page, std::uint64_t number, std::uint32_t counter) const noexcept;

    /// Compares the whole page with its contents for `counter`.
    [[nodiscard]] PageFindings check(const std::byte* page, std::uint64_t number, std::uint32_t counter) const noexcept;

    /// Compares a page that is being rewritten: each word must be that of `counter` or of `next`.
    [[nodiscard]] PageFindings check_during_write(const std::byte* page, std::uint64_t number, std::uint32_t counter,
                                                  std::uint32_t next) const noexcept;

    /// Makes the CPU ask for write access first, as a program does that overwrites without looking, and changes
    /// nothing. Only for the page's only writer.
    void touch_for_writing(std::byte* page, std::uint64_t number, std::uint32_t counter) const noexcept;

private:
    std::uint64_t seed_;
    std::size_t words_;
};

}  // namespace faultline::demo
