// Signal handlers that make one system call and nothing else: the lower bound for pagers in user space that use
// signals.
#include <optional>

#include "support/bare_userfaultfd.hpp"
#include "support/kernel_uffd.hpp"
#include "support/latency_cases.hpp"
#include "support/mapping.hpp"
#include "support/scene.hpp"
#include "support/signal_resolver.hpp"
#include "sys/file_descriptor.hpp"

namespace bench {
namespace {

// PROT_NONE pages, unprotected one by one. In random order each isolated page costs the kernel two more mappings.
class MprotectScene final : public Scene, private SignalResolver {
public:
    enum class Page : std::uint8_t { resident, fresh };

    MprotectScene(std::size_t pages, Page page)
        : SignalResolver{SIGSEGV},
          page_{page},
          memory_{Mapping::anonymous(pages * kPageBytes)},
          targets_{page_addresses(memory_.data(), pages, kPageBytes, Order::random)} {
        for (std::byte* const target : targets_) *target = std::byte{1};
    }

    std::span<std::byte* const> prepare() override {
        if (page_ == Page::fresh) check(::madvise(memory_.data(), memory_.size(), MADV_DONTNEED), "madvise");
        check(::mprotect(memory_.data(), memory_.size(), PROT_NONE), "mprotect");
        return targets_;
    }

private:
    bool resolve(std::byte* address) noexcept override {
        const bool ours = address >= memory_.data() && address < memory_.data() + memory_.size();
        return ours && ::mprotect(address, kPageBytes, PROT_READ | PROT_WRITE) == 0;
    }

    Page page_;
    Mapping memory_;
    std::vector<std::byte*> targets_;
};

// Pages of a memory file, all in memory and hidden; shown one by one, by mprotect or by removing a guard marker.
class HiddenFileScene final : public Scene, private SignalResolver {
public:
    enum class By : std::uint8_t { protection, guard };

    HiddenFileScene(std::size_t pages, By by)
        : SignalResolver{SIGSEGV},
          by_{by},
          file_{memory_file(pages * kPageBytes)},
          memory_{Mapping::shared_file(file_.get(), pages * kPageBytes)},
          targets_{page_addresses(memory_.data(), pages, kPageBytes, Order::random)} {
        for (std::byte* const target : targets_) *target = std::byte{1};
    }

    std::span<std::byte* const> prepare() override {
        if (by_ == By::guard) {
            check(::madvise(memory_.data(), memory_.size(), kGuardInstall), "madvise(MADV_GUARD_INSTALL)");
        } else {
            check(::mprotect(memory_.data(), memory_.size(), PROT_NONE), "mprotect");
        }
        return targets_;
    }

private:
    // Linux 6.13; for files 6.15. Newer than the C library's headers.
    static constexpr int kGuardInstall = 102;
    static constexpr int kGuardRemove = 103;

    static faultline::sys::FileDescriptor memory_file(std::size_t bytes) {
        faultline::sys::FileDescriptor file{::memfd_create("hidden", MFD_CLOEXEC)};
        if (file.get() < 0) throw_errno("memfd_create");
        check(::ftruncate(file.get(), static_cast<off_t>(bytes)), "ftruncate");
        return file;
    }

    bool resolve(std::byte* address) noexcept override {
        if (address < memory_.data() || address >= memory_.data() + memory_.size()) return false;
        if (by_ == By::guard) return ::madvise(address, kPageBytes, kGuardRemove) == 0;
        return ::mprotect(address, kPageBytes, PROT_READ | PROT_WRITE) == 0;
    }

    By by_;
    faultline::sys::FileDescriptor file_;
    Mapping memory_;
    std::vector<std::byte*> targets_;
};

enum class Install : std::uint8_t { zeropage, copy, move };

const char* name(Install install) {
    switch (install) {
        case Install::zeropage:
            return "zeropage";
        case Install::copy:
            return "copy";
        default:
            return "move";
    }
}

// UFFD_FEATURE_SIGBUS: the faulting thread gets SIGBUS and installs the page itself.
class SigbusScene final : public Scene, private SignalResolver {
public:
    SigbusScene(std::size_t pages, Install install)
        : SignalResolver{SIGBUS},
          install_{install},
          uffd_{UFFD_FEATURE_SIGBUS | (install == Install::move ? kUffdFeatureMove : 0)},
          memory_{Mapping::anonymous(pages * kPageBytes)},
          source_{Mapping::anonymous(pages * kPageBytes)},
          targets_{page_addresses(memory_.data(), pages, kPageBytes, Order::random)} {
        fill_source();
        uffd_.watch(memory_.data(), memory_.size());
    }

    std::span<std::byte* const> prepare() override {
        check(::madvise(memory_.data(), memory_.size(), MADV_DONTNEED), "madvise(MADV_DONTNEED)");
        if (install_ == Install::move) fill_source();  // the last batch has moved it away
        return targets_;
    }

private:
    void fill_source() {
        for (std::size_t offset = 0; offset < source_.size(); offset += kPageBytes)
            source_.data()[offset] = std::byte{1};
    }

    bool resolve(std::byte* address) noexcept override {
        if (address < memory_.data() || address >= memory_.data() + memory_.size()) return false;
        std::byte* const source = source_.data() + (address - memory_.data());
        switch (install_) {
            case Install::zeropage:
                return uffd_.zero(address, kPageBytes);
            case Install::copy:
                return uffd_.copy(address, source, kPageBytes);
            default:
                return uffd_.move(address, source, kPageBytes);
        }
    }

    Install install_;
    BareUserfaultfd uffd_;
    Mapping memory_;
    Mapping source_;
    std::vector<std::byte*> targets_;
};

}  // namespace

void register_bare_signal_cases(const LatencyOptions& options) {
    const std::size_t pages = options.pages();
    using Page = MprotectScene::Page;
    register_for_threads("bare/sigsegv_mprotect/resident", Act::write,
                         [pages] { return std::make_unique<MprotectScene>(pages, Page::resident); });
    register_for_threads("bare/sigsegv_mprotect/fresh", Act::write,
                         [pages] { return std::make_unique<MprotectScene>(pages, Page::fresh); });
    using By = HiddenFileScene::By;
    register_for_threads("bare/sigsegv_mprotect/memory_file", Act::write,
                         [pages] { return std::make_unique<HiddenFileScene>(pages, By::protection); });
    register_for_threads("bare/sigsegv_guard/memory_file", Act::write,
                         [pages] { return std::make_unique<HiddenFileScene>(pages, By::guard); });
    for (const Install install : {Install::zeropage, Install::copy, Install::move}) {
        // The zero page is read-only: a write would measure a second fault, the kernel's copy-on-write.
        const Act act = install == Install::zeropage ? Act::read : Act::write;
        register_for_threads(std::string{"bare/uffd_sigbus_"} + name(install), act,
                             [pages, install] { return std::make_unique<SigbusScene>(pages, install); });
    }
}

}  // namespace bench
