// Shared by the tests of address spaces: a pager of each delivery, files with known bytes, and the result of an access.
#pragma once

#include "pager/pager_fixture.hpp"
#include "support/fault_catcher.hpp"

#include <faultline/address_space.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace faultline::test {

inline constexpr std::size_t kPage = kBasePageBytes;

/// A temporary file whose bytes differ from page to page and within a page.
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

/// A pager of the test's delivery with little memory. Behind it a signal handler records the result of an access.
class SpaceTest : public VariantTest {
protected:
    static constexpr std::size_t kResident = 64 * kPage;

    void SetUp() override {
        VariantTest::SetUp();
        if (!IsSkipped()) pager_.emplace(config());
    }
    [[nodiscard]] virtual Config config() const { return config_for(GetParam(), kResident); }
    [[nodiscard]] Pager& pager() { return *pager_; }

    FaultCatcher catcher_;

private:
    std::optional<Pager> pager_;
};

/// Returns whether a range has the file's pattern from `offset` on.
inline bool has_pattern(const std::byte* at, std::size_t bytes, std::uint64_t offset) {
    for (std::size_t i = 0; i < bytes; ++i) {
        if (at[i] != PatternFile::pattern(offset + i)) return false;
    }
    return true;
}

}  // namespace faultline::test
