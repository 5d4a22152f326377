// Transfer: a system call that moves bytes between a descriptor and a list of buffers (read, pwritev, recvmsg, ...), as
// a value.
// It can make the call on other buffers: parts of the program's, or copies. It pins nothing; transfers.cpp does.
#pragma once

#include "preload/calls.hpp"
#include "preload/scratch.hpp"

#include <faultline/types.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::preload {

/// A position in a list of buffers, and the number of bytes from there to the end.
class BufferCursor {
public:
    BufferCursor() noexcept = default;
    explicit BufferCursor(std::span<const iovec> buffers) noexcept;

    [[nodiscard]] std::uint64_t left() const noexcept { return left_; }
    /// Returns the rest of the buffer at the cursor. Precondition: `left` is not 0.
    [[nodiscard]] iovec front() const noexcept;
    void advance(std::uint64_t bytes) noexcept;

private:
    void skip_empty() noexcept;

    std::span<const iovec> buffers_;
    std::uint64_t offset_ = 0;  // into the first of `buffers_`
    std::uint64_t left_ = 0;
};

/// Whether a call may wait.
enum class Patience : std::uint8_t {
    of_program,  ///< As the program asks: with its signal mask, its flags and those of the descriptor.
    none,        ///< Returns -EAGAIN instead of waiting; -EOPNOTSUPP if the descriptor cannot. No signal interrupts it.
};

class Transfer {
public:
    /// Returns true if this class represents the call of that number.
    [[nodiscard]] static bool is_one(long number) noexcept;

    explicit Transfer(const Call& call) noexcept;
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    [[nodiscard]] const Call& call() const noexcept { return call_; }
    [[nodiscard]] int descriptor() const noexcept { return static_cast<int>(call_.arguments[0]); }
    /// Returns `writing` if the kernel writes to the buffers.
    [[nodiscard]] PinFor purpose() const noexcept { return purpose_; }
    [[nodiscard]] bool on_socket() const noexcept { return via_ == Via::message; }
    /// Returns MSG_* flags for a socket, RWF_* flags otherwise.
    [[nodiscard]] unsigned flags() const noexcept { return flags_; }
    [[nodiscard]] bool has_control_data() const noexcept { return control_bytes_ > 0; }
    [[nodiscard]] const std::span<const iovec>& buffers() const noexcept { return buffers_; }
    /// Returns true if the kernel refuses the call because of its arguments or of what they point to.
    [[nodiscard]] bool is_senseless() const noexcept { return senseless_; }

    /// Calls `use(address, bytes)` for each piece of memory besides the buffers that the original call names.
    template <typename Use>
    void for_each_other_memory(Use use) const {
        if (given_buffers_ != 0) use(given_buffers_, buffers_.size_bytes());
        if (given_message_ != 0) use(given_message_, sizeof(msghdr));
        if (name_length_at_ != 0) use(name_length_at_, sizeof(socklen_t));
        if (name_ != 0) use(name_, name_bytes_);
        if (control_ != 0) use(control_, control_bytes_);
    }

    /// Makes the call on `vectors` in place of the buffers. `moved`: bytes that earlier parts have transferred. Copies
    /// names, control data and message headers both ways, so that the kernel sees none of the program's. Returns a
    /// result or a negated errno. A cancellation point.
    [[nodiscard]] long make(std::span<iovec> vectors, std::uint64_t moved, std::uint64_t mask,
                            Patience patience = Patience::of_program) const;

private:
    enum class Via : std::uint8_t { vector, positioned, flagged, message };

    void read_buffer(std::uint64_t address, std::uint64_t bytes) noexcept;
    void read_buffers(std::uint64_t address, std::uint64_t count) noexcept;
    void read_addressed() noexcept;
    void read_message(std::uint64_t address) noexcept;
    [[nodiscard]] Call call_on(std::span<iovec> vectors, std::uint64_t moved, Patience patience) const noexcept;
    [[nodiscard]] long make_message(std::span<iovec> vectors, std::uint64_t moved, std::uint64_t mask,
                                    Patience patience) const;
    [[nodiscard]] bool give_back(const msghdr& message) const noexcept;

    Call call_;
    Via via_ = Via::vector;
    PinFor purpose_;
    unsigned flags_ = 0;
    bool senseless_ = false;
    iovec single_{};
    std::span<const iovec> buffers_;
    std::uint64_t given_buffers_ = 0;  // address of the program's array
    // For sockets; null if the program passes none.
    std::uint64_t given_message_ = 0;
    std::uint64_t name_ = 0;
    std::uint64_t name_bytes_ = 0;
    std::uint64_t name_length_at_ = 0;
    std::uint64_t control_ = 0;
    std::uint64_t control_bytes_ = 0;
};

}  // namespace faultline::preload
