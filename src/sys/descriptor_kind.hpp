// DescriptorKind: the type of file behind a descriptor. It decides whether a transfer may be split into pieces. The
// transfer functions of the library and of the preload ask for it. It opens and changes nothing.
#pragma once

#include "core/signal_safe.hpp"

#include <cstdint>

namespace faultline::sys {

enum class DescriptorKind : std::uint8_t {
    closed,          ///< Not open.
    file,            ///< A regular file, a directory or a block device.
    memory_device,   ///< /dev/null, zero, full, random and urandom.
    terminal,        //
    pipe,            //
    stream_socket,   ///< SOCK_STREAM.
    message_socket,  ///< Every other socket: one call moves one message.
    other,           ///< eventfd, inotify, /dev/net/tun and the like: one call may move one message.
};

[[nodiscard]] DescriptorKind descriptor_kind(int descriptor) FAULTLINE_SIGNAL_SAFE;

/// Returns the flags of the open file (O_NONBLOCK, O_DIRECT, O_ACCMODE), or 0 if the descriptor is not open.
[[nodiscard]] int open_flags(int descriptor) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
