#include "traps/system_calls.hpp"

#include <liburing.h>

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <system_error>
#include <thread>

namespace faultline::test {
namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 10;

[[noreturn]] void refuse(int error, const char* what) { throw std::system_error(error, std::generic_category(), what); }

long or_error(long result) { return result < 0 ? -errno : result; }

// ---- other ends

/// A pipe or a pair of sockets: bytes written to the sink come out of the source.
class Stream final : public Outside {
public:
    using Open = int (*)(int*);
    explicit Stream(Open open) {
        std::array<int, 2> ends{};
        if (open(ends.data()) != 0) refuse(errno, "pipe2 or socketpair");
        out_ = sys::FileDescriptor{ends[0]};
        in_ = sys::FileDescriptor{ends[1]};
    }
    [[nodiscard]] int sink() const noexcept override { return in_.get(); }
    [[nodiscard]] int source() const noexcept override { return out_.get(); }
    void offer(std::span<const std::byte> bytes) override {
        if (::write(in_.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
            refuse(errno, "write to a pipe or socket");
        }
    }
    [[nodiscard]] std::vector<std::byte> taken() override {
        std::vector<std::byte> all(kMostBytes);
        std::size_t count = 0;
        for (;;) {
            const ssize_t got = ::read(out_.get(), all.data() + count, all.size() - count);
            if (got <= 0) break;
            count += static_cast<std::size_t>(got);
        }
        all.resize(count);
        return all;
    }

private:
    sys::FileDescriptor out_;
    sys::FileDescriptor in_;
};

std::unique_ptr<Outside> a_pipe() {
    return std::make_unique<Stream>([](int* ends) { return ::pipe2(ends, O_CLOEXEC | O_NONBLOCK); });
}

std::unique_ptr<Outside> sockets() {
    return std::make_unique<Stream>(
        [](int* ends) { return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends); });
}

/// A file; each call transfers from its offset 0.
class File final : public Outside {
public:
    File(sys::FileDescriptor for_calls, sys::FileDescriptor for_us)
        : for_calls_{std::move(for_calls)}, for_us_{std::move(for_us)} {}
    [[nodiscard]] int sink() const noexcept override { return for_calls_.get(); }
    [[nodiscard]] int source() const noexcept override { return for_calls_.get(); }
    void offer(std::span<const std::byte> bytes) override {
        if (::pwrite(for_us_.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
            ::fsync(for_us_.get()) != 0) {
            refuse(errno, "write to a file");
        }
    }
    [[nodiscard]] std::vector<std::byte> taken() override {
        std::vector<std::byte> all(kMostBytes);
        const ssize_t got = ::pread(for_us_.get(), all.data(), all.size(), 0);
        all.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
        return all;
    }

private:
    sys::FileDescriptor for_calls_;
    sys::FileDescriptor for_us_;
};

sys::FileDescriptor opened(int descriptor, const char* what) {
    if (descriptor < 0) refuse(errno, what);
    return sys::FileDescriptor{descriptor};
}

std::unique_ptr<Outside> memory_file() {
    sys::FileDescriptor file = opened(::memfd_create("outside", MFD_CLOEXEC), "memfd_create");
    sys::FileDescriptor same = opened(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0), "dup");
    return std::make_unique<File>(std::move(file), std::move(same));
}

std::unique_ptr<Outside> direct_file() {
    const char* const chosen = std::getenv("TMPDIR");
    std::string path = std::string(chosen != nullptr ? chosen : "/var/tmp") + "/faultline-direct-XXXXXX";
    sys::FileDescriptor file = opened(::mkostemp(path.data(), O_CLOEXEC), path.c_str());
    const int direct = ::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
    const int error = errno;
    ::unlink(path.c_str());
    if (direct < 0) refuse(error == EINVAL ? EOPNOTSUPP : error, "open with O_DIRECT");
    return std::make_unique<File>(sys::FileDescriptor{direct}, std::move(file));
}

// ---- calls

std::array<iovec, 2> two_parts(std::byte* memory, std::size_t bytes) {
    const std::size_t first = 24;
    return {{{memory, first}, {memory + first, bytes - first}}};
}

/// Makes one request through a new io_uring; `flags` are the submission's.
long through_ring(bool into_memory, int descriptor, std::byte* memory, std::size_t bytes, unsigned flags) {
    io_uring ring{};
    const int refused = ::io_uring_queue_init(2, &ring, 0);
    if (refused == -EPERM || refused == -ENOSYS) refuse(EOPNOTSUPP, "this machine does not permit io_uring");
    if (refused != 0) refuse(-refused, "io_uring_queue_init");
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring);
    if (into_memory) {
        ::io_uring_prep_read(entry, descriptor, memory, static_cast<unsigned>(bytes), 0);
    } else {
        ::io_uring_prep_write(entry, descriptor, memory, static_cast<unsigned>(bytes), 0);
    }
    ::io_uring_sqe_set_flags(entry, flags);
    int result = ::io_uring_submit(&ring);
    io_uring_cqe* completion = nullptr;
    if (result == 1) {
        do {
            result = ::io_uring_wait_cqe(&ring, &completion);
        } while (result == -EINTR);
    }
    if (completion != nullptr) result = completion->res;
    ::io_uring_queue_exit(&ring);
    return result;
}

constexpr bool kInto = true;
constexpr bool kFrom = false;

constexpr std::array kCalls{
    SystemCall{"read", kInto, a_pipe,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::read(outside.source(), memory, bytes));
               }},
    SystemCall{"write", kFrom, a_pipe,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::write(outside.sink(), memory, bytes));
               }},
    SystemCall{"readv", kInto, a_pipe,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::readv(outside.source(), two_parts(memory, bytes).data(), 2));
               }},
    SystemCall{"writev", kFrom, a_pipe,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::writev(outside.sink(), two_parts(memory, bytes).data(), 2));
               }},
    SystemCall{"pread", kInto, memory_file,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::pread(outside.source(), memory, bytes, 0));
               }},
    SystemCall{"pwrite", kFrom, memory_file,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::pwrite(outside.sink(), memory, bytes, 0));
               }},
    SystemCall{"recv", kInto, sockets,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::recv(outside.source(), memory, bytes, 0));
               }},
    SystemCall{"send", kFrom, sockets,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::send(outside.sink(), memory, bytes, 0));
               }},
    SystemCall{"direct_read", kInto, direct_file,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::pread(outside.source(), memory, bytes, 0));
               }},
    SystemCall{"direct_write", kFrom, direct_file,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return or_error(::pwrite(outside.sink(), memory, bytes, 0));
               }},
    SystemCall{"io_uring_read", kInto, memory_file,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return through_ring(kInto, outside.source(), memory, bytes, 0);
               }},
    SystemCall{"io_uring_write", kFrom, memory_file,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return through_ring(kFrom, outside.sink(), memory, bytes, 0);
               }},
    SystemCall{"io_uring_worker_read", kInto, memory_file,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return through_ring(kInto, outside.source(), memory, bytes, IOSQE_ASYNC);
               }},
    SystemCall{"io_uring_worker_write", kFrom, memory_file,
               [](const Outside& outside, std::byte* memory, std::size_t bytes) {
                   return through_ring(kFrom, outside.sink(), memory, bytes, IOSQE_ASYNC);
               }},
};

}  // namespace

std::span<const SystemCall> system_calls() { return kCalls; }

long wait_on_futex(std::byte* word, std::uint32_t expected, bool shared_between_processes) {
    const int scope = shared_between_processes ? 0 : FUTEX_PRIVATE_FLAG;
    std::atomic<bool> back{false};
    long result = 0;
    std::thread waiting{[&] {
        do {
            result = or_error(::syscall(SYS_futex, word, FUTEX_WAIT | scope, expected, nullptr, nullptr, 0));
        } while (result == -EINTR);
        back.store(true);
    }};
    while (!back.load()) {
        ::syscall(SYS_futex, word, FUTEX_WAKE | scope, std::numeric_limits<int>::max(), nullptr, nullptr, 0);
        std::this_thread::yield();
    }
    waiting.join();
    return result;
}

}  // namespace faultline::test
