// vs_umap: compares faultline with UMap on the same work with the same memory; see bench/README.md. It is vs_kernel
// with another peer, and is built only if UMap (LLNL, version 2.1) is installed.
#include <umap/umap.h>

#include <fcntl.h>

#include <cstdlib>
#include <stdexcept>

#include "support/system_call.hpp"
#include "vs_kernel/run_all.hpp"
#include "vs_kernel/unnamed_file.hpp"

namespace bench {
namespace {

// UMap reads the variable itself, as a number of bytes; without it a page is the system's.
std::size_t umap_page_bytes() {
    const char* const text = std::getenv("UMAP_PAGESIZE");
    const std::size_t bytes = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
    return bytes == 0 ? kTouchedPageBytes : bytes;
}

class UmapMemory final : public Memory {
public:
    UmapMemory(int file, std::size_t bytes) : bytes_{bytes} {
        address_ = ::umap(nullptr, bytes, PROT_READ | PROT_WRITE, UMAP_PRIVATE, file, 0);
        if (address_ == UMAP_FAILED) throw_errno("umap of " + std::to_string(bytes) + " bytes");
    }

    // Not unmapped: the process ends next, and its dirty pages are not needed.

    [[nodiscard]] std::span<std::byte> bytes() const override { return {static_cast<std::byte*>(address_), bytes_}; }
    [[nodiscard]] FaultCounts faults() const override { return kernel_fault_counts(); }
    [[nodiscard]] std::string description() const override { return "umap"; }

    // UMap's call for this differs between versions, and some have none.
    void will_need(std::span<const std::span<std::byte>>) override {}

private:
    void* address_ = nullptr;
    std::size_t bytes_;
};

class UmapPeer final : public Peer {
public:
    explicit UmapPeer(const Options& options)
        : bytes_{options.size},
          buffer_pages_{options.resident / umap_page_bytes()},
          // Bypasses the page cache, which would be memory outside the limit.
          file_{open_unnamed_file(options.swap_directory, options.size, O_DIRECT)} {
        if (bytes_ % umap_page_bytes() != 0) throw std::runtime_error{"UMAP_PAGESIZE does not divide --size"};
        if (buffer_pages_ == 0) throw std::runtime_error{"--resident is less than a page of UMAP_PAGESIZE"};
    }

    [[nodiscard]] const std::string& name() const noexcept override { return name_; }
    [[nodiscard]] const char* store() const noexcept override { return "file"; }
    [[nodiscard]] std::size_t page_bytes() const noexcept override { return umap_page_bytes(); }

    [[nodiscard]] std::unique_ptr<Memory> make_memory() const override {
        // Before the first call: UMap reads its environment once.
        check(::setenv("UMAP_BUFSIZE", std::to_string(buffer_pages_).c_str(), 1), "setenv of UMAP_BUFSIZE");
        return std::make_unique<UmapMemory>(file_.get(), bytes_);
    }

private:
    std::string name_ = "umap";
    std::size_t bytes_;
    std::size_t buffer_pages_;
    faultline::sys::FileDescriptor file_;
};

class UmapPeers final : public PeerSource {
public:
    std::unique_ptr<Peer> make(const std::string&, const Options& options) override {
        return std::make_unique<UmapPeer>(options);
    }

    [[nodiscard]] std::string conditions(const Options&) const override {
        return "UMap: pages of " + std::to_string(umap_page_bytes()) + " bytes" +
               ", UMAP_BUFSIZE as many as are resident; it evicts before its buffer is full.\n"
               "Its faults are major and minor faults as getrusage(2) counts them.\n";
    }
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    const bench::Program program{
        "vs_umap",
        "The same work on faultline and on UMap, with the same resident memory, in one run; rounds of the two\n"
        "alternate. UMAP_PAGESIZE, UMAP_PAGE_FILLERS and UMAP_PAGE_EVICTORS are UMap's own; UMAP_BUFSIZE is set here.",
        {"umap"}};
    return bench::run_program(program.name, bench::parse_options(program, argc, argv),
                              [] { return std::make_unique<bench::UmapPeers>(); });
}
