// The system calls of which faults and evictions consist, called directly: these figures contain no fault.
#include <fcntl.h>

#include <cstdlib>

#include "support/bare_userfaultfd.hpp"
#include "support/kernel_uffd.hpp"
#include "support/latency_cases.hpp"
#include "support/mapping.hpp"
#include "support/scene.hpp"
#include "sys/file_descriptor.hpp"

namespace bench {
namespace {

// Runs of pages move between the program's mapping and a staging area and back.
class MoveScene final : public Scene {
public:
    enum class Direction : std::uint8_t { out, in };

    MoveScene(std::size_t pages, std::size_t pages_per_call, Direction direction)
        : call_bytes_{pages_per_call * kPageBytes},
          direction_{direction},
          uffd_{UFFD_FEATURE_SIGBUS | kUffdFeatureMove},
          view_{Mapping::anonymous(pages * kPageBytes)},
          staging_{Mapping::anonymous(pages * kPageBytes)},
          targets_{page_addresses(view_.data(), pages / pages_per_call, call_bytes_, Order::random)} {
        for (std::size_t offset = 0; offset < view_.size(); offset += kPageBytes) view_.data()[offset] = std::byte{1};
        uffd_.watch(view_.data(), view_.size());
        uffd_.watch(staging_.data(), staging_.size());
    }

    std::span<std::byte* const> prepare() override {
        if (direction_ == Direction::in) {
            move_all(&MoveScene::move_out);
            return targets_;
        }
        if (moved_) move_all(&MoveScene::move_in);
        moved_ = true;
        // Pages are moved while their translations are cached, as in a working program.
        for (std::size_t offset = 0; offset < view_.size(); offset += kPageBytes) view_.data()[offset] = std::byte{2};
        return targets_;
    }

    void perform(std::byte* target) override { direction_ == Direction::out ? move_out(target) : move_in(target); }

    void report(benchmark::State& state, std::uint64_t) const override {
        state.counters["pages_per_call"] = static_cast<double>(call_bytes_ / kPageBytes);
    }

private:
    void move_all(void (MoveScene::*move)(std::byte*)) {
        for (std::byte* const target : targets_) (this->*move)(target);
    }
    void move_out(std::byte* target) { require(uffd_.move(staged(target), target, call_bytes_)); }
    void move_in(std::byte* target) { require(uffd_.move(target, staged(target), call_bytes_)); }
    [[nodiscard]] std::byte* staged(std::byte* target) const { return staging_.data() + (target - view_.data()); }
    static void require(bool moved) {
        if (!moved) throw_errno("UFFDIO_MOVE");
    }

    std::size_t call_bytes_;
    Direction direction_;
    bool moved_ = false;
    BareUserfaultfd uffd_;
    Mapping view_;
    Mapping staging_;
    std::vector<std::byte*> targets_;
};

class CopyScene final : public Scene {
public:
    CopyScene(std::size_t pages, std::size_t pages_per_call)
        : call_bytes_{pages_per_call * kPageBytes},
          uffd_{UFFD_FEATURE_SIGBUS},
          view_{Mapping::anonymous(pages * kPageBytes)},
          source_{Mapping::anonymous(call_bytes_)},
          targets_{page_addresses(view_.data(), pages / pages_per_call, call_bytes_, Order::random)} {
        for (std::size_t offset = 0; offset < call_bytes_; offset += kPageBytes) source_.data()[offset] = std::byte{1};
        uffd_.watch(view_.data(), view_.size());
    }

    std::span<std::byte* const> prepare() override {
        check(::madvise(view_.data(), view_.size(), MADV_DONTNEED), "madvise(MADV_DONTNEED)");
        return targets_;
    }

    void perform(std::byte* target) override {
        if (!uffd_.copy(target, source_.data(), call_bytes_)) throw_errno("UFFDIO_COPY");
    }

    void report(benchmark::State& state, std::uint64_t) const override {
        state.counters["pages_per_call"] = static_cast<double>(call_bytes_ / kPageBytes);
    }

private:
    std::size_t call_bytes_;
    BareUserfaultfd uffd_;
    Mapping view_;
    Mapping source_;
    std::vector<std::byte*> targets_;
};

// A target is not touched here: its distance from the first target is the file offset to read.
class PreadScene final : public Scene {
public:
    PreadScene(const std::filesystem::path& directory, std::size_t file_bytes, std::size_t read_bytes)
        : read_bytes_{read_bytes},
          buffer_{Mapping::anonymous(read_bytes)},
          offsets_{Mapping::anonymous(file_bytes, PROT_NONE)},
          targets_{page_addresses(offsets_.data(), file_bytes / read_bytes, read_bytes, Order::random)} {
        const int flags = O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT;
        file_ = faultline::sys::FileDescriptor{
            check(::open(directory.c_str(), flags, 0600), "open with O_TMPFILE and O_DIRECT in " + directory.string())};
        fill(file_bytes);
    }

    std::span<std::byte* const> prepare() override { return targets_; }

    void perform(std::byte* target) override {
        const ssize_t bytes = ::pread(file_.get(), buffer_.data(), read_bytes_, target - offsets_.data());
        if (bytes != static_cast<ssize_t>(read_bytes_)) throw_errno("pread");
    }

private:
    // Written, not only allocated: reading unwritten blocks costs no I/O.
    void fill(std::size_t file_bytes) {
        const Mapping block = Mapping::anonymous(std::size_t{1} << 20);
        for (std::size_t i = 0; i < block.size(); ++i) block.data()[i] = static_cast<std::byte>(i * 7);
        for (std::size_t offset = 0; offset < file_bytes; offset += block.size()) {
            const ssize_t bytes = ::pwrite(file_.get(), block.data(), block.size(), static_cast<off_t>(offset));
            if (bytes != static_cast<ssize_t>(block.size())) throw_errno("pwrite");
        }
        check(::fdatasync(file_.get()), "fdatasync");
    }

    std::size_t read_bytes_;
    Mapping buffer_;
    Mapping offsets_;
    std::vector<std::byte*> targets_;
    faultline::sys::FileDescriptor file_;
};

void register_move(const char* what, MoveScene::Direction direction, std::size_t pages) {
    for (const std::size_t per_call : {std::size_t{1}, std::size_t{64}}) {
        register_case(std::string{"direct/uffdio_move/"} + what + "/pages:" + std::to_string(per_call), Act::perform, 1,
                      [=] { return std::make_unique<MoveScene>(pages, per_call, direction); });
    }
}

}  // namespace

void register_direct_cases(const LatencyOptions& options) {
    register_move("out", MoveScene::Direction::out, options.pages());
    register_move("in", MoveScene::Direction::in, options.pages());
    for (const std::size_t per_call : {std::size_t{1}, std::size_t{64}}) {
        register_case("direct/uffdio_copy/pages:" + std::to_string(per_call), Act::perform, 1,
                      [pages = options.pages(), per_call] { return std::make_unique<CopyScene>(pages, per_call); });
    }
    const std::size_t file_bytes = std::size_t{options.smoke ? 4U : 64U} << 20;
    for (const std::size_t kibibytes : {std::size_t{4}, std::size_t{64}}) {
        register_case("direct/pread_o_direct/" + std::to_string(kibibytes) + 'K', Act::perform, 1,
                      [directory = options.directory, file_bytes, kibibytes] {
                          return std::make_unique<PreadScene>(directory, file_bytes, kibibytes << 10);
                      });
    }
}

}  // namespace bench
