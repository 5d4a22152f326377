// A Store on an NBD export. The pager's store threads put requests on a list and wait; one thread sends them on one
// connection, takes the replies in any order, and connects anew when the connection is lost.
#include <faultline/nbd_store.hpp>

#include "nbd/nbd_connection.hpp"

#include <faultline/types.hpp>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace faultline {
namespace nbd {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{20};  // between two attempts to connect
constexpr milliseconds kLongestPause{1000};
constexpr milliseconds kLongestWait{1000};
constexpr std::size_t kLargestTrim = std::size_t{1} << 30;

[[noreturn]] void refuse(int error, const std::string& uri, const std::string& why) {
    throw std::system_error{error, std::generic_category(), "cannot use the NBD export " + uri + ": " + why};
}

/// Returns true if an error says that the connection, and not the request, has failed.
bool means_lost(int error) noexcept {
    return error == ENOTCONN || error == ESHUTDOWN || error == EPIPE || error == ECONNRESET || error == ECONNABORTED;
}

milliseconds until(Clock::time_point then) {
    const auto left = std::chrono::ceil<milliseconds>(then - Clock::now());
    return std::clamp(left, milliseconds{0}, kLongestWait);
}

/// An eventfd: interrupts NbdConnection::wait.
class Bell {
public:
    Bell() : fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
        if (fd_ < 0) throw std::system_error{errno, std::generic_category(), "cannot make an eventfd"};
    }
    ~Bell() { ::close(fd_); }
    Bell(const Bell&) = delete;
    Bell& operator=(const Bell&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_; }
    void ring() const noexcept {
        const std::uint64_t one = 1;
        while (::write(fd_, &one, sizeof one) < 0 && errno == EINTR) {
        }
    }
    void silence() const noexcept {
        std::uint64_t rings = 0;
        while (::read(fd_, &rings, sizeof rings) < 0 && errno == EINTR) {
        }
    }

private:
    int fd_;
};

class NbdStore final : public Store {
public:
    explicit NbdStore(NbdOptions options);
    ~NbdStore() override;
    NbdStore(const NbdStore&) = delete;
    NbdStore& operator=(const NbdStore&) = delete;

    [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }
    [[nodiscard]] unsigned concurrency() const noexcept override { return options_.in_flight; }

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) override {
        return make(NbdRequest::Kind::read, offset, into.data(), into.size());
    }
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) override {
        return make(NbdRequest::Kind::write, offset, const_cast<std::byte*>(from.data()), from.size());
    }
    void discard(std::uint64_t offset, std::uint64_t bytes) override;

private:
    struct Waiting {
        NbdRequest request;
        Clock::time_point deadline;
        bool done = false;
    };
    using Requests = std::list<Waiting*>;

    void check_options() const;
    void check_export(const NbdConnection& connection);
    [[nodiscard]] int make(NbdRequest::Kind kind, std::uint64_t offset, void* data, std::size_t bytes);

    // The thread that has the connection.
    void run();
    void work();
    void connect();
    void send_waiting();
    void take_ended();
    void expire();
    void drop_connection();
    void end(Waiting& waiting, int error);
    [[nodiscard]] milliseconds longest_wait() const;
    // Between two attempts to connect. No request's time passes without an attempt.
    [[nodiscard]] milliseconds longest_pause() const noexcept {
        return std::clamp(options_.timeout / 4, milliseconds{1}, kLongestPause);
    }
    [[nodiscard]] milliseconds first_pause() const noexcept { return std::min(kFirstPause, longest_pause()); }

    NbdOptions options_;
    std::uint64_t size_ = 0;
    bool trims_ = false;
    Bell bell_;

    std::mutex mutex_;  // guards the next four, and `done` and `error` of requests
    std::condition_variable ended_;
    Requests new_;
    bool stopping_ = false;

    // Used by the thread that has the connection.
    std::unique_ptr<NbdConnection> connection_;
    Requests waiting_;    // to be sent
    Requests in_flight_;  // sent
    Clock::time_point next_attempt_{};
    milliseconds pause_ = first_pause();
    bool wrong_export_ = false;  // another one than at first: nothing is sent to it

    std::thread thread_;
};

NbdStore::NbdStore(NbdOptions options) : options_{std::move(options)} {
    check_options();
    const Clock::time_point deadline = Clock::now() + options_.timeout;
    connection_ = std::make_unique<NbdConnection>(options_.uri);
    while (connection_->state() == NbdConnection::State::connecting) {
        if (Clock::now() >= deadline) refuse(ETIMEDOUT, options_.uri, "the server does not answer");
        connection_->wait(bell_.fd(), until(deadline));
    }
    if (connection_->state() == NbdConnection::State::lost) {
        refuse(connection_->error() != 0 ? connection_->error() : EIO, options_.uri, connection_->reason());
    }
    check_export(*connection_);
    size_ = connection_->size();
    trims_ = connection_->can_trim();
    // The thread takes none of the program's signals.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        thread_ = std::thread{[this] { run(); }};
    } catch (...) {
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

NbdStore::~NbdStore() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    bell_.ring();
    thread_.join();
}

void NbdStore::check_options() const {
    constexpr milliseconds kLongest = std::chrono::hours{24 * 365};
    if (options_.timeout < milliseconds{1} || options_.timeout > kLongest) {
        refuse(EINVAL, options_.uri, "NbdOptions::timeout must be 1 ms to one year");
    }
    if (options_.in_flight < 1 || options_.in_flight > 64) {
        refuse(EINVAL, options_.uri, "NbdOptions::in_flight must be 1 to 64");
    }
}

void NbdStore::check_export(const NbdConnection& connection) {
    if (connection.is_read_only()) refuse(EROFS, options_.uri, "it is read-only");
    if (connection.smallest_request() > kBasePageBytes) {
        refuse(ENOTSUP, options_.uri,
               "its smallest request is " + std::to_string(connection.smallest_request()) + " bytes, more than 4096");
    }
}

// ---- The callers

int NbdStore::make(NbdRequest::Kind kind, std::uint64_t offset, void* data, std::size_t bytes) {
    Waiting waiting{{kind, offset, data, bytes}, Clock::now() + options_.timeout};
    std::unique_lock lock{mutex_};
    new_.push_back(&waiting);
    bell_.ring();
    ended_.wait(lock, [&] { return waiting.done; });
    return waiting.request.error;
}

void NbdStore::discard(std::uint64_t offset, std::uint64_t bytes) {
    while (trims_ && bytes > 0) {
        const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kLargestTrim));
        if (make(NbdRequest::Kind::trim, offset, nullptr, some) != 0) return;  // only space is lost
        offset += some;
        bytes -= some;
    }
}

// ---- The thread that has the connection

void NbdStore::run() {
    ::pthread_setname_np(::pthread_self(), "fl-nbd");
    for (;;) {
        bell_.silence();
        {
            const std::lock_guard lock{mutex_};
            waiting_.splice(waiting_.end(), new_);
            if (stopping_) return;  // no call is on its way
        }
        work();
    }
}

void NbdStore::work() {
    connect();
    send_waiting();
    if (connection_ != nullptr) {
        connection_->wait(bell_.fd(), longest_wait());
        take_ended();
    } else {
        pollfd bell{bell_.fd(), POLLIN, 0};
        ::poll(&bell, 1, static_cast<int>(longest_wait().count()));
    }
    expire();
}

/// Starts to connect if there is something to send, and looks at an export to which the connection was made anew.
void NbdStore::connect() {
    if (connection_ == nullptr && !waiting_.empty() && Clock::now() >= next_attempt_) {
        next_attempt_ = Clock::now() + pause_;
        pause_ = std::min(2 * pause_, longest_pause());
        try {
            connection_ = std::make_unique<NbdConnection>(options_.uri);
        } catch (const std::system_error&) {
            return;  // out of memory or descriptors: tried again
        }
    }
    if (connection_ != nullptr && connection_->state() == NbdConnection::State::lost) drop_connection();
    if (connection_ == nullptr || connection_->state() != NbdConnection::State::ready) return;
    wrong_export_ = connection_->size() != size_ || connection_->is_read_only();
    pause_ = first_pause();
}

void NbdStore::send_waiting() {
    if (connection_ == nullptr || connection_->state() != NbdConnection::State::ready) return;
    while (!waiting_.empty()) {
        Waiting& next = *waiting_.front();
        waiting_.pop_front();
        if (wrong_export_) {
            end(next, EIO);
            continue;
        }
        in_flight_.push_back(&next);
        connection_->send(next.request);
    }
    take_ended();
}

void NbdStore::take_ended() {
    bool lost = false;
    for (auto next = in_flight_.begin(); next != in_flight_.end();) {
        Waiting& one = **next;
        if (!one.request.ended) {
            ++next;
            continue;
        }
        lost |= means_lost(one.request.error);
        if (means_lost(one.request.error)) {
            one.request.ended = false;
            waiting_.push_back(&one);
        } else {
            end(one, one.request.error);
        }
        next = in_flight_.erase(next);
    }
    if (lost) drop_connection();
}

/// Closes the connection: nothing is written to the memory of its requests any more. They are sent again.
void NbdStore::drop_connection() {
    connection_.reset();
    for (Waiting* const one : in_flight_) one->request.ended = false;
    waiting_.splice(waiting_.begin(), in_flight_);
}

/// Ends the requests whose time is over. A reply to one of them could still come, so its connection is closed first.
void NbdStore::expire() {
    const Clock::time_point now = Clock::now();
    const auto is_over = [now](const Waiting* one) { return one->deadline <= now; };
    if (std::any_of(in_flight_.begin(), in_flight_.end(), is_over)) drop_connection();
    for (auto next = waiting_.begin(); next != waiting_.end();) {
        if (!is_over(*next)) {
            ++next;
            continue;
        }
        end(**next, ETIMEDOUT);
        next = waiting_.erase(next);
    }
}

void NbdStore::end(Waiting& waiting, int error) {
    const std::lock_guard lock{mutex_};
    waiting.request.error = error;
    waiting.done = true;
    ended_.notify_all();
}

/// Returns how long there is nothing to do, if nothing comes: until a request is over, or the next attempt to connect.
milliseconds NbdStore::longest_wait() const {
    milliseconds longest = kLongestWait;
    for (const Requests* list : {&waiting_, &in_flight_}) {
        for (const Waiting* one : *list) longest = std::min(longest, until(one->deadline));
    }
    if (connection_ == nullptr && !waiting_.empty()) longest = std::min(longest, until(next_attempt_));
    return longest;
}

}  // namespace
}  // namespace nbd

inline namespace v0 {

std::shared_ptr<Store> open_nbd_store(const NbdOptions& options) { return std::make_shared<nbd::NbdStore>(options); }

}  // namespace v0
}  // namespace faultline
