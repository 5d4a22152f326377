#include "store/store_device.hpp"

#include "core/units.hpp"
#include "store/read_plan.hpp"
#include "store/write_queue.hpp"
#include "sys/error.hpp"
#include "sys/mapping.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

namespace faultline::store {
namespace {

void set_transfer(StoreCall& call, StoreCall::Kind kind, std::uint64_t offset,
                  std::span<const iovec> parts) FAULTLINE_SIGNAL_SAFE {
    call.kind = kind;
    call.offset = offset;
    call.parts = parts;
}

}  // namespace

StoreDevice::StoreDevice(std::shared_ptr<Store> store)
    : store_{std::move(store)}, size_{store_->size() / core::kUnitBytes * core::kUnitBytes} {
    if (size_ < Store::kSmallest) {
        sys::throw_error(EINVAL, "Config::store is too small: its size is " + sys::readable_bytes(size_) +
                                     ", and must be at least " + sys::readable_bytes(Store::kSmallest));
    }
    if (!store_->is_signal_safe()) threads_.emplace(*store_);
}

void StoreDevice::extend_to(std::uint64_t bytes) {
    if (bytes > size_) {
        sys::throw_error(EFBIG, "Config::store has " + sys::readable_bytes(size_) + ", and " +
                                    sys::readable_bytes(bytes) + " are needed: reserve less, or use a larger store");
    }
    length_ = std::max(length_, bytes);
}

void StoreDevice::make(std::span<StoreCall> calls) const FAULTLINE_SIGNAL_SAFE {
    if (threads_) return threads_->make(calls);
    for (StoreCall& one : calls) one.error = call_store(*store_, one, {});
}

int StoreDevice::read_all(std::span<const FileRead> reads) const FAULTLINE_SIGNAL_SAFE {
    static_assert(ReadPlan::kMostReads <= kCallsAtOnce);
    std::array<StoreCall, kCallsAtOnce> calls;
    std::array<iovec, kCallsAtOnce> parts;
    for (std::size_t i = 0; i < reads.size(); ++i) {
        parts[i] = {reads[i].into.data(), reads[i].into.size()};
        set_transfer(calls[i], StoreCall::Kind::read, reads[i].offset, {&parts[i], 1});
    }
    make({calls.data(), reads.size()});
    for (std::size_t i = 0; i < reads.size(); ++i) {
        if (calls[i].error != 0) return calls[i].error;
    }
    return 0;
}

int StoreDevice::write(std::uint64_t offset, std::span<const iovec> parts) const FAULTLINE_SIGNAL_SAFE {
    StoreCall call;
    set_transfer(call, StoreCall::Kind::write, offset, parts);
    make({&call, 1});
    return call.error;
}

void StoreDevice::write_all(std::span<FileWrite> writes) const FAULTLINE_SIGNAL_SAFE {
    std::array<StoreCall, kCallsAtOnce> calls;
    while (!writes.empty()) {
        const std::span<FileWrite> some = writes.first(std::min(writes.size(), kCallsAtOnce));
        for (std::size_t i = 0; i < some.size(); ++i) {
            set_transfer(calls[i], StoreCall::Kind::write, some[i].offset, some[i].parts);
        }
        make({calls.data(), some.size()});
        for (std::size_t i = 0; i < some.size(); ++i) some[i].error = calls[i].error;
        writes = writes.subspan(some.size());
    }
}

void StoreDevice::punch(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE {
    StoreCall call;
    call.kind = StoreCall::Kind::discard;
    call.offset = offset;
    call.bytes = bytes;
    make({&call, 1});
}

}  // namespace faultline::store
