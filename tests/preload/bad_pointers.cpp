// System calls with pointers to memory that the program may not use: null, closed and read-only memory, holes behind
// managed memory, the end of all addresses. The program runs itself a second time without libfaultline-preload.so: both
// runs must see the same results. Prints the first difference and exits with 1.

#include "run_without_preload.hpp"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <net/if.h>
#include <poll.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

// NOLINTBEGIN: tests system calls
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLarge = std::size_t{2} << 20;  // more than one call may pin

std::vector<std::string> lines;

void say(std::string_view name, std::string_view pointer, long result, int error) {
    std::string line{name};
    line.append(" ").append(pointer).append(": ").append(std::to_string(result));
    if (result < 0) line.append(" errno ").append(std::to_string(error));
    lines.push_back(line);
}

/// Pages of one mapping: two open ones, a hole, a read-only one, a closed one.
struct Area {
    char* begin =
        static_cast<char*>(mmap(nullptr, 32 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    Area() {
        std::memset(begin, 0, 2 * kPage);
        munmap(begin + 2 * kPage, kPage);
        mprotect(begin + 3 * kPage, kPage, PROT_READ);
        mprotect(begin + 4 * kPage, kPage, PROT_NONE);
    }
    void push_out() const { madvise(begin, 2 * kPage, MADV_PAGEOUT); }
};

struct BadPointer {
    const char* name;
    char* at;
};

std::vector<BadPointer> bad_pointers(const Area& area) {
    static auto* const unmanaged =
        static_cast<char*>(mmap(nullptr, kPage, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const auto number = [](std::uint64_t address) { return reinterpret_cast<char*>(address); };
    return {{"null", nullptr},
            {"one", number(1)},
            {"in front of a hole", area.begin + 2 * kPage - 4},
            {"a hole", area.begin + 2 * kPage},
            {"read-only", area.begin + 3 * kPage},
            {"read-only, then closed", area.begin + 4 * kPage - 4},
            {"closed", area.begin + 4 * kPage},
            {"closed and unmanaged", unmanaged},
            {"the end of user space", number(0x7fff'ffff'f000 - 4)},
            {"not canonical", number(0x8000'0000'0000)},
            {"the kernel's", number(0xffff'8000'0000'0000)},
            {"the end", number(~std::uint64_t{0} - 3)}};
}

/// What the calls need besides the pointer.
struct Things {
    int pipe[2];
    int sockets[2];
    int streams[2];
    int file;
    int events = epoll_create1(0);
    char* pages = static_cast<char*>(mmap(nullptr, 2 * kLarge * kPage, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    char bytes[64]{};
    iovec vector{bytes, sizeof bytes};

    Things() {
        if (::pipe(pipe) != 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) != 0) std::abort();
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, streams) != 0) std::abort();
        file = static_cast<int>(syscall(SYS_memfd_create, "a file", 0));
        if (ftruncate(file, static_cast<off_t>(2 * kLarge)) != 0) std::abort();
    }
    /// Puts a message into the sockets and bytes into the pipe.
    void fill() {
        drain();
        if (write(pipe[1], bytes, sizeof bytes) < 0 || write(sockets[1], bytes, sizeof bytes) < 0) std::abort();
        if (write(streams[1], bytes, sizeof bytes) < 0) std::abort();
        lseek(file, 0, SEEK_SET);
    }
    void drain() {
        char rest[512];
        for (const int fd : {pipe[0], sockets[0], sockets[1], streams[0], streams[1]}) {
            fcntl(fd, F_SETFL, O_NONBLOCK);
            while (read(fd, rest, sizeof rest) > 0) {
            }
            fcntl(fd, F_SETFL, 0);
        }
    }
};

using Call = long (*)(Things& with, char* p);

struct Named {
    const char* name;
    Call call;
};

msghdr message_on(Things& with) {
    msghdr message{};
    message.msg_iov = &with.vector;
    message.msg_iovlen = 1;
    return message;
}

/// Returns the exit code of a child that makes a call which may start another program.
long in_child(long (*call)(char*), char* p) {
    const pid_t child = fork();
    if (child == 0) {
        call(p);
        _exit(errno);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

constexpr std::uint64_t kSet = sizeof(std::uint64_t);

const Named transfers[] = {
    {"read", [](Things& with, char* p) { return syscall(SYS_read, with.pipe[0], p, 64); }},
    {"write", [](Things& with, char* p) { return syscall(SYS_write, with.pipe[1], p, 64); }},
    {"pread", [](Things& with, char* p) { return syscall(SYS_pread64, with.file, p, 2 * kPage, 0); }},
    {"pwrite", [](Things& with, char* p) { return syscall(SYS_pwrite64, with.file, p, 2 * kPage, 0); }},
    {"recv", [](Things& with, char* p) { return syscall(SYS_recvfrom, with.sockets[0], p, 64, 0, 0, 0); }},
    {"send", [](Things& with, char* p) { return syscall(SYS_sendto, with.sockets[0], p, 64, 0, 0, 0); }},
    {"send by stream", [](Things& with, char* p) { return syscall(SYS_sendto, with.streams[0], p, 64, 0, 0, 0); }},
    {"getrandom", [](Things&, char* p) { return syscall(SYS_getrandom, p, 64, 0); }},
    {"readv", [](Things& with, char* p) { return syscall(SYS_readv, with.pipe[0], p, 2); }},
    {"writev", [](Things& with, char* p) { return syscall(SYS_writev, with.pipe[1], p, 2); }},
    {"pwritev2", [](Things& with, char* p) { return syscall(SYS_pwritev2, with.file, p, 2, 0, 0, 0); }},
    {"vmsplice", [](Things& with, char* p) { return syscall(SYS_vmsplice, with.pipe[1], p, 1, 0); }},
    {"recvmsg", [](Things& with, char* p) { return syscall(SYS_recvmsg, with.sockets[0], p, 0); }},
    {"sendmsg", [](Things& with, char* p) { return syscall(SYS_sendmsg, with.sockets[0], p, 0); }},
    {"recvmmsg", [](Things& with, char* p) { return syscall(SYS_recvmmsg, with.sockets[0], p, 2, MSG_DONTWAIT, 0); }},
    {"sendmmsg", [](Things& with, char* p) { return syscall(SYS_sendmmsg, with.sockets[0], p, 2, 0); }},
    {"recvmsg into vectors at",
     [](Things& with, char* p) {
         msghdr message = message_on(with);
         message.msg_iov = reinterpret_cast<iovec*>(p);
         return syscall(SYS_recvmsg, with.sockets[0], &message, 0);
     }},
    {"recvmsg with a name at",
     [](Things& with, char* p) {
         msghdr message = message_on(with);
         message.msg_name = p;
         message.msg_namelen = sizeof(sockaddr_un);
         return syscall(SYS_recvmsg, with.sockets[0], &message, 0);
     }},
    {"sendmsg with a name at",
     [](Things& with, char* p) {
         msghdr message = message_on(with);
         message.msg_name = p;
         message.msg_namelen = sizeof(sockaddr_un);
         return syscall(SYS_sendmsg, with.sockets[0], &message, 0);
     }},
    {"sendmsg with control data at",
     [](Things& with, char* p) {
         msghdr message = message_on(with);
         message.msg_control = p;
         message.msg_controllen = 64;
         return syscall(SYS_sendmsg, with.sockets[0], &message, 0);
     }},
    {"recvfrom with a length at",
     [](Things& with, char* p) {
         sockaddr_un name;
         return syscall(SYS_recvfrom, with.sockets[0], with.bytes, 64, 0, &name, p);
     }},
    {"sendto with a name at",
     [](Things& with, char* p) {
         return syscall(SYS_sendto, with.sockets[0], with.bytes, 64, 0, p, sizeof(sockaddr_un));
     }},
    {"recvmmsg with a time at",
     [](Things& with, char* p) {
         mmsghdr message{message_on(with), 0};
         return syscall(SYS_recvmmsg, with.sockets[0], &message, 1, MSG_DONTWAIT, p);
     }},
};

const Named signals[] = {
    {"set of sigprocmask", [](Things&, char* p) { return syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, 0, kSet); }},
    {"old set of sigprocmask", [](Things&, char* p) { return syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, p, kSet); }},
    {"action", [](Things&, char* p) { return syscall(SYS_rt_sigaction, SIGUSR1, p, 0, kSet); }},
    {"old action", [](Things&, char* p) { return syscall(SYS_rt_sigaction, SIGUSR1, 0, p, kSet); }},
    {"stack of sigaltstack", [](Things&, char* p) { return syscall(SYS_sigaltstack, p, 0); }},
    {"old stack of sigaltstack", [](Things&, char* p) { return syscall(SYS_sigaltstack, 0, p); }},
    {"mask of ppoll",
     [](Things&, char* p) {
         timespec time{};
         return syscall(SYS_ppoll, 0, 0, &time, p, kSet);
     }},
    {"time of ppoll",
     [](Things& with, char* p) {
         pollfd asked{with.pipe[0], POLLIN, 0};
         return syscall(SYS_ppoll, &asked, 1, p, 0, kSet);
     }},
    {"mask of pselect6",
     [](Things&, char* p) {
         timespec time{};
         return syscall(SYS_pselect6, 0, 0, 0, 0, &time, p);
     }},
    {"mask that pselect6 finds",
     [](Things&, char* p) {
         timespec time{};
         const std::uint64_t both[] = {reinterpret_cast<std::uint64_t>(p), kSet};
         return syscall(SYS_pselect6, 0, 0, 0, 0, &time, both);
     }},
    {"mask of epoll_pwait",
     [](Things& with, char* p) {
         epoll_event event;
         return syscall(SYS_epoll_pwait, with.events, &event, 1, 0, p, kSet);
     }},
};

const Named others[] = {
    {"getcwd", [](Things&, char* p) { return syscall(SYS_getcwd, p, 64) < 0 ? -1L : 0L; }},
    {"open", [](Things&, char* p) { return syscall(SYS_openat, AT_FDCWD, p, O_RDONLY); }},
    {"readlink", [](Things&, char* p) { return syscall(SYS_readlink, "/proc/self/fd/0", p, 64) < 0 ? -1L : 0L; }},
    {"poll", [](Things&, char* p) { return syscall(SYS_poll, p, 2, 0); }},
    {"mincore", [](Things& with, char* p) { return syscall(SYS_mincore, p, kPage, with.bytes); }},
    {"vector of mincore", [](Things& with, char* p) { return syscall(SYS_mincore, with.pages, kPage, p); }},
    {"length of getsockopt",
     [](Things& with, char* p) {
         return syscall(SYS_getsockopt, with.sockets[0], SOL_SOCKET, SO_TYPE, with.bytes, p);
     }},
    {"filter",
     [](Things& with, char* p) {
         const sock_fprog program{2, reinterpret_cast<sock_filter*>(p)};
         return syscall(SYS_setsockopt, with.sockets[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
     }},
    {"FIEMAP", [](Things& with, char* p) { return syscall(SYS_ioctl, with.file, FS_IOC_FIEMAP, p); }},
    {"SIOCGIFCONF", [](Things& with, char* p) { return syscall(SYS_ioctl, with.sockets[0], SIOCGIFCONF, p); }},
    {"remote vectors of process_vm_readv",
     [](Things& with, char* p) { return syscall(SYS_process_vm_readv, getpid(), &with.vector, 1, p, 2, 0); }},
    {"vectors of process_madvise", [](Things&, char* p) { return syscall(SYS_process_madvise, -1, p, 2, 0, 0); }},
    {"futex", [](Things&, char* p) { return syscall(SYS_futex, p, FUTEX_WAIT_PRIVATE, 1, 0, 0, 0); }},
    {"futex_waitv",
     [](Things&, char* p) {
         timespec time{};
         return syscall(449, p, 2, 0, &time, CLOCK_MONOTONIC);
     }},
    {"clone3",
     [](Things&, char* p) {
         const long child = syscall(SYS_clone3, p, 64);
         if (child == 0) syscall(SYS_exit_group, 0);
         if (child > 0) waitpid(static_cast<pid_t>(child), nullptr, __WALL);
         return child > 0 ? 1L : child;
     }},
};

struct NamedExec {
    const char* name;
    long (*call)(char* p);
};

char* no_texts[] = {nullptr};

const NamedExec execs[] = {
    {"path of execve", [](char* p) { return syscall(SYS_execve, p, no_texts, no_texts); }},
    {"arguments of execve", [](char* p) { return syscall(SYS_execve, "/bin/true", p, no_texts); }},
    {"argument of execve",
     [](char* p) {
         static char name[] = "true";
         char* arguments[] = {name, p, nullptr};
         return syscall(SYS_execve, "/bin/true", arguments, no_texts);
     }},
    {"environment of execve", [](char* p) { return syscall(SYS_execve, "/bin/true", no_texts, p); }},
    {"arguments for no program", [](char* p) { return syscall(SYS_execve, "/no such program", p, no_texts); }},
    {"path of execveat", [](char* p) { return syscall(SYS_execveat, AT_FDCWD, p, no_texts, no_texts, 0); }},
    {"path of the function execve", [](char* p) { return long{execve(p, no_texts, no_texts)}; }},
    {"arguments of the function execve",
     [](char* p) { return long{execve("/bin/true", reinterpret_cast<char**>(p), no_texts)}; }},
    {"environment of execvpe", [](char* p) { return long{execvpe("true", no_texts, reinterpret_cast<char**>(p))}; }},
    {"path of posix_spawn",
     [](char* p) -> long {
         pid_t child = 0;
         errno = posix_spawn(&child, p, nullptr, nullptr, no_texts, no_texts);
         return 0;
     }},
};

/// Sends to a child that reads all. The kernel sends what fits into whole buffers of its own in front of a hole:
/// returns 1 if almost all has been sent.
long send_all(const char* memory, std::size_t bytes) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) std::abort();
    if (fork() == 0) {
        char piece[4096];
        close(ends[0]);
        while (read(ends[1], piece, sizeof piece) > 0) {
        }
        _exit(0);
    }
    close(ends[1]);
    const long sent = send(ends[0], memory, bytes, 0);
    close(ends[0]);
    wait(nullptr);
    return sent > 0 && static_cast<std::size_t>(sent) + 64 * kPage > bytes ? 1 : sent;
}

/// A buffer of `kLarge` bytes in front of a hole.
void move_much(Things& with) {
    char* const memory = static_cast<char*>(
        mmap(nullptr, kLarge + 16 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memset(memory, 'm', kLarge);
    munmap(memory + kLarge, kPage);
    const std::size_t sizes[] = {kLarge, kLarge + 1, kLarge + kPage};
    for (const std::size_t bytes : sizes) {
        const auto look = [&](const char* name, long result) {
            const int error = errno;
            say(name, std::to_string(bytes), result, error);
        };
        look("write a file", pwrite(with.file, memory, bytes, 0));
        look("read a file", pread(with.file, memory, bytes, 0));
        look("send too much", send(with.sockets[0], memory, bytes, MSG_DONTWAIT));
        iovec vectors[] = {{with.bytes, 64}, {memory, bytes}, {with.bytes, 64}};
        look("writev", pwritev(with.file, vectors, 3, 0));
        look("readv", preadv(with.file, vectors, 3, 0));
        look("getrandom", syscall(SYS_getrandom, memory, bytes, 0));
        with.fill();
        look("receive", recv(with.sockets[0], memory, bytes, 0));
        look("receive from a stream", recv(with.streams[0], memory, bytes, MSG_DONTWAIT));
        look("read a pipe", read(with.pipe[0], memory, bytes));
        look("send by a stream", send_all(memory, bytes));
        look("mincore", syscall(SYS_mincore, with.pages, bytes * kPage, memory));
        look("readlink", syscall(SYS_readlink, "/proc/self/exe", memory, bytes) > 0 ? 1 : -1);
    }
}

void call_each(const Named& named, Things& with) {
    const Area area;
    for (const BadPointer& pointer : bad_pointers(area)) {
        with.fill();
        area.push_out();
        const long result = named.call(with, pointer.at);
        const int error = errno;
        say(named.name, pointer.name, result, error);
    }
    munmap(area.begin, 32 * kPage);
}

std::vector<std::string> run() {
    static Things with;
    for (const Named& named : transfers) call_each(named, with);
    for (const Named& named : signals) call_each(named, with);
    for (const Named& named : others) call_each(named, with);
    const Area area;
    for (const NamedExec& exec : execs) {
        for (const BadPointer& pointer : bad_pointers(area)) {
            area.push_out();
            say(exec.name, pointer.name, in_child(exec.call, pointer.at), 0);
        }
    }
    move_much(with);
    return lines;
}

}  // namespace

int main(int argc, char**) {
    if (argc > 1) {
        for (const std::string& line : run()) std::printf("%s\n", line.c_str());
        return 0;
    }
    const std::vector<std::string> want = lines_without_preload({"lines"});
    return compare_lines(want, run());
}
// NOLINTEND
