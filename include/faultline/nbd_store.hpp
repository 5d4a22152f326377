/// @file
/// A Store on any server that speaks NBD, the protocol of network block devices: nbdkit, qemu-nbd, and through them
/// files, another machine's memory, Ceph RBD, S3. It is in a library of its own, faultline::nbd, which needs libnbd.
#pragma once

#include <faultline/language.hpp>

#include <faultline/store.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace faultline {
inline namespace v0 {

/// An export of an NBD server, and how to use it.
struct NbdOptions {
    /// `nbd://HOST[:PORT]/EXPORT`, `nbd+unix:///EXPORT?socket=PATH`, or the same with `nbds` for TLS, as in nbd_uri(7)
    /// and libnbd's nbd_connect_uri(3).
    std::string uri{};

    /// How long a read or write may take, in which a lost connection is made anew. Then it fails with ETIMEDOUT: the
    /// faulting access gets SIGBUS, and a page that was to be written stays in memory. 1 ms to one year.
    std::chrono::milliseconds timeout{30'000};

    /// Requests at once, 1 to 64.
    unsigned in_flight = 16;
};

/// Connects to the export, which nothing else may use: its contents are lost. Its size is that of the store.
///
/// A request whose connection is lost is sent again on a new one. So the server may be restarted, as long as it keeps
/// what it has acknowledged. If it does not (nbdkit's memory plugin), the checksums of the pages find out: EIO.
///
/// Throws std::system_error: ETIMEDOUT, ECONNREFUSED or what else the connection failed with; EINVAL (the URI, or an
/// option out of range); EROFS (a read-only export); ENOTSUP (requests of 4 KiB are too small for it).
[[nodiscard]] std::shared_ptr<Store> open_nbd_store(const NbdOptions& options);

}  // namespace v0
}  // namespace faultline
