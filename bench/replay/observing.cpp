#include "replay/observing.hpp"

#include <cstdint>
#include <deque>
#include <limits>
#include <list>
#include <queue>
#include <utility>

namespace bench {
namespace {

/// What all of them share: which pages are resident, which were seen before, which are dirty.
class Observing : public Model {
public:
    Observing(const DenseTrace& trace, std::size_t frames) : frames_{frames}, pages_(trace.pages) {}

    [[nodiscard]] std::size_t frames_used() const noexcept final { return used_; }

protected:
    /// Called when a resident page is referenced.
    virtual void used(PageIndex page) = 0;
    /// Called when an absent page takes a frame.
    virtual void came(PageIndex page) = 0;
    /// Called when all frames are taken and `wanted` needs one. Returns the page to evict, and forgets it.
    [[nodiscard]] virtual PageIndex victim(PageIndex wanted) = 0;

private:
    struct Page {
        bool seen = false;
        bool resident = false;
        bool dirty = false;
    };

    void answer(PageIndex number, bool write) final {
        Page& page = pages_[number];
        if (page.resident) {
            page.dirty |= write;
            used(number);
            return;
        }
        if (used_ == frames_) evict(victim(number));
        ++(page.seen ? counting().hard_faults : counting().first_touches);
        page = {true, true, write || !page.seen};
        ++used_;
        came(number);
    }

    void evict(PageIndex number) {
        Page& page = pages_[number];
        if (page.dirty) ++counting().written;
        ++counting().unmapped;
        page.resident = false;
        --used_;
    }

    std::size_t frames_;
    std::size_t used_ = 0;
    std::vector<Page> pages_;
};

class Opt final : public Observing {
public:
    Opt(const DenseTrace& trace, std::size_t frames) : Observing{trace, frames}, next_(trace.references.size()) {
        std::vector<std::size_t> next(trace.pages, std::numeric_limits<std::size_t>::max());
        for (std::size_t i = next_.size(); i-- > 0;) {
            next_[i] = std::exchange(next[trace.references[i].page], i);
        }
    }

private:
    void used(PageIndex page) override { came(page); }
    void came(PageIndex page) override { farthest_.push({next_[now_++], page}); }
    PageIndex victim(PageIndex) override {
        // Entries that a later use has replaced are in the past, and so below all others.
        const PageIndex page = farthest_.top().second;
        farthest_.pop();
        return page;
    }

    std::vector<std::size_t> next_;  // by reference: where its page is referenced next
    std::priority_queue<std::pair<std::size_t, PageIndex>> farthest_;
    std::size_t now_ = 0;
};

class Lru final : public Observing {
public:
    Lru(const DenseTrace& trace, std::size_t frames) : Observing{trace, frames}, place_(trace.pages) {}

private:
    void used(PageIndex page) override { order_.splice(order_.end(), order_, place_[page]); }
    void came(PageIndex page) override { place_[page] = order_.insert(order_.end(), page); }
    PageIndex victim(PageIndex) override {
        const PageIndex page = order_.front();
        order_.pop_front();
        return page;
    }

    std::list<PageIndex> order_;  // most recently used last
    std::vector<std::list<PageIndex>::iterator> place_;
};

PageIndex pop_front(std::deque<PageIndex>& queue) {
    const PageIndex page = queue.front();
    queue.pop_front();
    return page;
}

class Clock final : public Observing {
public:
    Clock(const DenseTrace& trace, std::size_t frames) : Observing{trace, frames}, accessed_(trace.pages) {}

private:
    void used(PageIndex page) override { accessed_[page] = true; }
    void came(PageIndex page) override {
        accessed_[page] = false;
        ring_.push_back(page);
    }
    PageIndex victim(PageIndex) override {
        while (accessed_[ring_.front()]) {
            accessed_[ring_.front()] = false;
            ring_.push_back(pop_front(ring_));
        }
        return pop_front(ring_);
    }

    std::deque<PageIndex> ring_;  // the hand is at its front
    std::vector<bool> accessed_;
};

class Fifo final : public Observing {
public:
    using Observing::Observing;

private:
    void used(PageIndex) override {}
    void came(PageIndex page) override { queue_.push_back(page); }
    PageIndex victim(PageIndex) override { return pop_front(queue_); }

    std::deque<PageIndex> queue_;
};

class S3Fifo final : public Observing {
public:
    S3Fifo(const DenseTrace& trace, std::size_t frames)
        : Observing{trace, frames},
          small_size_{frames / 10 > 0 ? frames / 10 : 1},
          ghost_size_{frames - small_size_},
          uses_(trace.pages),
          left_small_at_(trace.pages, kNever) {}

private:
    static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
    static constexpr std::uint8_t kMostUses = 3;
    static constexpr std::uint8_t kUsesToPromote = 2;

    void used(PageIndex page) override {
        if (uses_[page] < kMostUses) ++uses_[page];
    }

    void came(PageIndex page) override {
        uses_[page] = 0;
        // While the frames fill for the first time, the small queue takes its share only.
        const bool to_main = std::exchange(is_ghost_, false) || (!was_full_ && small_.size() >= small_size_);
        (to_main ? main_ : small_).push_back(page);
    }

    PageIndex victim(PageIndex wanted) override {
        was_full_ = true;
        // Before the eviction, which may push the page out of the ghost queue.
        is_ghost_ = left_small_at_[wanted] != kNever && left_small_ - left_small_at_[wanted] <= ghost_size_;
        left_small_at_[wanted] = kNever;
        for (;;) {
            const bool from_small = small_.size() >= small_size_ || main_.empty();
            if (from_small && !small_.empty()) {
                const PageIndex page = pop_front(small_);
                if (uses_[page] < kUsesToPromote) {
                    left_small_at_[page] = left_small_++;
                    return page;
                }
                uses_[page] = 0;
                main_.push_back(page);
            } else {
                const PageIndex page = pop_front(main_);
                if (uses_[page] == 0) return page;
                --uses_[page];
                main_.push_back(page);
            }
        }
    }

    std::size_t small_size_;
    std::size_t ghost_size_;
    std::deque<PageIndex> small_;
    std::deque<PageIndex> main_;
    std::vector<std::uint8_t> uses_;
    std::vector<std::uint64_t> left_small_at_;  // the ghost queue: when each page left the small queue
    std::uint64_t left_small_ = 0;
    bool is_ghost_ = false;  // whether the arriving page is in the ghost queue
    bool was_full_ = false;
};

}  // namespace

const std::vector<std::string_view>& observing_policies() {
    static const std::vector<std::string_view> names{"opt", "lru", "clock", "fifo", "s3_fifo"};
    return names;
}

std::unique_ptr<Model> make_observing(std::string_view name, const DenseTrace& trace, std::size_t frames) {
    if (name == "opt") return std::make_unique<Opt>(trace, frames);
    if (name == "lru") return std::make_unique<Lru>(trace, frames);
    if (name == "clock") return std::make_unique<Clock>(trace, frames);
    if (name == "fifo") return std::make_unique<Fifo>(trace, frames);
    if (name == "s3_fifo") return std::make_unique<S3Fifo>(trace, frames);
    return nullptr;
}

}  // namespace bench
