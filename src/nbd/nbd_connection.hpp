// NbdConnection: one connection to an NBD export, by libnbd's asynchronous calls. It sends requests and waits for
// replies; NbdStore decides what is sent, and what happens when the connection is lost. One thread uses it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct nbd_handle;

namespace faultline::nbd {

/// A request, and the part of it that the connection needs. Its owner keeps it until `ended` or the connection's end.
struct NbdRequest {
    enum class Kind : std::uint8_t { read, write, trim };
    Kind kind = Kind::read;
    std::uint64_t offset = 0;
    void* data = nullptr;
    std::size_t bytes = 0;

    bool ended = false;  ///< There is a reply, or the connection was lost.
    int error = 0;       ///< 0 or an errno; only if it has ended.
};

class NbdConnection {
public:
    enum class State : std::uint8_t { connecting, ready, lost };

    /// Starts to connect. Throws std::system_error if the URI is wrong.
    explicit NbdConnection(const std::string& uri);
    NbdConnection(const NbdConnection&) = delete;
    NbdConnection& operator=(const NbdConnection&) = delete;

    [[nodiscard]] State state() const noexcept;

    /// Returns why the connection was lost: libnbd's text and errno.
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
    [[nodiscard]] int error() const noexcept { return error_; }

    // Of a connection that is ready.
    [[nodiscard]] std::uint64_t size() const noexcept;
    [[nodiscard]] bool is_read_only() const noexcept;
    [[nodiscard]] bool can_trim() const noexcept;
    [[nodiscard]] std::uint64_t smallest_request() const noexcept;

    /// Sends a request. If that fails, the request has ended.
    void send(NbdRequest& request) noexcept;

    /// Waits until the server or `wake` (a descriptor) has something to read, at most for `longest`, and takes replies.
    void wait(int wake, std::chrono::milliseconds longest) noexcept;

private:
    struct Close {
        void operator()(nbd_handle* handle) const noexcept;
    };

    void note_failure() noexcept;

    std::unique_ptr<nbd_handle, Close> handle_;
    std::string reason_;
    int error_ = 0;
};

}  // namespace faultline::nbd
