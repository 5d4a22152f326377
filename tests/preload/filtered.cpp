// filtered PROGRAM [ARGUMENT...]: installs a seccomp filter like the one of man, which forbids userfaultfd, memory
// files and opening files for writing, and executes the program. `filtered here` installs the filter and uses memory
// itself.

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

}  // namespace
// NOLINTEND

int main(int count, char** arguments) {
    if (count < 2) return 2;
    if (std::strcmp(arguments[1], "here") == 0) return use_memory();
    if (!forbid()) return 77;
    execv(arguments[1], arguments + 1);
    return 3;
}
