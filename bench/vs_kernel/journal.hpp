// Journal: a file with what this program has set up on the machine and not yet removed, so that the next run can clean
// up after one that was killed. Its lock also keeps two runs apart. Only root can set these things up, so only root
// uses it. It only records; leftovers.hpp removes.
#pragma once

#include <string>
#include <vector>

#include "sys/file_descriptor.hpp"

namespace bench {

/// A thing that must be removed: its kind ("cgroup", "swap-file" or "zram") and its name.
struct Leftover {
    std::string kind;
    std::string name;
};

class Journal {
public:
    /// Takes the lock. Throws std::runtime_error if another run holds it, std::system_error if the file cannot be
    /// written.
    Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;
    ~Journal();

    /// Returns what an earlier run left, oldest first. Valid until `add` is first called.
    [[nodiscard]] const std::vector<Leftover>& leftovers() const noexcept { return entries_; }

    void add(const Leftover& entry);
    void remove(const Leftover& entry) noexcept;

    /// Called in a forked child: closes the lock's file, so that the lock does not outlive the parent.
    void close_in_child() noexcept { file_.reset(); }

private:
    void read();
    [[nodiscard]] bool write() const noexcept;

    faultline::sys::FileDescriptor file_;
    std::vector<Leftover> entries_;
};

/// An entry that the destructor removes from the journal, after the thing was removed.
class JournalEntry {
public:
    JournalEntry(Journal& journal, Leftover entry) : journal_{journal}, entry_{std::move(entry)} {
        journal_.add(entry_);
    }
    JournalEntry(const JournalEntry&) = delete;
    JournalEntry& operator=(const JournalEntry&) = delete;
    ~JournalEntry() {
        if (!kept_) journal_.remove(entry_);
    }

    /// Keeps the entry in the file, because the removal failed: the next run tries again.
    void keep() noexcept { kept_ = true; }

private:
    Journal& journal_;
    Leftover entry_;
    bool kept_ = false;
};

}  // namespace bench
