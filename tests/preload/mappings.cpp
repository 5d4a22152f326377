// Random sequences of mmap, munmap, mprotect, mremap, madvise and accesses. The program runs itself a second time
// without libfaultline-preload.so and with the same seed: both runs must see the same errnos and the same contents. So
// the kernel is the oracle. Prints the seed, and each difference; exits with 1 if there is any.
//
// usage: mappings [SEED|any [STEPS]]

#include "caught_faults.hpp"
#include "run_without_preload.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csetjmp>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

// NOLINTBEGIN: tests the C library's functions
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kAreaPages = 1024;
constexpr std::size_t kMostRun = 48;
constexpr std::size_t kFilePages = 96;
constexpr int kNoReplace = 0x100000;  // MAP_FIXED_NOREPLACE
constexpr int kDontUnmap = 4;         // MREMAP_DONTUNMAP
constexpr int kPopulateRead = 22;
constexpr int kDontneedLocked = 24;
constexpr int kPopulateWrite = 23;

class Sequence {
public:
    Sequence(std::uint32_t seed, unsigned steps) : random_{seed}, steps_{steps}, only_slots_{seed % 4 == 3} {
        area_ = static_cast<unsigned char*>(
            mmap(nullptr, kAreaPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        std::vector<unsigned char> bytes(kFilePages * kPage);
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i / kPage + 1);
        for (int* const file : {&file_, &steady_file_}) {
            *file = static_cast<int>(syscall(SYS_memfd_create, "a file", 0));
            if (write(*file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
        }
        if (pipe(pipe_) != 0) std::abort();
    }

    /// Returns one line for each step.
    std::vector<std::string> run() {
        for (step_ = 0; step_ < steps_; ++step_) {
            line_.clear();
            act();
            look_at_some_pages();
            if (step_ % 64 == 63) look_at_all_pages("area");
            if (step_ % 128 == 127) look_in_child();
            lines_.push_back(line_);
        }
        return lines_;
    }

private:
    std::size_t below(std::size_t end) { return random_() % end; }
    void say(const char* format, ...) __attribute__((format(printf, 2, 3))) {
        char text[256];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        line_ += text;
    }

    struct Run {
        std::size_t first;
        std::size_t count;
    };
    Run any_run() {
        const std::size_t count = 1 + below(kMostRun);
        return {below(kAreaPages - count), count};
    }
    unsigned char* at(std::size_t page) { return area_ + page * kPage; }

    /// Says what a call on the area returned: an offset in it, or an errno.
    void say_result(const void* result) {
        if (result == MAP_FAILED) {
            say(" errno %d", errno);
        } else {
            say(" at %td", static_cast<const unsigned char*>(result) - area_);
        }
    }
    void say_result(int result) { result == 0 ? say(" done") : say(" errno %d", errno); }

    void act() {
        if (only_slots_) return change_slot();
        switch (below(14)) {
            case 0:
            case 1:
                return map_anonymous();
            case 2:
                return map_file();
            case 3:
                return unmap();
            case 4:
            case 5:
                return protect();
            case 6:
                return advise();
            case 7:
                return remap_page();
            case 8:
                return transfer();
            case 9:
                return lock();
            case 10:
                return look_up();
            default:
                return fill();
        }
    }

    /// Not PROT_WRITE alone: the CPU lets the program read such memory, but MADV_POPULATE_READ refuses it.
    void map_anonymous() {
        const Run run = any_run();
        constexpr std::array kProtections{PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_NONE, PROT_READ,
                                          PROT_READ | PROT_WRITE | PROT_EXEC};
        constexpr std::array kFlags{MAP_FIXED,
                                    MAP_FIXED,
                                    MAP_FIXED,
                                    MAP_FIXED | MAP_NORESERVE,
                                    MAP_FIXED | MAP_LOCKED,
                                    MAP_FIXED | MAP_STACK,
                                    kNoReplace,
                                    kNoReplace,
                                    MAP_FIXED | MAP_32BIT,
                                    MAP_FIXED | MAP_POPULATE};
        const int protection = kProtections[below(kProtections.size())];
        const int flags = kFlags[below(kFlags.size())] | MAP_ANONYMOUS | (below(8) == 0 ? MAP_SHARED : MAP_PRIVATE);
        say("map %zu+%zu protection %d flags %x:", run.first, run.count, protection, flags);
        say_result(mmap(at(run.first), run.count * kPage, protection, flags, -1, 0));
    }

    /// Half of the mappings are large enough for a managed copy. Those are of a file that is never written: a managed
    /// copy has the bytes that the file had at the call, and the kernel's sees later writes in some pages.
    void map_file() {
        const bool large = below(2) == 0;
        const std::size_t count = large ? 64 + below(40) : 1 + below(kMostRun);
        const Run run{below(kAreaPages - count), count};
        const std::size_t offset = below(2) == 0 ? 0 : below(kFilePages);
        const bool shared = !large && below(3) == 0;
        const int descriptor = below(8) == 0 ? 9999 : large ? steady_file_ : file_;
        const int protection = below(2) == 0 ? PROT_READ : PROT_READ | PROT_WRITE;
        say("map file %zu+%zu from %zu protection %d shared %d fd %d:", run.first, run.count, offset, protection,
            shared, descriptor != 9999);
        say_result(mmap(at(run.first), run.count * kPage, protection, MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE),
                        descriptor, static_cast<off_t>(offset * kPage)));
    }

    void unmap() {
        const Run run = any_run();
        say("unmap %zu+%zu:", run.first, run.count);
        say_result(munmap(at(run.first), run.count * kPage - below(2)));
    }

    void protect() {
        const Run run = any_run();
        constexpr std::array kProtections{PROT_READ | PROT_WRITE,
                                          PROT_READ | PROT_WRITE,
                                          PROT_READ,
                                          PROT_NONE,
                                          PROT_READ | PROT_EXEC,
                                          PROT_READ | PROT_WRITE | PROT_EXEC};
        const int protection = kProtections[below(kProtections.size())];
        say("protect %zu+%zu %d:", run.first, run.count, protection);
        say_result(mprotect(at(run.first), run.count * kPage, protection));
    }

    void advise() {
        const Run run = any_run();
        constexpr std::array kAdvice{MADV_DONTNEED, MADV_DONTNEED,   MADV_DONTNEED,    MADV_WILLNEED,   MADV_COLD,
                                     MADV_PAGEOUT,  MADV_NORMAL,     kPopulateWrite,   kPopulateRead,   MADV_RANDOM,
                                     MADV_HUGEPAGE, MADV_REMOVE,     MADV_MERGEABLE,   MADV_NOHUGEPAGE, MADV_DODUMP,
                                     MADV_DONTDUMP, kDontneedLocked, MADV_UNMERGEABLE, MADV_DONTFORK,   MADV_DOFORK,
                                     MADV_DOFORK,   MADV_WIPEONFORK, MADV_KEEPONFORK,  MADV_SEQUENTIAL, 12345};
        // Pages that are free for the kernel to take lose their contents at some time: the second call ends the doubt.
        const bool frees = below(12) == 0;
        const int advice = frees ? MADV_FREE : kAdvice[below(kAdvice.size())];
        say("advise %zu+%zu %d:", run.first, run.count, advice);
        say_result(madvise(at(run.first), run.count * kPage, advice));
        if (frees) say_result(madvise(at(run.first), run.count * kPage, MADV_DONTNEED));
    }

    /// Calls that look at mappings. What mincore says of pages that are mapped depends on the limit.
    void look_up() {
        const Run run = any_run();
        std::array<unsigned char, kMostRun> present;
        unsigned char* const vector = below(8) == 0 ? nullptr : present.data();
        const std::size_t offset = below(8) == 0 ? 1 : 0;
        say("look up %zu+%zu vector %d offset %zu:", run.first, run.count, vector != nullptr, offset);
        say_result(mincore(at(run.first) + offset, run.count * kPage, vector));
        say_result(msync(at(run.first), run.count * kPage, MS_ASYNC));
    }

    /// Moves one page, which is always in one mapping; the kernel refuses several.
    void remap_page() {
        const std::size_t from = below(kAreaPages);
        const std::size_t count = 1 + below(4);
        const std::size_t to = below(kAreaPages - count);
        const bool keeps = below(3) == 0;
        const bool anywhere = keeps && below(2) == 0;
        const std::size_t bytes = keeps ? kPage : count * kPage;
        const int flags = MREMAP_MAYMOVE | (anywhere ? 0 : MREMAP_FIXED) | (keeps ? kDontUnmap : 0);
        say("remap %zu to %zu+%zu flags %d:", from, to, bytes / kPage, flags);
        void* const moved = mremap(at(from), kPage, bytes, flags, at(to));
        if (!anywhere || moved == MAP_FAILED) return say_result(moved);
        say(" anywhere %d", look_at(static_cast<unsigned char*>(moved), to));
        munmap(moved, kPage);
    }

    /// Writes pages to a pipe and reads them back, somewhere else.
    void transfer() {
        const std::size_t from = below(kAreaPages - 2);
        const std::size_t to = below(kAreaPages - 2);
        const std::size_t offset = below(kPage);
        const std::size_t bytes = 1 + below(kPage);
        const ssize_t written = write(pipe_[1], at(from) + offset, bytes);
        const int write_error = written < 0 ? errno : 0;
        say("transfer %zu to %zu, %zu+%zu: %zd errno %d", from, to, offset, bytes, written, write_error);
        if (written <= 0) return;
        // A page that cannot be read into loses the bytes: drain the pipe.
        const ssize_t got = read(pipe_[0], at(to) + offset, static_cast<std::size_t>(written));
        say(" %zd errno %d", got, got < 0 ? errno : 0);
        std::array<char, 2 * kPage> rest;
        fcntl(pipe_[0], F_SETFL, O_NONBLOCK);
        while (read(pipe_[0], rest.data(), rest.size()) > 0) {
        }
        fcntl(pipe_[0], F_SETFL, 0);
    }

    /// Locks one page that is writable, and unlocks it.
    void lock() {
        const std::size_t page = below(kAreaPages);
        say("lock %zu:", page);
        if (!touch(page)) return;
        say_result(mlock(at(page), kPage));
        say_result(munlock(at(page), kPage));
    }

    /// Mappings without a given address: made, resized, removed.
    void change_slot() {
        Slot& slot = slots_[below(slots_.size())];
        if (slot.data == nullptr) {
            slot.pages = 1 + below(below(2) == 0 ? 8 : 80);
            void* const made =
                mmap(nullptr, slot.pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            say("make a mapping of %zu: %d", slot.pages, made != MAP_FAILED);
            slot.data = static_cast<unsigned char*>(made);
        } else if (below(4) == 0) {
            say("remove a mapping of %zu:", slot.pages);
            say_result(munmap(slot.data, slot.pages * kPage));
            slot.data = nullptr;
            return;
        } else {
            const std::size_t pages = 1 + below(112);
            void* const moved = mremap(slot.data, slot.pages * kPage, pages * kPage, MREMAP_MAYMOVE);
            say("resize a mapping of %zu to %zu: %d", slot.pages, pages, moved != MAP_FAILED);
            if (moved == MAP_FAILED) return;
            slot.data = static_cast<unsigned char*>(moved);
            slot.pages = pages;
        }
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < slot.pages; ++i) {
            sum = sum * 31 + slot.data[i * kPage + 5];
            slot.data[i * kPage + 5] = static_cast<unsigned char>(step_ + i);
        }
        say(" sum %lx", sum);
    }

    void fill() {
        const Run run = any_run();
        int written = 0;
        for (std::size_t page = run.first; page < run.first + run.count; ++page) written += touch(page) ? 1 : 0;
        say("fill %zu+%zu: %d", run.first, run.count, written);
    }

    /// Writes to a page. Returns false if that faults.
    bool touch(std::size_t page) {
        const unsigned char value = static_cast<unsigned char>(step_ * 7 + page);
        if (sigsetjmp(after_fault, 1) != 0) return false;
        volatile unsigned char* const bytes = at(page);
        bytes[page % kPage] = value;
        bytes[kPage - 1] = value;
        return true;
    }

    /// Returns a value made from the page's bytes; -1: not readable; -2: not mapped.
    int look_at(std::size_t page) { return look_at(at(page), page); }
    int look_at(unsigned char* memory, std::size_t page) {
        unsigned char present = 0;
        if (mincore(memory, kPage, &present) != 0) return -2;
        if (sigsetjmp(after_fault, 1) != 0) return -1;
        const volatile unsigned char* const bytes = memory;
        return bytes[0] + 3 * bytes[page % kPage] + 5 * bytes[kPage - 1];
    }

    void look_at_some_pages() {
        say(" |");
        for (int i = 0; i < 6; ++i) {
            const std::size_t page = below(kAreaPages);
            say(" %zu=%d", page, look_at(page));
        }
    }

    void look_at_all_pages(const char* name) { say(" %s %lx", name, hash_of_all_pages()); }

    std::uint64_t hash_of_all_pages() {
        std::uint64_t hash = 1469598103934665603U;
        for (std::size_t page = 0; page < kAreaPages; ++page) {
            hash = (hash ^ static_cast<std::uint64_t>(look_at(page) + 2)) * 1099511628211U;
        }
        return hash;
    }

    void look_in_child() {
        int answer[2];
        if (pipe(answer) != 0) std::abort();
        const pid_t child = fork();
        if (child == 0) {
            std::uint64_t hash = hash_of_all_pages();
            for (std::size_t page = 0; page < kAreaPages; page += 3) touch(page);
            hash ^= hash_of_all_pages() * 3;
            static_cast<void>(!write(answer[1], &hash, sizeof hash));
            _exit(0);
        }
        close(answer[1]);
        std::uint64_t hash = 0;
        const ssize_t got = read(answer[0], &hash, sizeof hash);
        close(answer[0]);
        int status = 0;
        waitpid(child, &status, 0);
        say(" child %zd %lx status %d", got, hash, status);
    }

    struct Slot {
        unsigned char* data = nullptr;
        std::size_t pages = 0;
    };

    std::mt19937 random_;
    unsigned steps_;
    bool only_slots_;  // the kernel may place a slot in a gap of the area
    unsigned step_ = 0;
    unsigned char* area_;
    int file_;
    int steady_file_;
    int pipe_[2];
    std::array<Slot, 6> slots_;
    std::string line_;
    std::vector<std::string> lines_;
};

}  // namespace

int main(int argc, char** argv) {
    const bool named = argc > 1 && std::strcmp(argv[1], "any") != 0;
    const auto seed = named ? static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 0)) : std::random_device{}();
    const auto steps = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 0)) : 2048;
    catch_faults();
    if (argc > 3) {
        for (const std::string& line : Sequence{seed, steps}.run()) std::printf("%s\n", line.c_str());
        return 0;
    }
    std::printf("seed %u, %u steps\n", seed, steps);
    std::fflush(stdout);
    const std::vector<std::string> want = lines_without_preload({std::to_string(seed), std::to_string(steps), "lines"});
    return compare_lines(want, Sequence{seed, steps}.run());
}
// NOLINTEND
