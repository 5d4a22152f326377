// Journal: what this program has set up on the machine and not yet taken down, on file, so that the next run can clean
// up after one that was killed. Its lock also keeps two runs from disturbing each other. Root's business only: nobody
// else can set any of it up. It only remembers; leftovers.hpp knows how each kind is removed.
#pragma once

#include <string>
#include <vector>

#include "support/file_descriptor.hpp"

namespace bench {

/// Something that has to be removed: "cgroup", "swap-file" or "zram", and which one.
struct Leftover {
    std::string kind;
    std::string name;
};

class Journal {
public:
    /// Takes the lock. Throws std::runtime_error when another run holds it, std::system_error when there is nowhere to
    /// write.
    Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;
    ~Journal();

    /// What an earlier run left, oldest first; until `add` is first called.
    [[nodiscard]] const std::vector<Leftover>& leftovers() const noexcept { return entries_; }

    void add(const Leftover& entry);
    void remove(const Leftover& entry) noexcept;

    /// In a forked child: lets go of the lock's file, so that the lock does not outlive the parent.
    void close_in_child() noexcept { file_.reset(); }

private:
    void read();
    [[nodiscard]] bool write() const noexcept;

    FileDescriptor file_;
    std::vector<Leftover> entries_;
};

/// An entry that is struck out when what it stands for has been removed.
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

    /// Leaves the entry in the file: the removal failed, the next run is to try again.
    void keep() noexcept { kept_ = true; }

private:
    Journal& journal_;
    Leftover entry_;
    bool kept_ = false;
};

}  // namespace bench
