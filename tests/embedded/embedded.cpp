// A program built with a sanitizer that links the library as it is released, built without one. Two threads rewrite
// more memory than the limit and exchange it, and check every word.
//
//     embedded DELIVERY           exits with 0, or with 77 if the kernel refuses the delivery
//     embedded DELIVERY foreign   then reads a page beyond the end of its file, which the sanitizer must report
#include <faultline/faultline.hpp>

#include <sys/mman.h>

#include <barrier>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#ifdef __SANITIZE_THREAD__
/// ThreadSanitizer intercepts the library's memmove and the like, but does not see the atomics that order them.
extern "C" const char* __tsan_default_suppressions() { return "race:faultline::\n"; }
#endif

namespace {

constexpr std::size_t kLimit = std::size_t{2} << 20;
constexpr std::size_t kBytes = 4 * kLimit;
constexpr std::size_t kThreads = 2;
constexpr std::uint64_t kRounds = 3;

faultline::Delivery delivery_named(const char* wanted) {
    for (int i = 0; i < 8; ++i) {
        const auto delivery = static_cast<faultline::Delivery>(i);
        if (std::strcmp(faultline::name(delivery), wanted) == 0) return delivery;
    }
    throw std::invalid_argument(wanted);
}

std::uint64_t word_of(std::uint64_t round, std::size_t index) { return (round << 32U) + index + 1; }

/// Each thread writes its half, then in each round checks and rewrites the half that the other thread wrote. Returns
/// the number of wrong words.
std::size_t rewrite_in_turn(faultline::Region& region) {
    auto* const words = reinterpret_cast<std::uint64_t*>(region.data());
    const std::size_t half = region.size() / sizeof(std::uint64_t) / kThreads;
    std::barrier turn{static_cast<std::ptrdiff_t>(kThreads)};
    std::vector<std::size_t> wrong(kThreads);
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (std::uint64_t round = 0; round < kRounds; ++round) {
                const std::size_t begin = ((thread + round) % kThreads) * half;
                for (std::size_t i = begin; i < begin + half; ++i) {
                    const std::uint64_t expected = round == 0 ? 0 : word_of(round - 1, i);
                    if (words[i] != expected) ++wrong[thread];
                    words[i] = word_of(round, i);
                }
                turn.arrive_and_wait();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    std::size_t all = 0;
    for (const std::size_t each : wrong) all += each;
    for (std::size_t i = 0; i < kThreads * half; ++i) all += words[i] != word_of(kRounds - 1, i) ? 1U : 0U;
    return all;
}

/// Reads beyond the end of an empty file: the sanitizer's handler, installed before the pager, must get the signal.
char touch_beyond_the_end() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> empty{std::tmpfile(), &std::fclose};
    void* const page = ::mmap(nullptr, faultline::kBasePageBytes, PROT_READ, MAP_PRIVATE, ::fileno(empty.get()), 0);
    return page == MAP_FAILED ? '\0' : *static_cast<volatile char*>(page);
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 2) return EXIT_FAILURE;
    faultline::Config config;
    config.resident_limit = kLimit;
    config.delivery = delivery_named(argv[1]);
    faultline::Pager pager{config};
    faultline::Region region = pager.reserve(kBytes);
    const std::size_t wrong = rewrite_in_turn(region);
    const auto stats = pager.stats();
    std::printf("%s: %zu wrong words, %ju bytes read from the store\n", argv[1], wrong,
                std::uintmax_t{stats.bytes_read});
    std::fflush(stdout);
    if (argc > 2) return touch_beyond_the_end();
    return wrong == 0 && stats.bytes_read > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::system_error& error) {
    std::printf("%s\n", error.what());
    const bool not_permitted = error.code().value() == EPERM || error.code().value() == ENOSYS;
    return not_permitted ? 77 : EXIT_FAILURE;
}
