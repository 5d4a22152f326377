// What the tests of address spaces share: a pager of each delivery, files with known bytes, and what an access gets.
#pragma once

#include "pager/pager_fixture.hpp"

#include <faultline/address_space.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace faultline::test {

inline constexpr std::size_t kPage = kBasePageBytes;

/// A file with bytes that differ from page to page, and within a page; gone with the object.
class PatternFile {
public:
    static constexpr std::byte pattern(std::uint64_t offset) noexcept {
        return static_cast<std::byte>((offset * 31 + (offset >> 12) * 7 + 1) % 251);
    }

    explicit PatternFile(std::size_t bytes) : PatternFile{patterned(bytes)} {}
    explicit PatternFile(const std::vector<std::byte>& contents) {
        const char* const base = std::getenv("TMPDIR");
        std::string name = std::string(base != nullptr && *base != '\0' ? base : "/var/tmp") + "/faultline-file-XXXXXX";
        fd_ = ::mkstemp(name.data());
        path_ = name;
        if (fd_ < 0 || ::write(fd_, contents.data(), contents.size()) != static_cast<ssize_t>(contents.size())) {
            throw std::runtime_error("cannot write " + name);
        }
    }
    ~PatternFile() {
        ::close(fd_);
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    PatternFile(const PatternFile&) = delete;
    PatternFile& operator=(const PatternFile&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    void truncate(std::size_t bytes) const {
        if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) throw std::runtime_error("ftruncate");
    }
    [[nodiscard]] std::vector<std::byte> contents() const {
        std::vector<std::byte> all(std::filesystem::file_size(path_));
        if (::pread(fd_, all.data(), all.size(), 0) != static_cast<ssize_t>(all.size()))
            throw std::runtime_error("pread");
        return all;
    }

private:
    static std::vector<std::byte> patterned(std::size_t bytes) {
        std::vector<std::byte> all(bytes);
        for (std::size_t i = 0; i < bytes; ++i) all[i] = pattern(i);
        return all;
    }

    int fd_ = -1;
    std::filesystem::path path_;
};

/// What an access was told; `signal` 0: nothing, it succeeded.
struct Told {
    int signal = 0;
    int code = 0;
    const void* address = nullptr;
    friend bool operator==(const Told&, const Told&) = default;
};
inline void PrintTo(const Told& told, std::ostream* out) {
    *out << "signal " << told.signal << " code " << told.code << " at " << told.address;
}

/// The program's own handler of SIGBUS and SIGSEGV while it lives. Made before the pager, it gets what the pager passes
/// on.
class AccessProbe {
public:
    AccessProbe() {
        struct sigaction action {};
        action.sa_sigaction = &on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        ::sigaction(SIGBUS, &action, &previous_bus_);
        ::sigaction(SIGSEGV, &action, &previous_segv_);
    }
    ~AccessProbe() {
        ::sigaction(SIGBUS, &previous_bus_, nullptr);
        ::sigaction(SIGSEGV, &previous_segv_, nullptr);
    }
    AccessProbe(const AccessProbe&) = delete;
    AccessProbe& operator=(const AccessProbe&) = delete;

    static Told read(const std::byte* address) {
        return attempt([address] { static_cast<void>(*static_cast<const volatile std::byte*>(address)); });
    }
    static Told write(std::byte* address, std::byte value = std::byte{1}) {
        return attempt([address, value] { *static_cast<volatile std::byte*>(address) = value; });
    }
    /// Calls the function at `address`.
    static Told execute(const std::byte* address) {
        return attempt([address] { reinterpret_cast<void (*)()>(reinterpret_cast<std::uintptr_t>(address))(); });
    }

private:
    template <typename Access>
    static Told attempt(Access access) {
        State& mine = state();
        mine.told = {};
        if (sigsetjmp(mine.back, 1) == 0) {
            mine.armed = 1;
            access();
        }
        mine.armed = 0;
        return mine.told;
    }

    struct State {
        sigjmp_buf back;
        Told told;
        volatile sig_atomic_t armed;
    };
    static State& state() {
        static thread_local State mine;
        return mine;
    }
    static void on_signal(int signal, siginfo_t* info, void*) {
        State& mine = state();
        if (mine.armed == 0) {  // not expected: let it be fatal
            ::signal(signal, SIG_DFL);
            return;
        }
        mine.told = {signal, info->si_code, info->si_addr};
        siglongjmp(mine.back, 1);
    }

    struct sigaction previous_bus_ {};
    struct sigaction previous_segv_ {};
};

/// A pager of the test's delivery, with little memory, and a probe behind it.
class SpaceTest : public VariantTest {
protected:
    static constexpr std::size_t kResident = 64 * kPage;

    void SetUp() override {
        VariantTest::SetUp();
        if (!IsSkipped()) pager_.emplace(config());
    }
    [[nodiscard]] virtual Config config() const { return config_for(GetParam(), kResident); }
    [[nodiscard]] Pager& pager() { return *pager_; }

    AccessProbe probe_;

private:
    std::optional<Pager> pager_;
};

/// Whether a range has the file's pattern from `offset` on.
inline bool has_pattern(const std::byte* at, std::size_t bytes, std::uint64_t offset) {
    for (std::size_t i = 0; i < bytes; ++i) {
        if (at[i] != PatternFile::pattern(offset + i)) return false;
    }
    return true;
}

}  // namespace faultline::test
