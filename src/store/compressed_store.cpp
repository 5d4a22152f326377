#include "store/compressed_store.hpp"

#include "core/check.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace faultline::store {
namespace {

// After kHopelessAfter blocks in a row that did not shrink, only one in kTryOneIn is tried.
constexpr std::uint32_t kHopelessAfter = 8;
constexpr std::uint32_t kTryOneIn = 16;

}  // namespace

CompressedStore::CompressedStore(CompressedPool& pool, std::unique_ptr<BackingStore> behind, std::uint64_t bytes,
                                 std::size_t page_bytes)
    : pool_{pool},
      behind_{std::move(behind)},
      table_{*behind_, bytes, std::min(page_bytes, kLargestBlockBytes), pool.next_table_number()},
      id_{pool.register_table(table_)} {}

CompressedStore::~CompressedStore() { pool_.unregister_table(id_); }

std::uint64_t CompressedStore::block_at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_REQUIRE(offset % table_.block_bytes() == 0,
                      "an offset or size in a compressed store is not a multiple of its block size");
    return offset / table_.block_bytes();
}

// ---- Reading

int CompressedStore::read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    std::uint64_t block = block_at(offset);
    const std::uint64_t end = block_at(offset + into.size());
    while (block < end) {
        const std::uint64_t run = std::max<std::uint64_t>(run_behind(block, end - block), 1);
        const std::span<std::byte> bytes = into.first(run * table_.block_bytes());
        if (const int error = run > 1 ? read_run(block, bytes) : read_one(block, bytes)) return error;
        into = into.subspan(bytes.size());
        block += run;
    }
    return 0;
}

/// Returns how many blocks from `first` to read with one call. The run begins and ends with a block that is behind, and
/// contains no block in the pool. At most `most`.
std::uint64_t CompressedStore::run_behind(std::uint64_t first, std::uint64_t most) const FAULTLINE_SIGNAL_SAFE {
    std::uint64_t run = 0;
    for (std::uint64_t i = 0; i < most; ++i) {
        const BlockWord word = table_.load(first + i);
        if (word.is(BlockPlace::behind))
            run = i + 1;
        else if (run == 0 || !word.is(BlockPlace::nothing))
            break;
    }
    return run;
}

int CompressedStore::read_run(std::uint64_t first, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    if (const int error = behind_->read(table_.offset_of(first), into)) return error;
    const std::size_t block_bytes = table_.block_bytes();
    for (std::uint64_t block = first; !into.empty(); ++block, into = into.subspan(block_bytes)) {
        const std::span<std::byte> bytes = into.first(block_bytes);
        if (arrived_intact(block, bytes)) continue;
        // The block has changed or is damaged: read_one finds out which.
        if (const int error = read_one(block, bytes)) return error;
    }
    return 0;
}

bool CompressedStore::arrived_intact(std::uint64_t block, std::span<std::byte> bytes) const FAULTLINE_SIGNAL_SAFE {
    const BlockWord word = table_.load(block);
    if (!word.is(BlockPlace::behind)) return false;
    // If the checksum is that of another version by now, the check fails, because that version has another seed.
    if (checksum_of(bytes, table_.seed(block, word.generation())) != table_.checksum(block)) return false;
    CompressedCounters::add(pool_.counters().misses);
    return true;
}

int CompressedStore::read_one(std::uint64_t block, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    // Repeats only if the block changes meanwhile. A block whose bytes are needed changes at most once.
    for (;;) {
        const BlockWord seen = table_.load(block);
        switch (seen.place()) {
            case BlockPlace::nothing:
                std::memset(into.data(), 0, into.size());  // no caller uses these bytes
                return 0;
            case BlockPlace::lost:
                return EIO;
            case BlockPlace::pool: {
                const auto fetched = pool_.fetch(table_, block, seen, into);
                if (fetched == CompressedPool::Fetched::done) return 0;
                if (fetched == CompressedPool::Fetched::damaged) return EIO;
                break;
            }
            case BlockPlace::behind:
                if (const int error = behind_->read(table_.offset_of(block), into)) return error;
                if (arrived_intact(block, into)) return 0;
                if (table_.load(block) != seen) break;
                CompressedCounters::add(pool_.counters().damaged);
                return EIO;
        }
    }
}

// ---- Writing

int CompressedStore::write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE {
    const std::size_t block_bytes = table_.block_bytes();
    std::uint64_t block = block_at(offset);
    const std::uint64_t end = block_at(offset + from.size());
    std::uint64_t kept_until = block;  // blocks from here to `block` go to the store behind in one write
    const std::byte* bytes = from.data();
    int error = 0;
    for (; block < end && error == 0; ++block, bytes += block_bytes) {
        if (!keep_compressed(block, {bytes, block_bytes})) continue;
        const std::size_t refused = (block - kept_until) * block_bytes;
        if (refused > 0) error = write_behind(kept_until, {bytes - refused, refused});
        kept_until = block + 1;
    }
    if (error != 0 || kept_until == end) return error;
    const std::size_t refused = (end - kept_until) * block_bytes;
    return write_behind(kept_until, from.last(refused));
}

/// Keeps a block in the pool. Returns false if it does not shrink or if there is no room.
bool CompressedStore::keep_compressed(std::uint64_t block, std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    if (!pool_.enabled()) return false;
    if (!worth_trying()) {
        CompressedCounters::add(pool_.counters().rejections);
        return false;
    }
    const CompressorPool::Compressor compressor{pool_.compressors()};
    const std::span<const std::byte> compressed = compressor.compress(bytes);
    if (compressed.empty()) {
        rejected_in_a_row_.fetch_add(1, std::memory_order_relaxed);
        CompressedCounters::add(pool_.counters().rejections);
        return false;
    }
    if (rejected_in_a_row_.load(std::memory_order_relaxed) != 0) {
        rejected_in_a_row_.store(0, std::memory_order_relaxed);
    }
    if (pool_.insert(id_, block, compressed)) return true;
    CompressedCounters::add(pool_.counters().overflows);
    return false;
}

bool CompressedStore::worth_trying() FAULTLINE_SIGNAL_SAFE {
    const std::uint32_t rejected = rejected_in_a_row_.load(std::memory_order_relaxed);
    if (rejected < kHopelessAfter) return true;
    if (rejected % kTryOneIn == kHopelessAfter) return true;
    rejected_in_a_row_.fetch_add(1, std::memory_order_relaxed);
    return false;
}

int CompressedStore::write_behind(std::uint64_t first, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE {
    const std::size_t block_bytes = table_.block_bytes();
    const std::uint64_t end = first + from.size() / block_bytes;
    // This waits for spills only, and they wait for no other thread: two writes of one page are never in flight.
    for (std::uint64_t block = first; block < end; ++block) {
        claim_for_write(block, from.subspan((block - first) * block_bytes, block_bytes));
    }
    const int error = behind_->write(table_.offset_of(first), from);
    for (std::uint64_t block = first; block < end; ++block) {
        table_.change(block, [&](BlockWord word) { return error == 0 ? word.written() : word.write_failed(); });
    }
    pool_.notify_not_busy();
    return error;
}

void CompressedStore::claim_for_write(std::uint64_t block, std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    BlockWord seen = table_.load(block);
    for (;;) {
        if (seen.busy()) {
            pool_.wait_while_busy(table_, block);
            seen = table_.load(block);
        } else if (table_.try_change(block, seen, seen.claimed_for_write())) {
            break;
        }
    }
    pool_.release_entry(table_, seen);
    table_.set_checksum(block, checksum_of(bytes, table_.seed(block, seen.next_generation())));
}

// ---- Discarding

void CompressedStore::discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    discard_blocks(offset, bytes, [this](std::uint64_t first, std::uint64_t end) { empty_behind(first, end); });
}

void CompressedStore::discard_keeping_space(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    discard_blocks(offset, bytes, [this](std::uint64_t first, std::uint64_t end) {
        behind_->discard_keeping_space(table_.offset_of(first), table_.offset_of(end - first));
    });
}

/// Calls `behind(first, end)` for the runs of blocks that the store behind may hold.
template <typename Behind>
void CompressedStore::discard_blocks(std::uint64_t offset, std::uint64_t bytes, Behind behind) FAULTLINE_SIGNAL_SAFE {
    std::uint64_t block = block_at(offset);
    const std::uint64_t end = block_at(offset + bytes);
    while (block < end) {
        const std::uint64_t first = block;
        while (block < end && discard_block(block)) ++block;
        if (block > first) behind(first, block);
        if (block < end) ++block;  // the store behind has no bytes of this block
    }
}

/// Drops the bytes of a block. Returns true if the store behind may have bytes of it, too.
bool CompressedStore::discard_block(std::uint64_t block) FAULTLINE_SIGNAL_SAFE {
    BlockWord seen = table_.load(block);
    if (seen.is(BlockPlace::nothing) && !seen.has_behind()) return false;
    for (;;) {
        seen = table_.change(block, [](BlockWord word) { return word.discarded(); });
        pool_.release_entry(table_, seen);
        if (!seen.busy()) return seen.has_behind();
        pool_.wait_while_busy(table_, block);  // otherwise the write in flight would end after the discard
    }
}

void CompressedStore::empty_behind(std::uint64_t first, std::uint64_t end) FAULTLINE_SIGNAL_SAFE {
    behind_->discard(table_.offset_of(first), table_.offset_of(end - first));
    for (std::uint64_t block = first; block < end; ++block) {
        BlockWord seen = table_.load(block);
        if (!seen.is(BlockPlace::nothing) || seen.busy()) continue;  // another thread writes it
        static_cast<void>(table_.try_change(block, seen, seen.emptied_behind()));
    }
}

// ---- Statistics

Whereabouts CompressedStore::whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    switch (table_.load(offset / table_.block_bytes()).place()) {
        case BlockPlace::pool:
            return {Whereabouts::Place::compressed, 0};
        case BlockPlace::behind:
            return behind_->whereabouts(offset);
        case BlockPlace::nothing:
        case BlockPlace::lost:
            break;
    }
    return {};
}

}  // namespace faultline::store
