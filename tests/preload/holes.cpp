// A program makes holes with munmap and maps over them again later. Runs with libfaultline-preload.so preloaded, and
// without. Nothing of the library may lie in a hole when it is mapped over: MAP_FIXED_NOREPLACE tells. All holes are
// filled then, and everything still works: the heap beyond its limit, children of fork, threads, changes of ids.
#include "counted_checks.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

// NOLINTBEGIN
namespace {

constexpr int kFixedNoReplace = 0x100000;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kMiB = std::size_t{1} << 20;

/// Memory beyond the limit, whose use needs the library's threads, its swap file and its rings.
class Heap {
public:
    Heap() {
        for (std::size_t i = 0; i < kBlocks; ++i) blocks_.push_back(static_cast<unsigned char*>(std::malloc(kBytes)));
    }

    void write(unsigned round) {
        round_ = round;
        for (std::size_t i = 0; i < kBlocks; ++i) {
            for (std::size_t at = 0; at < kBytes; at += 1024) blocks_[i][at] = value(i, at);
        }
    }

    void check() const {
        bool same = true;
        for (std::size_t i = 0; i < kBlocks; ++i) {
            for (std::size_t at = 0; at < kBytes; at += 1024) same &= blocks_[i][at] == value(i, at);
        }
        CHECK(same);
    }

private:
    static constexpr std::size_t kBlocks = 8;
    static constexpr std::size_t kBytes = kMiB;

    unsigned char value(std::size_t block, std::size_t at) const {
        return static_cast<unsigned char>(block * 31 + at / 1024 + round_ * 7);
    }

    std::vector<unsigned char*> blocks_;
    unsigned round_ = 0;
};

/// Places for holes of many sizes, between mappings that stay. They are full at first. `flags`: anonymous memory that
/// the library manages (MAP_PRIVATE with FAULTLINE_MAPPINGS), or never manages (MAP_SHARED).
class Holes {
public:
    explicit Holes(int flags) : flags_{flags | MAP_ANONYMOUS | MAP_NORESERVE} {
        // Those of 8 MiB and more have room for stacks and arenas of the C library.
        for (std::size_t pages : {1UL,  2UL,   3UL,   7UL,    8UL,    16UL,   17UL,   33UL,    64UL,    97UL,
                                  98UL, 129UL, 257UL, 1025UL, 2049UL, 2050UL, 5226UL, 16384UL, 32768UL, 49152UL}) {
            make(pages * kPage);
        }
    }

    void empty() {
        for (Hole& hole : holes_) CHECK(munmap(hole.begin, hole.bytes) == 0);
    }

    /// Fills each hole. Nothing is mapped in it.
    void fill(unsigned char tag) {
        tag_ = tag;
        for (Hole& hole : holes_) {
            void* const got = mmap(hole.begin, hole.bytes, PROT_READ | PROT_WRITE, flags_ | kFixedNoReplace, -1, 0);
            if (got != hole.begin) {
                std::printf("in the hole of %zu bytes at %p something is mapped\n", hole.bytes,
                            static_cast<void*>(hole.begin));
                fflush(stdout);
                ++failures;
            }
            if (got != hole.begin && got != MAP_FAILED) munmap(got, hole.bytes);
            if (mmap(hole.begin, hole.bytes, PROT_READ | PROT_WRITE, flags_ | MAP_FIXED, -1, 0) != hole.begin) abort();
            for (std::size_t at = 0; at < hole.bytes; at += stride(hole)) hole.begin[at] = tag_;
        }
    }

    void check() const {
        bool same = true;
        for (const Hole& hole : holes_) {
            for (std::size_t at = 0; at < hole.bytes; at += stride(hole)) same &= hole.begin[at] == tag_;
        }
        CHECK(same);
    }

private:
    struct Hole {
        unsigned char* begin;
        std::size_t bytes;
    };

    static std::size_t stride(const Hole& hole) { return std::max(kPage, hole.bytes / 8 / kPage * kPage); }

    void make(std::size_t bytes) {
        void* const all = mmap(nullptr, bytes + 2 * kPage, PROT_READ | PROT_WRITE, flags_, -1, 0);
        if (all == MAP_FAILED) abort();
        auto* const begin = static_cast<unsigned char*>(all) + kPage;
        begin[-1] = begin[bytes] = 1;
        holes_.push_back({begin, bytes});
    }

    int flags_;
    unsigned char tag_ = 0;
    std::vector<Hole> holes_;
};

/// Starts threads on stacks of the program: those of the C library would lie in the holes.
void use_threads(const std::vector<unsigned char*>& stacks, Heap& heap) {
    std::vector<pthread_t> threads(stacks.size());
    for (std::size_t i = 0; i < stacks.size(); ++i) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, stacks[i], kMiB);
        const auto run = [](void* of) -> void* {
            static_cast<Heap*>(of)->check();
            return nullptr;
        };
        CHECK(pthread_create(&threads[i], &attributes, run, &heap) == 0);
        pthread_attr_destroy(&attributes);
    }
    for (const pthread_t thread : threads) pthread_join(thread, nullptr);
}

struct Program {
    Heap heap;
    std::vector<unsigned char*> stacks;
    Holes shared{MAP_SHARED};
    Holes owned{MAP_PRIVATE};

    Program() {
        for (int i = 0; i < 4; ++i) {
            stacks.push_back(static_cast<unsigned char*>(
                mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)));
        }
        empty_holes();
    }

    void use(unsigned round) {
        for (unsigned i = 0; i < 2; ++i) {
            heap.write(round + i);
            heap.check();
        }
        use_threads(stacks, heap);
    }

    void fill_holes(unsigned char tag) {
        shared.fill(tag);
        owned.fill(tag);
    }

    void check_all() {
        shared.check();
        owned.check();
        heap.check();
    }

    void empty_holes() {
        shared.empty();
        owned.empty();
    }
};

void run(Program& program, unsigned round, int depth) {
    program.use(round);
    if (depth > 0) {
        const pid_t child = fork();
        if (child == 0) {
            failures = 0;
            run(program, round + 10, depth - 1);
            fflush(stdout);
            _exit(failures == 0 ? 0 : 1);
        }
        program.heap.check();
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    CHECK(seteuid(geteuid()) == 0);  // ends the library's threads, and starts new ones
    program.use(round + 20);
    program.fill_holes(static_cast<unsigned char>(round + 1));
    program.use(round + 30);
    CHECK(seteuid(geteuid()) == 0);
    program.use(round + 40);
    program.check_all();
    program.empty_holes();
    program.use(round + 50);
}

}  // namespace

int main() {
    Program program;
    run(program, 1, 2);
    if (failures == 0) std::puts("all right");
    return failures == 0 ? 0 : 1;
}
// NOLINTEND
