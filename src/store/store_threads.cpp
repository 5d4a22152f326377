#include "store/store_threads.hpp"

#include "core/units.hpp"
#include "sys/error.hpp"
#include "sys/futex.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

namespace faultline::store {
namespace {

constexpr unsigned kMostThreads = 64;
constexpr int kLargestErrno = 4095;

/// Returns the number of threads that the store asks for. Throws EINVAL.
unsigned threads_for(const Store& store) {
    const unsigned wanted = store.concurrency();
    if (wanted == 0 || wanted > kMostThreads) {
        sys::throw_error(EINVAL, "Store::concurrency of Config::store returns " + std::to_string(wanted) +
                                     ": it must be 1 to " + std::to_string(kMostThreads));
    }
    return wanted;
}

int checked(int error) noexcept { return error < 0 || error > kLargestErrno ? EIO : error; }

std::span<std::byte> bytes_of(const iovec& part) noexcept {
    return {static_cast<std::byte*>(part.iov_base), part.iov_len};
}

/// Calls `transfer(offset, bytes)` for pieces of each part until one fails.
template <typename Transfer>
int in_pieces(std::uint64_t offset, std::span<const iovec> parts, Transfer transfer) {
    for (const iovec& part : parts) {
        for (std::span<std::byte> left = bytes_of(part); !left.empty();) {
            const std::span<std::byte> piece = left.first(std::min(left.size(), Store::kLargestTransfer));
            if (const int error = transfer(offset, piece)) return error;
            offset += piece.size();
            left = left.subspan(piece.size());
        }
    }
    return 0;
}

int write_gathered(Store& store, std::uint64_t offset, std::span<const iovec> parts, std::span<std::byte> memory) {
    std::size_t filled = 0;
    for (std::size_t next = 0; next < parts.size(); ++next) {
        for (std::span<const std::byte> left = bytes_of(parts[next]); !left.empty();) {
            const std::size_t bytes = std::min(left.size(), memory.size() - filled);
            std::memcpy(memory.data() + filled, left.data(), bytes);
            left = left.subspan(bytes);
            filled += bytes;
            const bool last = left.empty() && next + 1 == parts.size();
            if (!last && filled < memory.size()) continue;
            if (const int error = store.write(offset, memory.first(filled))) return error;
            offset += filled;
            filled = 0;
        }
    }
    return 0;
}

int make_call(Store& store, const StoreCall& call, std::span<std::byte> gathered) {
    switch (call.kind) {
        case StoreCall::Kind::read:
            return in_pieces(call.offset, call.parts, [&store](std::uint64_t offset, std::span<std::byte> into) {
                return store.read(offset, into);
            });
        case StoreCall::Kind::write:
            if (!gathered.empty()) return write_gathered(store, call.offset, call.parts, gathered);
            return in_pieces(call.offset, call.parts, [&store](std::uint64_t offset, std::span<std::byte> from) {
                return store.write(offset, from);
            });
        case StoreCall::Kind::discard:
            store.discard(call.offset, call.bytes);
            return 0;
    }
    return EINVAL;
}

}  // namespace

int call_store(Store& store, const StoreCall& call, std::span<std::byte> gathered) noexcept {
    try {
        return checked(make_call(store, call, gathered));
    } catch (...) {
        return EIO;
    }
}

StoreThreads::StoreThreads(Store& store)
    : store_{store},
      gathered_{sys::Mapping::reserve(threads_for(store) * Store::kLargestTransfer, core::kUnitBytes, true,
                                      "buffers of a store's threads")} {
    const std::size_t count = gathered_.size() / Store::kLargestTransfer;
    try {
        for (std::size_t i = 0; i < count; ++i) {
            const auto buffer = gathered_.bytes().subspan(i * Store::kLargestTransfer, Store::kLargestTransfer);
            threads_.push_back(
                std::make_unique<sys::ServiceThread>("fl-store", "see `ulimit -u`", [this, buffer] { run(buffer); }));
        }
    } catch (...) {
        stopping_.store(true);
        changes_.fetch_add(1);
        sys::futex_wake(changes_);
        throw;
    }
}

StoreThreads::~StoreThreads() {
    stopping_.store(true);
    changes_.fetch_add(1);
    sys::futex_wake(changes_);
}

void StoreThreads::make(std::span<StoreCall> calls) FAULTLINE_SIGNAL_SAFE {
    if (calls.empty()) return;
    std::atomic<std::uint32_t> left{static_cast<std::uint32_t>(calls.size())};
    for (std::size_t i = 0; i < calls.size(); ++i) {
        calls[i].left = &left;
        calls[i].next = i + 1 < calls.size() ? &calls[i + 1] : nullptr;
    }
    {
        const std::scoped_lock lock{lock_};
        (first_ == nullptr ? first_ : last_->next) = &calls.front();
        last_ = &calls.back();
    }
    changes_.fetch_add(1);
    sys::futex_wake(changes_, static_cast<int>(calls.size()));
    for (std::uint32_t now = left.load(); now != 0; now = left.load()) sys::futex_wait(left, now);
}

StoreCall* StoreThreads::take() noexcept {
    const std::scoped_lock lock{lock_};
    StoreCall* const call = first_;
    if (call != nullptr) first_ = call->next;
    return call;
}

void StoreThreads::run(std::span<std::byte> gathered) noexcept {
    for (;;) {
        const std::uint32_t changes = changes_.load();
        StoreCall* const call = take();
        if (call == nullptr) {
            if (stopping_.load()) return;
            sys::futex_wait(changes_, changes);
            continue;
        }
        std::atomic<std::uint32_t>& left = *call->left;
        call->error = call_store(store_, *call, gathered);
        // The caller may be gone as soon as `left` is 0. To wake an address without a sleeper does nothing.
        if (left.fetch_sub(1) == 1) sys::futex_wake(left);
    }
}

}  // namespace faultline::store
