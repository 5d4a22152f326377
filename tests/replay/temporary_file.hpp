// TemporaryFile: the path of a file that only this process uses, removed by the destructor. Reads and writes it as
// bytes.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace faultline::test {

using Bytes = std::vector<unsigned char>;

class TemporaryFile {
public:
    TemporaryFile()
        : path_{std::filesystem::path{testing::TempDir()} /
                ("faultline-replay-" + std::to_string(::getpid()) + ".trace")} {}
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile() {
        std::error_code ignored;  // the file may not exist
        std::filesystem::remove(path_, ignored);
    }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    void write(const Bytes& bytes) const {
        std::ofstream file{path_, std::ios::binary};
        for (const unsigned char byte : bytes) file.put(static_cast<char>(byte));
        ASSERT_TRUE(file.flush());
    }

    [[nodiscard]] Bytes read() const {
        std::ifstream file{path_, std::ios::binary};
        return Bytes{std::istreambuf_iterator<char>{file}, {}};
    }

private:
    std::filesystem::path path_;
};

}  // namespace faultline::test
