// System calls that read or fill vectors of more than a page give the same results on memory from malloc as on ordinary
// memory, whether the library can pin the whole vector or not. Runs with libfaultline-preload.so preloaded,
// FAULTLINE_RESIDENT=256K, and without. Prints each difference and exits with 1.

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

// NOLINTBEGIN: tests the C library's functions
namespace {

int failures = 0;

constexpr std::size_t kPage = 4096;

/// Writes to more memory than the limit, so that pages accessed before are evicted.
void push_out() {
    constexpr std::size_t kMuch = std::size_t{512} << 10;
    static auto* const much = static_cast<unsigned char*>(malloc(kMuch));
    for (std::size_t i = 0; i < kMuch; i += kPage) much[i] = static_cast<unsigned char>(much[i] + 1);
}

struct Result {
    long value;
    int error;
};

Result result_of(long value) { return {value, value < 0 ? errno : 0}; }

struct Vector {
    std::byte* data;
    std::size_t bytes;
};

/// Makes `call` on `bytes` bytes of ordinary memory and on as many from malloc, each filled by `fill`. Checks that both
/// calls return the same result and errno and leave the same bytes.
template <typename Fill, typename Call>
void same(const char* name, std::size_t bytes, Fill fill, Call call) {
    const std::size_t mapped = (bytes + kPage - 1) / kPage * kPage;
    void* const map = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const Vector ordinary{static_cast<std::byte*>(map), bytes};
    fill(ordinary);
    const Result want = result_of(call(ordinary));
    const Vector managed{static_cast<std::byte*>(calloc(1, bytes)), bytes};
    fill(managed);
    push_out();
    const Result got = result_of(call(managed));
    const bool same_bytes = std::memcmp(ordinary.data, managed.data, bytes) == 0;
    if (got.value != want.value || got.error != want.error || !same_bytes) {
        std::printf("check failed: %s: %ld (errno %d), ordinary memory: %ld (errno %d)%s\n", name, got.value, got.error,
                    want.value, want.error, same_bytes ? "" : "; other bytes");
        ++failures;
    }
    free(managed.data);
    munmap(map, mapped);
}

void nothing(const Vector&) {}

template <typename T>
T* as(const Vector& vector) {
    return reinterpret_cast<T*>(vector.data);
}

// ---- memory

void pages() {
    for (const std::size_t count : {std::size_t{20'000}, std::size_t{400'000}}) {
        void* const map = mmap(nullptr, count * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        same("mincore", count, nothing,
             [&](const Vector& v) { return mincore(map, count * kPage, as<unsigned char>(v)); });
        munmap(map, count * kPage);
    }
    for (const std::size_t count : {std::size_t{3000}, std::size_t{40'000}}) {
        void* const map = mmap(nullptr, count * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        const auto fill = [&](const Vector& v) {
            for (std::size_t i = 0; i < count; ++i) as<char*>(v)[i] = static_cast<char*>(map) + i * kPage;
        };
        same("move_pages", count * (sizeof(void*) + sizeof(int)), fill, [&](const Vector& v) {
            return syscall(SYS_move_pages, 0, count, v.data, nullptr, v.data + count * sizeof(void*), 0);
        });
        munmap(map, count * kPage);
    }
    same("get_mempolicy", 2 * kPage, nothing,
         [](const Vector& v) { return syscall(SYS_get_mempolicy, nullptr, v.data, 2 * kPage * 8, nullptr, 0); });
}

// ---- files

int file_with_holes() {
    char path[] = "long_vectors_XXXXXX";
    const int fd = mkstemp(path);
    unlink(path);
    for (int i = 0; i < 300; ++i) static_cast<void>(!pwrite(fd, "x", 1, i * 65536));
    fsync(fd);
    return fd;
}

void extents(int fd) {
    for (const unsigned count : {1000U, 8000U}) {
        const auto fill = [&](const Vector& v) {
            *as<fiemap>(v) = {};
            as<fiemap>(v)->fm_length = ~0ULL;
            as<fiemap>(v)->fm_extent_count = count;
        };
        same("ioctl FS_IOC_FIEMAP", sizeof(fiemap) + count * sizeof(fiemap_extent), fill,
             [&](const Vector& v) { return ioctl(fd, FS_IOC_FIEMAP, v.data); });
    }
}

void attributes(int fd) {
    const auto fill = [](const Vector& v) { std::memset(v.data, 'a', v.bytes); };
    same("fsetxattr", 60'000, fill, [&](const Vector& v) {
        const long result = fsetxattr(fd, "user.long", v.data, v.bytes, 0);
        return result == 0 ? fremovexattr(fd, "user.long") : result;
    });
    static_cast<void>(fsetxattr(fd, "user.short", "value", 5, 0));
    same("fgetxattr", 60'000, nothing, [&](const Vector& v) { return fgetxattr(fd, "user.short", v.data, v.bytes); });
    same("flistxattr", 60'000, nothing, [&](const Vector& v) { return flistxattr(fd, as<char>(v), v.bytes); });
}

void folders() {
    const int fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (const std::size_t bytes : {std::size_t{32'000}, std::size_t{600'000}}) {
        same("getdents64", bytes, nothing, [&](const Vector& v) {
            lseek(fd, 0, SEEK_SET);
            return syscall(SYS_getdents64, fd, v.data, v.bytes);
        });
        same("getcwd", bytes, nothing, [](const Vector& v) { return syscall(SYS_getcwd, v.data, v.bytes); });
        same("readlink", bytes, nothing,
             [](const Vector& v) { return readlink("/proc/self/exe", as<char>(v), v.bytes); });
    }
    close(fd);
}

// ---- waiting

void waits() {
    const int ready = eventfd(1, EFD_CLOEXEC);
    for (const std::size_t count : {std::size_t{1000}, std::size_t{60'000}}) {
        const auto fill = [&](const Vector& v) {
            for (std::size_t i = 0; i < count; ++i) as<pollfd>(v)[i] = {i % 7 == 0 ? ready : -1, POLLIN, 0};
        };
        same("poll", count * sizeof(pollfd), fill, [&](const Vector& v) { return poll(as<pollfd>(v), count, 10'000); });
        const int epoll = epoll_create1(EPOLL_CLOEXEC);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = 0x1234'5678'9abc'def0;
        epoll_ctl(epoll, EPOLL_CTL_ADD, ready, &event);
        same("epoll_wait", count * sizeof(epoll_event), nothing,
             [&](const Vector& v) { return epoll_wait(epoll, as<epoll_event>(v), static_cast<int>(count), 10'000); });
        close(epoll);
    }
    close(ready);
}

// ---- the rest

void groups_and_sets() {
    same("getgroups", 60'000 * sizeof(gid_t), nothing, [](const Vector& v) { return getgroups(60'000, as<gid_t>(v)); });
    same("sched_getaffinity", 40'000, nothing,
         [](const Vector& v) { return syscall(SYS_sched_getaffinity, 0, v.bytes, v.data); });
}

void messages() {
    const int semaphores = semget(IPC_PRIVATE, 6000, 0600);
    if (semaphores >= 0) {
        const auto fill = [](const Vector& v) {
            for (std::size_t i = 0; i < 6000; ++i) as<unsigned short>(v)[i] = static_cast<unsigned short>(i);
        };
        same("semctl SETALL", 6000 * sizeof(unsigned short), fill,
             [&](const Vector& v) { return semctl(semaphores, 0, SETALL, v.data); });
        same("semctl GETALL", 6000 * sizeof(unsigned short), nothing,
             [&](const Vector& v) { return semctl(semaphores, 0, GETALL, v.data); });
        semctl(semaphores, 0, IPC_RMID);
    }
    const int queue = msgget(IPC_PRIVATE, 0600);
    if (queue >= 0) {
        const auto fill = [](const Vector& v) {
            std::memset(v.data, 'm', v.bytes);
            *as<long>(v) = 1;
        };
        same("msgsnd and msgrcv", sizeof(long) + 8000, fill, [&](const Vector& v) {
            if (msgsnd(queue, v.data, 8000, IPC_NOWAIT) != 0) return ssize_t{-1};
            return msgrcv(queue, v.data, 8000, 1, IPC_NOWAIT);
        });
        msgctl(queue, IPC_RMID, nullptr);
    }
}

void filters() {
    const auto fill = [](const Vector& v) {
        constexpr unsigned kAccept = BPF_RET | BPF_K;
        constexpr unsigned kNothing = BPF_LD | BPF_IMM;
        for (std::size_t i = 0; i < v.bytes / sizeof(sock_filter); ++i) as<sock_filter>(v)[i] = {kNothing, 0, 0, 1};
        as<sock_filter>(v)[v.bytes / sizeof(sock_filter) - 1] = {kAccept, 0, 0, ~0U};
    };
    same("SO_ATTACH_FILTER", 2000 * sizeof(sock_filter), fill, [](const Vector& v) {
        const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        const sock_fprog program{2000, as<sock_filter>(v)};
        const int result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
        close(fd);
        return result;
    });
    const auto list = [](const Vector& v) { std::memset(v.data, 0, v.bytes); };
    same("SIOCGIFCONF", 20'000, list, [](const Vector& v) {
        const int fd = socket(AF_INET, SOCK_DGRAM, 0);
        ifconf asked{};
        asked.ifc_len = static_cast<int>(v.bytes);
        asked.ifc_buf = as<char>(v);
        const int result = ioctl(fd, SIOCGIFCONF, &asked);
        close(fd);
        return result == 0 ? asked.ifc_len : result;
    });
}

void other_memory() {
    const auto fill = [](const Vector& v) {
        for (std::size_t i = 0; i < 500; ++i) as<iovec>(v)[i] = {v.data + 16'000 + i * 20, 20};
    };
    std::vector<char> text(10'000, 't');
    iovec from{text.data(), text.size()};
    // The vector holds addresses, which differ, so only the results are compared.
    same(
        "process_vm_readv", 26'000, [](const Vector&) {},
        [&](const Vector& v) {
            fill(v);
            push_out();
            const ssize_t got = process_vm_readv(getpid(), as<iovec>(v), 500, &from, 1, 0);
            std::memset(v.data, 0, 16'000);
            return got;
        });
}

void log_of_the_kernel() {
    constexpr int kReadAll = 3;
    const int size = klogctl(10, nullptr, 0);
    if (size <= 0) return;
    const auto bytes = static_cast<std::size_t>(size);
    auto* const text = static_cast<char*>(malloc(bytes));
    push_out();
    void* const map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const Result want = result_of(klogctl(kReadAll, static_cast<char*>(map), size));
    const Result got = result_of(klogctl(kReadAll, text, size));
    // The kernel may have logged more between the two calls.
    if (got.error != want.error || (want.value > 0 && got.value <= 0)) {
        std::printf("check failed: klogctl: %ld (errno %d)\n", got.value, got.error);
        ++failures;
    }
    munmap(map, bytes);
    free(text);
}

}  // namespace
// NOLINTEND

int main() {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    const int fd = file_with_holes();
    pages();
    extents(fd);
    attributes(fd);
    close(fd);
    folders();
    waits();
    groups_and_sets();
    messages();
    filters();
    other_memory();
    log_of_the_kernel();
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
