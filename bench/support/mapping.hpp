// Mapping: a range of ordinary memory, anonymous or of a file, unmapped by the destructor. It never uses huge pages,
// because the benchmarks compare 4 KiB pages with 4 KiB pages.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <utility>

#include "support/system_call.hpp"

namespace bench {

class Mapping {
public:
    static Mapping anonymous(std::size_t bytes, int protection = PROT_READ | PROT_WRITE) {
        Mapping mapping{bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1};
        check(::madvise(mapping.data_, bytes, MADV_NOHUGEPAGE), "madvise(MADV_NOHUGEPAGE)");
        return mapping;
    }

    static Mapping shared_file(int fd, std::size_t bytes) {
        return Mapping{bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd};
    }

    Mapping(Mapping&& other) noexcept : data_{std::exchange(other.data_, nullptr)}, bytes_{other.bytes_} {}
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    Mapping& operator=(Mapping&&) = delete;
    ~Mapping() {
        if (data_ != nullptr) ::munmap(data_, bytes_);
    }

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_; }

private:
    Mapping(std::size_t bytes, int protection, int flags, int fd) : bytes_{bytes} {
        void* const address = ::mmap(nullptr, bytes, protection, flags, fd, 0);
        if (address == MAP_FAILED) throw_errno("mmap of " + std::to_string(bytes) + " bytes");
        data_ = static_cast<std::byte*>(address);
    }

    std::byte* data_ = nullptr;
    std::size_t bytes_ = 0;
};

}  // namespace bench
