// Every system call that transfers bytes does the same with memory from malloc as with ordinary memory: the same
// result, errno and bytes, and the rest of the buffer unchanged. The table has each call on each kind of descriptor,
// blocking or not, with buffers below and above the resident limit. It runs with all pins free, and again while threads
// hold most of them. Runs with libfaultline-preload.so preloaded, FAULTLINE_RESIDENT=256K, and without. Prints each
// difference and exits with 1.

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// NOLINTBEGIN: tests the C library's functions
namespace {

constexpr std::size_t kBelow = 50'000;    // fits into the limit
constexpr std::size_t kAbove = 330'777;   // exceeds the limit
constexpr std::size_t kArrived = 40'000;  // bytes that wait to be read: fewer than a pipe holds, and than kBelow
constexpr unsigned char kUntouched = 0xee;

int failures = 0;

void fail(const std::string& what) {
    std::printf("check failed: %s\n", what.c_str());
    ++failures;
}

void require(bool condition, const char* what) {
    if (condition) return;
    std::printf("cannot set up: %s: %s\n", what, std::strerror(errno));
    std::exit(2);
}

unsigned char byte_at(std::size_t i) { return static_cast<unsigned char>((i + 1) * 0x9e3779b97f4a7c15 >> 56); }

// ---- memory

/// Memory from mmap, which no allocator manages.
struct Ordinary {
    explicit Ordinary(std::size_t bytes) : size{(bytes + 4095) / 4096 * 4096} {
        void* const map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        require(map != MAP_FAILED, "mmap");
        data = static_cast<unsigned char*>(map);
    }
    ~Ordinary() { munmap(data, size); }
    Ordinary(const Ordinary&) = delete;
    Ordinary& operator=(const Ordinary&) = delete;
    std::size_t size;
    unsigned char* data;
};

/// Writes to more memory than the limit, so that pages accessed before are evicted.
void push_out() {
    constexpr std::size_t kMuch = std::size_t{300} << 10;
    static auto* const much = static_cast<unsigned char*>(malloc(kMuch));
    for (std::size_t i = 0; i < kMuch; i += 4096) much[i] = static_cast<unsigned char>(much[i] + 1);
}

/// The buffer of one call, from malloc or from mmap.
class Buffer {
public:
    Buffer(std::size_t bytes, bool managed) : bytes_{bytes} {
        if (managed) {
            data_ = static_cast<unsigned char*>(aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
            require(data_ != nullptr, "aligned_alloc");
        } else {
            map_ = std::make_unique<Ordinary>(bytes);
            data_ = map_->data;
        }
    }
    ~Buffer() {
        if (!map_) free(data_);
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    void fill(bool with_pattern) {
        for (std::size_t i = 0; i < bytes_; ++i) data_[i] = with_pattern ? byte_at(i) : kUntouched;
        if (!map_) push_out();
    }
    /// Returns whether the first `count` bytes are the pattern from `from` on, and all others unchanged.
    [[nodiscard]] bool has_pattern(std::size_t count, std::size_t from = 0) const {
        for (std::size_t i = 0; i < bytes_; ++i) {
            if (data_[i] != (i < count ? byte_at(from + i) : kUntouched)) return false;
        }
        return true;
    }
    [[nodiscard]] unsigned char* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return bytes_; }

private:
    std::size_t bytes_;
    std::unique_ptr<Ordinary> map_;
    unsigned char* data_ = nullptr;
};

// ---- descriptors that the calls are made on

enum class Kind { file, pipe, stream, datagram };

constexpr std::array kKindNames{"file", "pipe", "stream", "datagram"};

struct Ends {
    int ours = -1;  // the end that the tested call uses
    int peer = -1;  // the other end; for a file, the same descriptor
    ~Ends() {
        if (peer >= 0 && peer != ours) close(peer);
        if (ours >= 0) close(ours);
    }
};

void open_ends(Ends& ends, Kind kind, bool reads, bool blocking) {
    int two[2] = {-1, -1};
    switch (kind) {
        case Kind::file:
            ends.ours = ends.peer = memfd_create("transfers", MFD_CLOEXEC);
            require(ends.ours >= 0, "memfd_create");
            break;
        case Kind::pipe:
            require(pipe2(two, O_CLOEXEC) == 0, "pipe2");
            ends.ours = two[reads ? 0 : 1];
            ends.peer = two[reads ? 1 : 0];
            break;
        case Kind::stream:
        case Kind::datagram:
            require(socketpair(AF_UNIX, kind == Kind::stream ? SOCK_STREAM : SOCK_DGRAM, 0, two) == 0, "socketpair");
            ends.ours = two[0];
            ends.peer = two[1];
    }
    if (!blocking) fcntl(ends.ours, F_SETFL, fcntl(ends.ours, F_GETFL) | O_NONBLOCK);
}

/// Writes `bytes` bytes of the pattern, from `from` on.
void offer(int fd, std::size_t bytes, std::size_t from = 0) {
    const Ordinary text{bytes};
    for (std::size_t i = 0; i < bytes; ++i) text.data[i] = byte_at(from + i);
    for (std::size_t done = 0; done < bytes;) {
        const ssize_t wrote = write(fd, text.data + done, bytes - done);
        require(wrote > 0, "write");
        done += static_cast<std::size_t>(wrote);
    }
}

/// Reads until no bytes are left. Returns how many came, or SIZE_MAX if they are not the pattern.
std::size_t take(int fd, std::size_t at_most) {
    const Ordinary room{std::size_t{64} << 10};
    std::size_t done = 0;
    bool right = true;
    while (done < at_most) {
        const ssize_t got = read(fd, room.data, std::min(room.size, at_most - done));
        if (got <= 0) break;
        for (ssize_t i = 0; i < got; ++i) right = right && room.data[i] == byte_at(done + static_cast<std::size_t>(i));
        done += static_cast<std::size_t>(got);
    }
    return right ? done : SIZE_MAX;
}

// ---- the calls

/// Splits the buffer into three parts: one is empty, and none ends at a page boundary.
std::vector<iovec> parts(const Buffer& buffer) {
    const std::size_t first = buffer.size() / 3 + 1;
    return {{buffer.data(), first}, {buffer.data(), 0}, {buffer.data() + first, buffer.size() - first}};
}

msghdr message_of(std::vector<iovec>& vectors) {
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = vectors.size();
    return message;
}

using MakeCall = ssize_t (*)(int fd, const Buffer& buffer);

struct TransferCall {
    const char* name;
    bool reads;
    std::vector<Kind> kinds;
    MakeCall make;
    bool waits_for_all = false;
    bool blocking_only = false;
};

const std::vector<Kind> kAll{Kind::file, Kind::pipe, Kind::stream, Kind::datagram};
const std::vector<Kind> kSockets{Kind::stream, Kind::datagram};

const TransferCall kCalls[] = {
    {"read", true, kAll, [](int fd, const Buffer& b) { return read(fd, b.data(), b.size()); }},
    {"readv", true, kAll, [](int fd, const Buffer& b) { return readv(fd, parts(b).data(), 3); }},
    {"pread", true, {Kind::file}, [](int fd, const Buffer& b) { return pread(fd, b.data(), b.size(), 0); }},
    {"preadv", true, {Kind::file}, [](int fd, const Buffer& b) { return preadv(fd, parts(b).data(), 3, 0); }},
    {"preadv2", true, kAll, [](int fd, const Buffer& b) { return preadv2(fd, parts(b).data(), 3, -1, 0); }},
    {"recv", true, kSockets, [](int fd, const Buffer& b) { return recv(fd, b.data(), b.size(), 0); }},
    {"recv_peek", true, kSockets, [](int fd, const Buffer& b) { return recv(fd, b.data(), b.size(), MSG_PEEK); }},
    {"recv_all",
     true,
     {Kind::stream},
     [](int fd, const Buffer& b) { return recv(fd, b.data(), b.size(), MSG_WAITALL); },
     true},
    {"recv_dontwait", true, kSockets,
     [](int fd, const Buffer& b) { return recv(fd, b.data(), b.size(), MSG_DONTWAIT | MSG_WAITALL); }},
    {"recvfrom", true, kSockets,
     [](int fd, const Buffer& b) {
         sockaddr_storage from{};
         socklen_t bytes = sizeof from;
         return recvfrom(fd, b.data(), b.size(), 0, reinterpret_cast<sockaddr*>(&from), &bytes);
     }},
    {"recvmsg", true, kSockets,
     [](int fd, const Buffer& b) {
         std::vector<iovec> vectors = parts(b);
         msghdr message = message_of(vectors);
         return recvmsg(fd, &message, 0);
     }},
    {"recvmsg_all",
     true,
     {Kind::stream},
     [](int fd, const Buffer& b) {
         std::vector<iovec> vectors = parts(b);
         msghdr message = message_of(vectors);
         return recvmsg(fd, &message, MSG_WAITALL);
     },
     true},
    {"recvmmsg", true, kSockets,
     [](int fd, const Buffer& b) {
         std::vector<iovec> vectors = parts(b);
         mmsghdr message{message_of(vectors), 0};
         const int got = recvmmsg(fd, &message, 1, 0, nullptr);
         return got == 1 ? static_cast<ssize_t>(message.msg_len) : got;
     }},
    {"write", false, kAll, [](int fd, const Buffer& b) { return write(fd, b.data(), b.size()); }},
    {"writev", false, kAll, [](int fd, const Buffer& b) { return writev(fd, parts(b).data(), 3); }},
    {"pwrite", false, {Kind::file}, [](int fd, const Buffer& b) { return pwrite(fd, b.data(), b.size(), 0); }},
    {"pwritev", false, {Kind::file}, [](int fd, const Buffer& b) { return pwritev(fd, parts(b).data(), 3, 0); }},
    {"pwritev2", false, kAll, [](int fd, const Buffer& b) { return pwritev2(fd, parts(b).data(), 3, -1, 0); }},
    {"send", false, kSockets, [](int fd, const Buffer& b) { return send(fd, b.data(), b.size(), 0); }},
    {"sendto", false, kSockets, [](int fd, const Buffer& b) { return sendto(fd, b.data(), b.size(), 0, nullptr, 0); }},
    {"sendmsg", false, kSockets,
     [](int fd, const Buffer& b) {
         std::vector<iovec> vectors = parts(b);
         const msghdr message = message_of(vectors);
         return sendmsg(fd, &message, 0);
     }},
    {"sendmmsg", false, kSockets,
     [](int fd, const Buffer& b) {
         std::vector<iovec> vectors = parts(b);
         mmsghdr message{message_of(vectors), 0};
         const int sent = sendmmsg(fd, &message, 1, 0);
         return sent == 1 ? static_cast<ssize_t>(message.msg_len) : sent;
     }},
};

// ---- one call on both kinds of memory

struct Outcome {
    ssize_t result = 0;
    int error = 0;
    bool right = true;         ///< The moved bytes are the pattern.
    bool nothing_left = true;  ///< A call that does not block has moved every byte that it could.

    bool operator==(const Outcome&) const = default;
};

void note(Outcome& outcome, ssize_t result) {
    outcome.result = result;
    outcome.error = result < 0 ? errno : 0;
}

Outcome read_once(const TransferCall& call, Kind kind, bool blocking, const Buffer& buffer) {
    Outcome outcome;
    Ends ends;
    open_ends(ends, kind, true, blocking);
    std::thread feeder;
    if (kind == Kind::file) {
        offer(ends.peer, buffer.size() + 100);
        lseek(ends.ours, 0, SEEK_SET);
    } else if (call.waits_for_all && blocking) {
        feeder = std::thread{[&] { offer(ends.peer, buffer.size() + 100); }};
    } else {
        offer(ends.peer, kArrived);
    }
    note(outcome, call.make(ends.ours, buffer));
    const std::size_t moved = outcome.result > 0 ? static_cast<std::size_t>(outcome.result) : 0;
    outcome.right = buffer.has_pattern(moved);
    if (feeder.joinable()) {
        const Ordinary rest{100};
        require(recv(ends.ours, rest.data, 100, MSG_WAITALL) == 100, "recv");
        feeder.join();
    }
    return outcome;
}

Outcome write_once(const TransferCall& call, Kind kind, bool blocking, const Buffer& buffer) {
    Outcome outcome;
    Ends ends;
    open_ends(ends, kind, false, blocking);
    const bool taken_meanwhile = blocking && (kind == Kind::pipe || kind == Kind::stream);
    std::size_t taken = 0;
    std::thread taker;
    if (taken_meanwhile) taker = std::thread{[&] { taken = take(ends.peer, SIZE_MAX); }};
    note(outcome, call.make(ends.ours, buffer));
    const std::size_t moved = outcome.result > 0 ? static_cast<std::size_t>(outcome.result) : 0;
    if (!blocking && moved > 0 && moved < buffer.size()) {
        const Ordinary page{4096};
        outcome.nothing_left = write(ends.ours, page.data, 4096) == -1 && errno == EAGAIN;
    }
    if (kind == Kind::file) lseek(ends.ours, 0, SEEK_SET);
    if (taken_meanwhile) {
        close(std::exchange(ends.ours, -1));
        taker.join();
    } else if (moved > 0) {
        taken = take(ends.peer, moved);
    }
    outcome.right = taken == moved;
    // How many bytes fit into a socket depends on how the kernel packs them: only success is compared.
    if (!blocking && kind == Kind::stream && moved > 0 && moved < buffer.size()) outcome.result = 1;
    return outcome;
}

Outcome outcome_of(const TransferCall& call, Kind kind, bool blocking, std::size_t bytes, bool managed) {
    Buffer buffer{bytes, managed};
    buffer.fill(!call.reads);
    return call.reads ? read_once(call, kind, blocking, buffer) : write_once(call, kind, blocking, buffer);
}

/// The buffer sizes and modes of one run of the table.
struct Run {
    const char* when;
    std::vector<bool> blocking;
    std::vector<std::size_t> sizes;
};

void table(const Run& run) {
    for (const TransferCall& call : kCalls) {
        for (const Kind kind : call.kinds) {
            for (const bool blocking : run.blocking) {
                for (const std::size_t bytes : run.sizes) {
                    const Outcome want = outcome_of(call, kind, blocking, bytes, false);
                    const Outcome got = outcome_of(call, kind, blocking, bytes, true);
                    if (want == got && got.right && got.nothing_left) continue;
                    fail(std::string{call.name} + " on a " + kKindNames[static_cast<std::size_t>(kind)] +
                         (blocking ? ", blocking, " : ", not blocking, ") + std::to_string(bytes) + " bytes, " +
                         run.when + ": " + std::to_string(got.result) + " (errno " + std::to_string(got.error) + ", " +
                         (got.right ? "right" : "WRONG") + (got.nothing_left ? "" : ", more could be moved") +
                         "); ordinary memory: " + std::to_string(want.result) + " (errno " +
                         std::to_string(want.error) + ")");
                }
            }
        }
    }
}

// ---- cases that do not fit the table

void devices() {
    for (const std::size_t bytes : {kBelow, kAbove}) {
        Buffer buffer{bytes, true};
        buffer.fill(false);
        const int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
        if (read(zero, buffer.data(), bytes) != static_cast<ssize_t>(bytes)) fail("read of /dev/zero");
        if (std::any_of(buffer.data(), buffer.data() + bytes, [](unsigned char c) { return c != 0; })) {
            fail("bytes read from /dev/zero");
        }
        push_out();
        if (write(zero, buffer.data(), bytes) != static_cast<ssize_t>(bytes)) fail("write to /dev/zero");
        close(zero);
        push_out();
        if (getrandom(buffer.data(), bytes, 0) != static_cast<ssize_t>(bytes)) fail("getrandom");
        if (std::count(buffer.data(), buffer.data() + bytes, 0) > static_cast<std::ptrdiff_t>(bytes / 100)) {
            fail("bytes of getrandom");
        }
    }
}

void offsets_in_the_heap() {
    Ends from;
    Ends to;
    open_ends(from, Kind::file, true, true);
    open_ends(to, Kind::file, true, true);
    offer(from.ours, kBelow);
    auto* const offset = static_cast<off_t*>(calloc(2, sizeof(off_t)));
    push_out();
    const ssize_t sent = sendfile(to.ours, from.ours, &offset[0], kBelow / 2);
    push_out();
    offset[1] = offset[0];
    push_out();
    const ssize_t copied = copy_file_range(from.ours, &offset[0], to.ours, &offset[1], kBelow / 2, 0);
    if (sent != kBelow / 2 || copied != kBelow / 2 || offset[0] != kBelow || offset[1] != kBelow) {
        fail("sendfile and copy_file_range with offsets from malloc");
    }
    lseek(to.ours, 0, SEEK_SET);
    if (take(to.ours, kBelow) != kBelow) fail("bytes moved by sendfile and copy_file_range");
    int ends[2];
    require(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
    offset[0] = 0;
    push_out();
    if (splice(from.ours, &offset[0], ends[1], nullptr, 20'000, 0) != 20'000 || offset[0] != 20'000) fail("splice");
    if (take(ends[0], 20'000) != 20'000) fail("bytes moved by splice");
    close(ends[0]);
    close(ends[1]);
    free(offset);
}

/// vmsplice may stop anywhere. The bytes that it has moved are those of the moment of the call.
void vmsplice_moves_the_bytes_of_now() {
    for (const std::size_t bytes : {kBelow, kAbove}) {
        for (const bool blocking : {true, false}) {
            Ends ends;
            open_ends(ends, Kind::pipe, false, blocking);
            Buffer buffer{bytes, true};
            buffer.fill(true);
            iovec all{buffer.data(), bytes};
            const ssize_t moved = vmsplice(ends.ours, &all, 1, blocking ? 0 : SPLICE_F_NONBLOCK);
            if (moved < 4096) return fail("vmsplice into an empty pipe: " + std::to_string(moved));
            push_out();
            if (take(ends.peer, static_cast<std::size_t>(moved)) != static_cast<std::size_t>(moved)) {
                fail("bytes moved by vmsplice");
            }
            if (blocking) continue;
            for (ssize_t more = 1; more > 0;) more = vmsplice(ends.ours, &all, 1, SPLICE_F_NONBLOCK);
            if (errno != EAGAIN) fail("vmsplice into a full pipe");
        }
    }
    Ends ends;
    open_ends(ends, Kind::pipe, true, true);
    offer(ends.peer, kArrived);
    Buffer buffer{kAbove, true};
    buffer.fill(false);
    iovec all{buffer.data(), kAbove};
    if (vmsplice(ends.ours, &all, 1, 0) != kArrived || !buffer.has_pattern(kArrived)) fail("vmsplice out of a pipe");
}

void messages_keep_their_bounds() {
    Ends ends;
    open_ends(ends, Kind::datagram, true, true);
    constexpr std::size_t kCount = 30;
    constexpr std::size_t kEach = 5000;
    Buffer buffer{kCount * kEach, true};
    buffer.fill(true);
    auto* const messages = static_cast<mmsghdr*>(calloc(kCount, sizeof(mmsghdr)));
    auto* const vectors = static_cast<iovec*>(calloc(kCount, sizeof(iovec)));
    std::thread receiver{[&] {
        const Ordinary room{2 * kEach};
        for (std::size_t i = 0; i < kCount; ++i) {
            if (recv(ends.peer, room.data, 2 * kEach, 0) != kEach || room.data[0] != byte_at(i * kEach)) {
                fail("a datagram of sendmmsg");
            }
        }
    }};
    for (std::size_t i = 0; i < kCount; ++i) {
        vectors[i] = {buffer.data() + i * kEach, kEach};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    push_out();
    int sent = 0;
    while (sent < static_cast<int>(kCount)) {
        const int more = sendmmsg(ends.ours, messages + sent, kCount - static_cast<unsigned>(sent), 0);
        if (more <= 0) break;
        sent += more;
    }
    if (sent != kCount) fail("sendmmsg of 30 messages: " + std::to_string(sent));
    receiver.join();
    for (int i = 0; i < 5; ++i) offer(ends.peer, kEach, static_cast<std::size_t>(i));
    buffer.fill(false);
    const int got = recvmmsg(ends.ours, messages, kCount, MSG_WAITFORONE, nullptr);
    bool right = got == 5;
    for (std::size_t i = 0; i < 5 && right; ++i) {
        right = messages[i].msg_len == kEach && buffer.data()[i * kEach] == byte_at(i) &&
                buffer.data()[i * kEach + kEach - 1] == byte_at(i + kEach - 1);
    }
    if (!right) fail("recvmmsg of 5 messages: " + std::to_string(got));
    free(messages);
    free(vectors);
}

/// A descriptor arrives with the first byte of a message, even if the message is larger than all pins.
void control_data_comes_through() {
    struct Parts {
        msghdr message;
        iovec vector;
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    };
    Ends ends;
    open_ends(ends, Kind::stream, false, true);
    auto* const parts = static_cast<Parts*>(calloc(1, sizeof(Parts)));
    Buffer buffer{kAbove, true};
    buffer.fill(true);
    parts->vector = {buffer.data(), kAbove};
    parts->message.msg_iov = &parts->vector;
    parts->message.msg_iovlen = 1;
    parts->message.msg_control = parts->control;
    parts->message.msg_controllen = sizeof parts->control;
    cmsghdr* const header = CMSG_FIRSTHDR(&parts->message);
    *header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    std::memcpy(CMSG_DATA(header), &ends.ours, sizeof(int));
    std::size_t taken = 0;
    bool passed = false;
    std::thread receiver{[&] {
        Buffer into{kAbove, true};
        into.fill(false);
        auto* const its = static_cast<Parts*>(calloc(1, sizeof(Parts)));
        its->vector = {into.data(), kAbove};
        its->message.msg_iov = &its->vector;
        its->message.msg_iovlen = 1;
        its->message.msg_control = its->control;
        its->message.msg_controllen = sizeof its->control;
        push_out();
        const ssize_t got = recvmsg(ends.peer, &its->message, 0);
        const cmsghdr* const came = CMSG_FIRSTHDR(&its->message);
        passed = got > 0 && came != nullptr && came->cmsg_type == SCM_RIGHTS &&
                 its->message.msg_controllen == CMSG_SPACE(sizeof(int));
        if (passed) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(came), sizeof fd);
            passed = fd >= 0 && close(fd) == 0;
        }
        const std::size_t first = got > 0 ? static_cast<std::size_t>(got) : 0;
        const Ordinary rest{kAbove};
        taken = first;
        while (taken < kAbove) {
            const ssize_t more = read(ends.peer, rest.data, kAbove - taken);
            if (more <= 0) break;
            taken += static_cast<std::size_t>(more);
        }
        free(its);
    }};
    push_out();
    const ssize_t sent = sendmsg(ends.ours, &parts->message, 0);
    if (sent != static_cast<ssize_t>(kAbove)) {
        fail("sendmsg with a descriptor: " + std::to_string(sent));
        shutdown(ends.ours, SHUT_WR);
    }
    receiver.join();
    if (taken != kAbove || !passed) fail("bytes moved by sendmsg with a descriptor");
    free(parts);
}

/// A write that a signal interrupts returns the bytes moved so far, as on ordinary memory.
struct Interrupted {
    ssize_t result;
    int error;
};
Interrupted interrupted_write(std::size_t drained, bool managed, int flags) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    action.sa_flags = flags;
    sigaction(SIGUSR1, &action, nullptr);
    Ends ends;
    open_ends(ends, Kind::pipe, false, true);
    Buffer buffer{kAbove, managed};
    buffer.fill(true);
    std::atomic<bool> done{false};
    const pthread_t writer = pthread_self();
    std::thread other{[&] {
        take(ends.peer, drained);
        const int capacity = fcntl(ends.peer, F_GETPIPE_SZ);
        // A pipe page that was read in part accepts no more bytes.
        for (int held = 0; held <= capacity - 4096 && !done;) ioctl(ends.peer, FIONREAD, &held);
        while (!done) {
            pthread_kill(writer, SIGUSR1);
            sched_yield();
        }
    }};
    Interrupted outcome{};
    outcome.result = write(ends.ours, buffer.data(), kAbove);
    outcome.error = outcome.result < 0 ? errno : 0;
    done = true;
    other.join();
    return outcome;
}
void signals_end_a_write() {
    for (const std::size_t drained : {std::size_t{0}, std::size_t{10}, std::size_t{200'000}}) {
        for (const int flags : {0, SA_RESTART}) {
            const Interrupted want = interrupted_write(drained, false, flags);
            const Interrupted got = interrupted_write(drained, true, flags);
            const bool close_by = std::abs(want.result - got.result) <= 4096;
            if (!close_by || got.error != want.error || got.result < static_cast<ssize_t>(drained)) {
                fail("a write interrupted after " + std::to_string(drained) + ": " + std::to_string(got.result) +
                     ", on ordinary memory " + std::to_string(want.result));
            }
        }
    }
}

// ---- with few free pins

/// Threads that wait in read(2), each with a pinned buffer of 64 KiB.
class Crowd {
public:
    Crowd() {
        require(pipe2(ends_, O_CLOEXEC) == 0, "pipe2");
        for (std::thread& thread : threads_) {
            thread = std::thread{[this] {
                void* const buffer = malloc(kEach);
                std::memset(buffer, 1, kEach);
                reading_[static_cast<std::size_t>(index_++)] = gettid();
                static_cast<void>(!read(ends_[0], buffer, kEach));
                free(buffer);
            }};
        }
        for (const auto& id : reading_) {
            while (id == 0 || !waits_in_read(id)) sched_yield();
        }
    }
    ~Crowd() {
        close(ends_[1]);
        for (std::thread& thread : threads_) thread.join();
        close(ends_[0]);
    }
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;

private:
    /// Returns whether the thread is in read(2), which is system call 0, or in a call that the library makes for it.
    static bool waits_in_read(pid_t thread) {
        const std::string path = "/proc/self/task/" + std::to_string(thread) + "/syscall";
        char line[64] = {};
        const int fd = open(path.c_str(), O_RDONLY);
        if (fd < 0) return true;  // this kernel does not provide the file
        const ssize_t got = read(fd, line, sizeof line - 1);
        close(fd);
        return got <= 0 || std::string_view{line}.starts_with("0 0x") || std::string_view{line}.starts_with("19 0x");
    }

    static constexpr std::size_t kEach = std::size_t{64} << 10;
    static constexpr std::size_t kThreads = 20;
    int ends_[2];
    std::array<std::thread, kThreads> threads_;
    std::array<std::atomic<pid_t>, kThreads> reading_{};
    std::atomic<int> index_{0};
};

void others() {
    devices();
    offsets_in_the_heap();
    vmsplice_moves_the_bytes_of_now();
    messages_keep_their_bounds();
    control_data_comes_through();
}

}  // namespace
// NOLINTEND

int main() {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    table({"all pins free", {true, false}, {kBelow, kAbove}});
    others();
    signals_end_a_write();
    {
        const Crowd crowd;
        table({"most pins taken", {true}, {kBelow}});
        others();
    }
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
