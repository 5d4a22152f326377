#include "api/c/words.hpp"

#include "sys/error.hpp"

#include <faultline/faultline.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>

namespace faultline::api {
namespace {

/// The constants of a C enumeration are 0, 1, 2, ...: the index in this table is the constant.
template <typename Word, std::size_t Count>
using Table = std::array<Word, Count>;

constexpr Table<Delivery, 4> kDeliveries{Delivery::automatic, Delivery::uffd_threads, Delivery::uffd_signal,
                                         Delivery::sigsegv};
static_assert(kDeliveries[FAULTLINE_DELIVERY_UFFD_THREADS] == Delivery::uffd_threads);
static_assert(kDeliveries[FAULTLINE_DELIVERY_UFFD_SIGNAL] == Delivery::uffd_signal);
static_assert(kDeliveries[FAULTLINE_DELIVERY_SIGSEGV] == Delivery::sigsegv);

constexpr Table<Eviction, 5> kEvictions{Eviction::automatic, Eviction::move, Eviction::copy, Eviction::protect,
                                        Eviction::guard};
static_assert(kEvictions[FAULTLINE_EVICTION_MOVE] == Eviction::move);
static_assert(kEvictions[FAULTLINE_EVICTION_COPY] == Eviction::copy);
static_assert(kEvictions[FAULTLINE_EVICTION_PROTECT] == Eviction::protect);
static_assert(kEvictions[FAULTLINE_EVICTION_GUARD] == Eviction::guard);

constexpr Table<Replacement, 2> kReplacements{Replacement::second_chance, Replacement::fifo};
static_assert(kReplacements[FAULTLINE_REPLACEMENT_FIFO] == Replacement::fifo);

constexpr Table<ForkPolicy, 2> kForkPolicies{ForkPolicy::refuse, ForkPolicy::inherit};
static_assert(kForkPolicies[FAULTLINE_FORK_INHERIT] == ForkPolicy::inherit);

constexpr Table<Access, 4> kAccesses{Access::read_write, Access::read, Access::none, Access::read_execute};
static_assert(kAccesses[FAULTLINE_ACCESS_READ] == Access::read);
static_assert(kAccesses[FAULTLINE_ACCESS_NONE] == Access::none);
static_assert(kAccesses[FAULTLINE_ACCESS_READ_EXECUTE] == Access::read_execute);

constexpr Table<PinFor, 2> kPurposes{PinFor::reading, PinFor::writing};
static_assert(kPurposes[FAULTLINE_PIN_FOR_WRITING] == PinFor::writing);

constexpr Table<Advice, 6> kAdvices{Advice::normal,   Advice::sequential, Advice::random,
                                    Advice::willneed, Advice::dontneed,   Advice::cold};
static_assert(kAdvices[FAULTLINE_ADVICE_SEQUENTIAL] == Advice::sequential);
static_assert(kAdvices[FAULTLINE_ADVICE_RANDOM] == Advice::random);
static_assert(kAdvices[FAULTLINE_ADVICE_WILLNEED] == Advice::willneed);
static_assert(kAdvices[FAULTLINE_ADVICE_DONTNEED] == Advice::dontneed);
static_assert(kAdvices[FAULTLINE_ADVICE_COLD] == Advice::cold);

constexpr Table<LogLevel, 4> kLogLevels{LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error};
static_assert(kLogLevels[FAULTLINE_LOG_INFO] == LogLevel::info);
static_assert(kLogLevels[FAULTLINE_LOG_WARNING] == LogLevel::warning);
static_assert(kLogLevels[FAULTLINE_LOG_ERROR] == LogLevel::error);

template <typename Word, std::size_t Count>
[[nodiscard]] const Word* find(const Table<Word, Count>& table, int word) noexcept {
    return word >= 0 && static_cast<std::size_t>(word) < Count ? &table[static_cast<std::size_t>(word)] : nullptr;
}

template <typename Word, std::size_t Count>
[[nodiscard]] Word required(const Table<Word, Count>& table, int word, const char* what) {
    if (const Word* const found = find(table, word)) return *found;
    sys::throw_error(EINVAL, std::to_string(word) + " is not a valid " + what);
}

template <typename Word, std::size_t Count>
[[nodiscard]] int place_in(const Table<Word, Count>& table, Word wanted) noexcept {
    int place = 0;
    while (table[static_cast<std::size_t>(place)] != wanted) ++place;  // ends, because the tables are complete
    return place;
}

template <typename Word, std::size_t Count>
[[nodiscard]] const char* name_in(const Table<Word, Count>& table, int word) noexcept {
    const Word* const found = find(table, word);
    return found != nullptr ? name(*found) : "unknown";
}

}  // namespace

Delivery delivery_of(int word) { return required(kDeliveries, word, "faultline_delivery"); }
Eviction eviction_of(int word) { return required(kEvictions, word, "faultline_eviction"); }
Replacement replacement_of(int word) { return required(kReplacements, word, "faultline_replacement"); }
ForkPolicy fork_policy_of(int word) { return required(kForkPolicies, word, "faultline_fork_policy"); }
Access access_of(int word) { return required(kAccesses, word, "faultline_access"); }
PinFor pin_purpose_of(int word) { return required(kPurposes, word, "faultline_pin_for"); }
Advice advice_of(int word) { return required(kAdvices, word, "faultline_advice"); }

int word_of(Delivery delivery) noexcept { return place_in(kDeliveries, delivery); }
int word_of(Eviction eviction) noexcept { return place_in(kEvictions, eviction); }
int word_of(LogLevel level) noexcept { return place_in(kLogLevels, level); }

const char* delivery_name(int word) noexcept { return name_in(kDeliveries, word); }
const char* eviction_name(int word) noexcept { return name_in(kEvictions, word); }

}  // namespace faultline::api
