// Random sequences of brk, sbrk and calls that change the memory below the break. The program runs itself a second time
// without libfaultline-preload.so and with the same seed: both runs must see the same results and the same contents. So
// the kernel is the oracle. It allocates nothing meanwhile, because the kernel's run shares its break with malloc.
// Prints the seed and the first difference; exits with 1 if there is one.
//
// usage: breaks [SEED|any]

#include "caught_faults.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

// NOLINTBEGIN: tests the C library's functions
namespace {

constexpr std::size_t kPage = 4096;
constexpr int kSteps = 800;
constexpr std::size_t kMostBytes = 512 * kPage;

/// Prints one line for each step.
class Sequence {
public:
    explicit Sequence(std::uint32_t seed) : random_{seed}, begin_{static_cast<unsigned char*>(sbrk(0))} {}

    void run() {
        for (step_ = 0; step_ < kSteps; ++step_) {
            act();
            std::printf(" break %td |", offset(sbrk(0)));
            for (int i = 0; i < 6; ++i) {
                const std::size_t page = below(kMostBytes / kPage);
                std::printf(" %zu=%d", page, look_at(first_page() + page * kPage));
            }
            if (step_ % 64 == 63) print_contents();
            std::printf("\n");
        }
        fail();
    }

private:
    std::size_t below(std::size_t end) { return random_() % end; }
    std::ptrdiff_t offset(const void* address) const { return static_cast<const unsigned char*>(address) - begin_; }
    std::ptrdiff_t size() const { return offset(sbrk(0)); }

    void act() {
        std::printf("%d ", step_);
        switch (below(9)) {
            case 0:
            case 1:
                return move_by(static_cast<std::ptrdiff_t>(below(40 * kPage)));
            case 2:
                return move_by(-static_cast<std::ptrdiff_t>(below(40 * kPage)));
            case 3:
                return move_to(below(kMostBytes));
            case 4:
                return call_kernel(below(kMostBytes));
            case 5:
                return protect();
            case 6:
                return below(4) == 0 ? unmap() : advise();
            case 7:
                return below(8) == 0 ? look_in_child() : fill();
            default:
                return fill();
        }
    }

    void move_by(std::ptrdiff_t bytes) {
        if (size() + bytes < 0 || size() + bytes > static_cast<std::ptrdiff_t>(kMostBytes)) bytes = -bytes / 2;
        if (size() + bytes < 0) bytes = 0;  // below the begin the kernel's run has blocks of malloc
        void* const before = sbrk(bytes);
        std::printf("sbrk %td: ", bytes);
        before == reinterpret_cast<void*>(-1) ? std::printf("errno %d", errno) : std::printf("%td", offset(before));
    }

    void move_to(std::size_t at) {
        const int result = brk(begin_ + at);
        std::printf("brk %zu: %d errno %d", at, result, result != 0 ? errno : 0);
    }

    void call_kernel(std::size_t at) {
        const long result = syscall(SYS_brk, begin_ + at);
        std::printf("SYS_brk %zu: %td", at, offset(reinterpret_cast<void*>(result)));
        // The kernel's run: the C library keeps a copy of the break.
        static_cast<void>(brk(reinterpret_cast<void*>(result)));
    }

    struct Run {
        unsigned char* at;
        std::size_t bytes;
    };
    Run any_run() {
        const std::size_t pages = 1 + below(16);
        return {first_page() + below(kMostBytes / kPage - pages) * kPage, pages * kPage};
    }
    unsigned char* first_page() const {
        return begin_ + (kPage - reinterpret_cast<std::uintptr_t>(begin_) % kPage) % kPage;
    }

    void protect() {
        const Run run = any_run();
        const int protection = below(2) == 0 ? PROT_READ | PROT_WRITE : PROT_READ;
        const int result = mprotect(run.at, run.bytes, protection);
        std::printf("mprotect %td+%zu %d: %d errno %d", offset(run.at), run.bytes, protection, result,
                    result != 0 ? errno : 0);
    }

    void unmap() {
        const Run run = any_run();
        std::printf("munmap %td+%zu: %d", offset(run.at), run.bytes, munmap(run.at, run.bytes));
    }

    void advise() {
        const Run run = any_run();
        const int result = madvise(run.at, run.bytes, MADV_DONTNEED);
        std::printf("madvise %td+%zu: %d errno %d", offset(run.at), run.bytes, result, result != 0 ? errno : 0);
    }

    void fill() {
        const Run run = any_run();
        std::printf("fill %td+%zu: %zu", offset(run.at), run.bytes, write_to(run));
    }
    /// Writes up to the first byte that is not writable. Returns the number of bytes written.
    std::size_t write_to(Run run) const {
        std::size_t written = 0;
        while (written < run.bytes / 512 && write_byte(run.at + written * 512)) ++written;
        return written;
    }
    bool write_byte(volatile unsigned char* byte) const {
        if (sigsetjmp(after_fault, 1) != 0) return false;
        *byte = static_cast<unsigned char>(offset(const_cast<unsigned char*>(byte)) / 512 + step_);
        return true;
    }

    /// Returns a value made from the page's bytes; -1 if it is not readable.
    static int look_at(const volatile unsigned char* page) {
        if (sigsetjmp(after_fault, 1) != 0) return -1;
        return page[0] + 3 * page[512] + 5 * page[kPage - 1];
    }

    void print_contents() const {
        std::size_t readable = 0;
        std::uint64_t hash = 1469598103934665603U;
        for (std::size_t i = 0; i < kMostBytes + 2 * kPage; i += kPage) {
            const int value = look_at(first_page() + i);
            if (value >= 0) ++readable;
            hash = (hash ^ static_cast<std::uint64_t>(value + 1)) * 1099511628211U;
        }
        std::printf(" readable %zu hash %lx", readable, hash);
    }

    void look_in_child() {
        std::printf("child:");
        std::fflush(stdout);
        const pid_t child = fork();
        if (child == 0) {
            move_by(static_cast<std::ptrdiff_t>(10 * kPage));
            print_contents();
            std::fflush(stdout);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        std::printf(" status %d", status);
    }

    /// Calls that cannot succeed.
    void fail() {
        errno = 0;
        std::printf("below the begin: %d errno %d\n", brk(nullptr), errno);
        rlimit before{};
        getrlimit(RLIMIT_DATA, &before);
        const rlimit small{std::size_t{1} << 20, before.rlim_max};
        setrlimit(RLIMIT_DATA, &small);
        errno = 0;
        const bool refused = sbrk(std::ptrdiff_t{2} << 20) == reinterpret_cast<void*>(-1);
        std::printf("above RLIMIT_DATA: refused %d errno %d\n", refused, errno);
        setrlimit(RLIMIT_DATA, &before);
    }

    std::mt19937 random_;
    unsigned char* const begin_;
    int step_ = 0;
};

std::array<char, std::size_t{1} << 16> output_buffer;

/// Runs the sequence in a process of its own, with the preload or without. Returns what it prints.
std::string lines_of(const char* self, std::uint32_t seed, bool with_preload) {
    std::string command = std::string{"exec "} + (with_preload ? "" : "env -u LD_PRELOAD ") + "'" + self + "' " +
                          std::to_string(seed) + " lines";
    FILE* const output = popen(command.c_str(), "r");
    std::string text;
    std::array<char, 4096> part;
    for (std::size_t bytes = 0; (bytes = fread(part.data(), 1, part.size(), output)) > 0;)
        text.append(part.data(), bytes);
    if (pclose(output) != 0) text += "failed\n";
    return text;
}

int compare(const std::string& want, const std::string& got) {
    const std::size_t steps = static_cast<std::size_t>(std::count(want.begin(), want.end(), '\n'));
    if (want == got && steps > kSteps) {
        std::printf("all right\n");
        return 0;
    }
    std::size_t at = 0;
    while (at < want.size() && at < got.size() && want[at] == got[at]) ++at;
    const auto line = [at](const std::string& text) {
        const std::size_t begin = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;
        return text.substr(begin, text.find('\n', at) - begin);
    };
    std::printf("got:  %s\nwant: %s\n", line(got).c_str(), line(want).c_str());
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    const bool named = argc > 1 && std::strcmp(argv[1], "any") != 0;
    const auto seed = named ? static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 0)) : std::random_device{}();
    if (argc > 2) {
        setvbuf(stdout, output_buffer.data(), _IOFBF, output_buffer.size());
        catch_faults();
        Sequence{seed}.run();
        return 0;
    }
    std::printf("seed %u\n", seed);
    std::fflush(stdout);
    std::array<char, 256> self{};
    if (readlink("/proc/self/exe", self.data(), self.size() - 1) < 0) std::abort();
    return compare(lines_of(self.data(), seed, false), lines_of(self.data(), seed, true));
}
// NOLINTEND
