#include "run/program_heap.hpp"

#include "pager/log/standard_error_log.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

namespace faultline::run {
namespace {

constexpr std::size_t kLeastReservation = std::size_t{64} << 20;

/// Returns null if the process or the machine lacks the addresses.
std::unique_ptr<heap::Heap> try_reserve(const std::shared_ptr<pager::Pager>& pager, const HeapOptions& config) {
    try {
        return std::make_unique<heap::Heap>(pager, config);
    } catch (const std::system_error& error) {
        if (error.code().value() != ENOMEM) throw;
        return nullptr;
    }
}

ProgramHeap reserve(const std::shared_ptr<pager::Pager>& pager, HeapOptions config) {
    const std::size_t wanted = config.reservation;
    const bool may_be_smaller = wanted == HeapOptions{}.reservation;
    while (may_be_smaller && config.reservation > kLeastReservation) {
        if (std::unique_ptr<heap::Heap> heap = try_reserve(pager, config)) {
            if (config.reservation == wanted) return {std::move(heap), wanted};
            heap.reset();
            config.reservation /= 2;
            break;
        }
        config.reservation /= 2;
    }
    return {std::make_unique<heap::Heap>(pager, config), config.reservation};
}

/// Returns the file for samples of stacks. Returns no file, after a message, if this process may not append to it: a
/// program of another user goes on without samples.
std::string_view samples_file(const Settings& settings) {
    if (settings.record_file.empty()) return {};
    const std::string path{settings.record_file};
    const int error =
        sys::error_of(sys::raw_syscall(SYS_faccessat, AT_FDCWD, sys::syscall_argument(path.c_str()), W_OK));
    if (error == 0 || error == ENOENT) return settings.record_file;
    pager::say_on_standard_error(LogLevel::warning, "no stacks are recorded: cannot write " + path + ": " +
                                                        std::generic_category().message(error));
    return {};
}

}  // namespace

ProgramHeap make_program_heap(const Settings& settings) {
    Config config;
    config.resident_limit = settings.resident_limit;
    config.compressed_limit = settings.memory() == 0 ? settings.compressed_limit : 0;
    config.memory_limit = settings.memory();  // MemoryKeeper lowers it to this process's part
    config.swap_directory = settings.swap_directory;
    config.delivery = settings.delivery;
    config.stack_samples_file = samples_file(settings);
    config.stack_samples_rate = static_cast<unsigned>(settings.record_rate);
    config.stack_sample_bytes = settings.record_stack;
    config.fork = ForkPolicy::inherit;
    HeapOptions heap;
    heap.reservation = settings.heap_reservation;
    return reserve(std::make_shared<pager::Pager>(config), heap);
}

}  // namespace faultline::run
