// Page words in every combination of fields, and their fields as a value that can be compared and printed. Words are
// built from the layout that core/page_word.hpp documents, not through the transitions under test.
#pragma once

#include "core/page_word.hpp"

#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <vector>

namespace faultline::test {

using core::Departure;
using core::PageState;
using core::PageWord;

inline constexpr PageState kAllStates[] = {PageState::empty,    PageState::stored,   PageState::filling,
                                           PageState::resident, PageState::evicting, PageState::staged,
                                           PageState::poisoned};

inline constexpr std::uint64_t kFromStagingBit = std::uint64_t{1} << 7;

struct Fields {
    PageState state = PageState::empty;
    bool dirty = false;
    bool has_slot = false;
    bool writing = false;
    bool waiters = false;
    bool from_staging = false;
    Access protection = Access::read_write;
    std::uint64_t pins = 0;
    std::uint32_t payload = 0;

    friend bool operator==(const Fields&, const Fields&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const Fields& fields) {
    return out << "state " << static_cast<int>(fields.state) << ", dirty " << fields.dirty << ", has_slot "
               << fields.has_slot << ", writing " << fields.writing << ", waiters " << fields.waiters
               << ", from_staging " << fields.from_staging << ", protection " << static_cast<int>(fields.protection)
               << ", pins " << fields.pins << ", payload " << fields.payload;
}

inline Fields fields_of(PageWord word) {
    return {word.state(),      word.dirty(),   word.has_slot(),
            word.writing(),    word.waiters(), (word.bits() & kFromStagingBit) != 0,
            word.protection(), word.pins(),    word.payload()};
}

inline PageWord word_of(const Fields& fields) {
    const auto flag = [](bool on, unsigned bit) { return static_cast<std::uint64_t>(on) << bit; };
    return PageWord{static_cast<std::uint64_t>(fields.state) | flag(fields.dirty, 3) | flag(fields.has_slot, 4) |
                    flag(fields.writing, 5) | flag(fields.waiters, 6) | flag(fields.from_staging, 7) |
                    static_cast<std::uint64_t>(fields.protection) << 8 | fields.pins << 10 |
                    std::uint64_t{fields.payload} << 32};
}

/// Returns every combination of flags and protections in `state`, with few and many pins and small and large payloads.
inline std::vector<PageWord> words_in(PageState state) {
    std::vector<PageWord> words;
    for (unsigned flags = 0; flags < 32; ++flags) {
        for (Access protection : {Access::read_write, Access::read, Access::none}) {
            for (std::uint64_t pins : {std::uint64_t{0}, std::uint64_t{1}, PageWord::kMaxPins - 1}) {
                for (std::uint32_t payload : {0U, 7U, 0xffff'ffffU}) {
                    words.push_back(word_of({state, (flags & 1U) != 0, (flags & 2U) != 0, (flags & 4U) != 0,
                                             (flags & 8U) != 0, (flags & 16U) != 0, protection, pins, payload}));
                }
            }
        }
    }
    return words;
}

inline std::vector<PageWord> words_in(std::initializer_list<PageState> states) {
    std::vector<PageWord> words;
    for (PageState state : states) {
        const std::vector<PageWord> more = words_in(state);
        words.insert(words.end(), more.begin(), more.end());
    }
    return words;
}

inline std::vector<PageWord> all_words() {
    std::vector<PageWord> words;
    for (PageState state : kAllStates) {
        const std::vector<PageWord> more = words_in(state);
        words.insert(words.end(), more.begin(), more.end());
    }
    return words;
}

}  // namespace faultline::test
