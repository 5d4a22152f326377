#include "api/c/words.hpp"

#include "sys/error.hpp"

#include <faultline/faultline.h>

#include <cerrno>
#include <cstddef>
#include <string>

namespace faultline::api {
namespace {

static_assert(word_of(Delivery::automatic) == FAULTLINE_DELIVERY_AUTOMATIC);
static_assert(word_of(Delivery::uffd_threads) == FAULTLINE_DELIVERY_UFFD_THREADS);
static_assert(word_of(Delivery::uffd_signal) == FAULTLINE_DELIVERY_UFFD_SIGNAL);
static_assert(word_of(Delivery::sigsegv) == FAULTLINE_DELIVERY_SIGSEGV);

static_assert(word_of(Eviction::automatic) == FAULTLINE_EVICTION_AUTOMATIC);
static_assert(word_of(Eviction::move) == FAULTLINE_EVICTION_MOVE);
static_assert(word_of(Eviction::copy) == FAULTLINE_EVICTION_COPY);
static_assert(word_of(Eviction::protect) == FAULTLINE_EVICTION_PROTECT);
static_assert(word_of(Eviction::guard) == FAULTLINE_EVICTION_GUARD);

static_assert(word_of(ForkPolicy::refuse) == FAULTLINE_FORK_REFUSE);
static_assert(word_of(ForkPolicy::inherit) == FAULTLINE_FORK_INHERIT);

static_assert(word_of(Access::read_write) == FAULTLINE_ACCESS_READ_WRITE);
static_assert(word_of(Access::read) == FAULTLINE_ACCESS_READ);
static_assert(word_of(Access::none) == FAULTLINE_ACCESS_NONE);
static_assert(word_of(Access::read_execute) == FAULTLINE_ACCESS_READ_EXECUTE);

static_assert(word_of(PinFor::reading) == FAULTLINE_PIN_FOR_READING);
static_assert(word_of(PinFor::writing) == FAULTLINE_PIN_FOR_WRITING);

static_assert(word_of(Advice::normal) == FAULTLINE_ADVICE_NORMAL);
static_assert(word_of(Advice::sequential) == FAULTLINE_ADVICE_SEQUENTIAL);
static_assert(word_of(Advice::random) == FAULTLINE_ADVICE_RANDOM);
static_assert(word_of(Advice::willneed) == FAULTLINE_ADVICE_WILLNEED);
static_assert(word_of(Advice::dontneed) == FAULTLINE_ADVICE_DONTNEED);
static_assert(word_of(Advice::cold) == FAULTLINE_ADVICE_COLD);

static_assert(word_of(LogLevel::debug) == FAULTLINE_LOG_DEBUG);
static_assert(word_of(LogLevel::info) == FAULTLINE_LOG_INFO);
static_assert(word_of(LogLevel::warning) == FAULTLINE_LOG_WARNING);
static_assert(word_of(LogLevel::error) == FAULTLINE_LOG_ERROR);

/// Returns a constant with its number, such as "FAULTLINE_DELIVERY_SIGSEGV (3)".
std::string constant(const char* prefix, std::string name, std::size_t word) {
    for (char& letter : name) {
        if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
    }
    return prefix + name + " (" + std::to_string(word) + ")";
}

}  // namespace

void refuse_word(int word, const char* what, const char* prefix, std::span<const char* const> names) {
    sys::throw_error(EINVAL, std::string("invalid ") + what + " " + std::to_string(word) + ": expected " +
                                 constant(prefix, names.front(), 0) + " to " +
                                 constant(prefix, names.back(), names.size() - 1));
}

}  // namespace faultline::api
