#include "sys/file_reader.hpp"

#include "sys/file_read.hpp"
#include "sys/futex_lock.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <atomic>
#include <mutex>
#include <new>

namespace faultline::sys {
namespace {

// Held with all signals blocked while a thread reads. A child of fork must not take it, because another thread of the
// parent may have held it at the fork.
constinit FutexLock using_reader;
constinit FileReader* reader = nullptr;  // under `using_reader`
constinit std::atomic<long> owner{0};    // the process that has the reader's thread; 0: there is no reader
constinit long last_owner = 0;

bool has_reader() FAULTLINE_SIGNAL_SAFE {
    const long process = owner.load();
    return process != 0 && process == raw_syscall(SYS_getpid);
}

}  // namespace

FileReader::FileReader() : thread_{"fl-files", SeparateThread::kNoFile} {
    if (!thread_.is_separate()) return;
    const long process = raw_syscall(SYS_getpid);
    if (last_owner != process) new (&using_reader) FutexLock;  // the parent may have left it locked
    last_owner = process;
    reader = this;
    owner.store(process);
}

FileReader::~FileReader() {
    if (!has_reader()) return;
    const SignalBlock signals;
    const std::lock_guard lock{using_reader};
    owner.store(0);
    reader = nullptr;
}

std::optional<std::string_view> FileReader::try_read(const char* path, std::span<char> buffer) FAULTLINE_SIGNAL_SAFE {
    if (!has_reader()) return std::nullopt;
    const SignalBlock signals;
    const std::lock_guard lock{using_reader};
    if (reader == nullptr) return std::nullopt;
    std::string_view text;
    auto read = [&] { text = read_file_start_here(path, buffer); };
    return reader->thread_.run(read) ? std::optional{text} : std::nullopt;
}

}  // namespace faultline::sys
