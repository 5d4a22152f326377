// filtered PROGRAM [ARGUMENT...]: installs a seccomp filter like the one of man, which forbids userfaultfd, memory
// files and opening files for writing, and executes the program. `filtered here` installs the filter and uses memory
// itself. `filtered forks` installs it and forks: the child can have no swap file and no userfaultfd, but has its
// memory all the same.

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// NOLINTBEGIN
namespace {

constexpr std::size_t kBytes = std::size_t{4} << 20;

bool forbid() {
    constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | ENOSYS;
    constexpr std::uint32_t kTerminalSettings = 0x5401;  // TCGETS
    const auto load = [](std::size_t offset) {
        return sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
    };
    const auto end = [](std::uint32_t what) { return sock_filter{BPF_RET | BPF_K, 0, 0, what}; };
    const auto unless = [](std::uint32_t value, std::uint8_t skip) {
        return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, skip, value};
    };
    std::array rules{
        load(offsetof(seccomp_data, nr)),
        unless(SYS_userfaultfd, 1),
        end(kRefuse),
        unless(SYS_memfd_create, 1),
        end(kRefuse),
        unless(SYS_io_uring_setup, 1),
        end(kRefuse),
        unless(SYS_io_uring_enter, 1),
        end(kRefuse),
        unless(SYS_process_madvise, 1),
        end(kRefuse),
        unless(SYS_clone3, 1),
        end(kRefuse),
        unless(SYS_ioctl, 4),
        load(offsetof(seccomp_data, args[1])),
        unless(kTerminalSettings, 1),
        end(SECCOMP_RET_ALLOW),
        end(kRefuse),
        unless(SYS_openat, 5),
        load(offsetof(seccomp_data, args[2])),
        sock_filter{BPF_ALU | BPF_AND | BPF_K, 0, 0, O_ACCMODE},
        unless(O_RDONLY, 1),
        end(SECCOMP_RET_ALLOW),
        end(kRefuse),
        end(SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{static_cast<unsigned short>(rules.size()), rules.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

int use_memory() {
    auto* const memory = static_cast<unsigned char*>(malloc(kBytes));
    for (std::size_t round = 0; round < 3; ++round) {
        for (std::size_t at = 0; at < kBytes; at += 512) memory[at] = static_cast<unsigned char>(at / 4096 + round);
        for (std::size_t at = 0; at < kBytes; at += 512) {
            if (memory[at] != static_cast<unsigned char>(at / 4096 + round)) return 1;
        }
        if (round == 0 && !forbid()) return 77;
    }
    free(memory);
    std::puts("all right");
    return 0;
}

int failures = 0;

void check(bool right, const char* what) {
    if (right) return;
    std::printf("wrong: %s\n", what);
    ++failures;
}

void write_all(unsigned char* memory, std::size_t version) {
    for (std::size_t at = 0; at < kBytes; at += 512) memory[at] = static_cast<unsigned char>(at / 4096 + version);
}

bool has_all(const unsigned char* memory, std::size_t version) {
    for (std::size_t at = 0; at < kBytes; at += 512) {
        if (memory[at] != static_cast<unsigned char>(at / 4096 + version)) return false;
    }
    return true;
}

int status_of(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

unsigned char* map() {
    void* const mapped = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return static_cast<unsigned char*>(mapped);
}

/// Uses memory that the parent had allocated and mapped, in every way that the library answers in the parent.
int child(unsigned char* block, unsigned char* mapped, unsigned char* read_only) {
    check(has_all(block, 1) && has_all(mapped, 2) && has_all(read_only, 3), "the child's memory");
    write_all(block, 11);
    check(has_all(block, 11), "what the child writes");
    check(malloc_usable_size(block) >= kBytes, "the size of a block");
    block = static_cast<unsigned char*>(realloc(block, 2 * kBytes));
    check(block != nullptr && has_all(block, 11), "a block that was resized");
    free(block);
    void* const fresh = calloc(1, kBytes);
    check(fresh != nullptr && *static_cast<unsigned char*>(fresh) == 0, "a new block");
    free(fresh);
    check(madvise(mapped, kBytes, MADV_DONTNEED) == 0 && mapped[0] == 0 && mapped[kBytes - 1] == 0, "discarded pages");
    check(mprotect(read_only, kBytes, PROT_READ | PROT_WRITE) == 0, "mprotect");
    write_all(read_only, 13);
    void* const moved = mremap(mapped, kBytes, 2 * kBytes, MREMAP_MAYMOVE);
    check(moved != MAP_FAILED && munmap(moved, 2 * kBytes) == 0, "mremap and munmap");
    write_all(map(), 4);
    const pid_t grandchild = fork();
    if (grandchild == 0) _exit(has_all(read_only, 13) ? 0 : 1);
    check(status_of(grandchild) == 0, "a child of the child");
    std::fflush(stdout);
    return failures;
}

/// The parent writes while its children read.
int fork_with_memory() {
    auto* const block = static_cast<unsigned char*>(malloc(kBytes));
    unsigned char* const mapped = map();
    unsigned char* const read_only = map();
    write_all(block, 1);
    write_all(mapped, 2);
    write_all(read_only, 3);
    mprotect(read_only, kBytes, PROT_READ);
    if (!forbid()) return 77;
    const char* const delivery = getenv("FAULTLINE_DELIVERY");
    // Under sigsegv a page's memory is a file, of which a child has no copy: it ends with a message.
    const int expected = delivery != nullptr && std::strcmp(delivery, "sigsegv") == 0 ? 125 : 0;
    for (std::size_t round = 0; round < 4; ++round) {
        write_all(block, 1);
        write_all(mapped, 2);
        std::fflush(stdout);
        const pid_t started = fork();
        if (started == 0) _exit(child(block, mapped, read_only));
        write_all(block, 21 + round);
        write_all(mapped, 22 + round);
        check(status_of(started) == expected, "the end of a child");
        check(has_all(block, 21 + round) && has_all(mapped, 22 + round) && has_all(read_only, 3),
              "the parent's memory");
    }
    if (failures == 0) std::puts("all right");
    return failures;
}

}  // namespace
// NOLINTEND

int main(int count, char** arguments) {
    if (count < 2) return 2;
    if (std::strcmp(arguments[1], "here") == 0) return use_memory();
    if (std::strcmp(arguments[1], "forks") == 0) return fork_with_memory();
    if (!forbid()) return 77;
    execv(arguments[1], arguments + 1);
    return 3;
}
