// One line per entry, "kind name". The whole file is rewritten at each change; it has a few lines only.
#include "vs_kernel/journal.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>
#include <stdexcept>

#include "support/system_call.hpp"

namespace bench {
namespace {

// On a file system that a reboot clears, as it clears what the journal lists. Only root can write there.
constexpr const char* kPath = "/run/faultline-vs_kernel.journal";

faultline::sys::FileDescriptor open_locked() {
    for (;;) {
        faultline::sys::FileDescriptor file{
            check(::open(kPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), kPath)};
        if (::flock(file.get(), LOCK_EX | LOCK_NB) == -1) {
            if (errno == EWOULDBLOCK) throw std::runtime_error{"another run of vs_kernel holds the lock"};
            throw_errno(std::string{"flock of "} + kPath);
        }
        struct stat status {};
        check(::fstat(file.get(), &status), kPath);
        // The run before may have removed the file between our open and our lock.
        if (status.st_nlink != 0) return file;
    }
}

}  // namespace

Journal::Journal() : file_{open_locked()} { read(); }

Journal::~Journal() {
    // Remove the file before releasing the lock; see open_locked.
    if (entries_.empty() && file_.get() >= 0) ::unlink(kPath);
}

void Journal::read() {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t bytes = check(::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(text.size())),
                                    std::string{"read of "} + kPath);
        if (bytes == 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(bytes));
    }
    std::istringstream lines{text};
    Leftover entry;
    while (lines >> entry.kind && std::getline(lines >> std::ws, entry.name)) entries_.push_back(entry);
}

bool Journal::write() const noexcept {
    std::string text;
    for (const Leftover& entry : entries_) text += entry.kind + ' ' + entry.name + '\n';
    // In this order a kill in between leaves one name too many, never one too few. To clean up a missing thing is
    // harmless.
    const ssize_t written = ::pwrite(file_.get(), text.data(), text.size(), 0);
    return written == static_cast<ssize_t>(text.size()) && ::ftruncate(file_.get(), written) == 0;
}

void Journal::add(const Leftover& entry) {
    entries_.push_back(entry);
    if (!write()) throw_errno(std::string{"write of "} + kPath);
}

void Journal::remove(const Leftover& entry) noexcept {
    const auto same = [&entry](const Leftover& other) { return other.kind == entry.kind && other.name == entry.name; };
    entries_.erase(std::remove_if(entries_.begin(), entries_.end(), same), entries_.end());
    if (!write()) std::perror(kPath);
}

}  // namespace bench
