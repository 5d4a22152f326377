// /sys/class/zram-control and /sys/block/zramN; see Documentation/admin-guide/blockdev/zram.rst of Linux.
#include "vs_kernel/zram.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "vs_kernel/swap_device.hpp"
#include "vs_kernel/system_file.hpp"

namespace bench {
namespace {

constexpr const char* kControl = "/sys/class/zram-control";

std::string device(const std::string& number) { return "/dev/zram" + number; }
std::string attribute(const std::string& number, const char* name) { return "/sys/block/zram" + number + '/' + name; }

std::string hot_add() {
    std::error_code ignored;
    if (!std::filesystem::exists(kControl, ignored)) {
        throw std::runtime_error{"this kernel has no zram, or it is not loaded (modprobe zram)"};
    }
    // Reading this file creates the device.
    return read_system_file(std::string{kControl} + "/hot_add");
}

// For a short time after swapoff, another program such as udev may hold the device open.
template <typename Step>
bool retried(Step step) noexcept {
    for (int attempt = 0;; ++attempt) {
        try {
            step();
            return true;
        } catch (const std::exception& error) {
            if (attempt == 50) {
                std::fprintf(stderr, "%s\n", error.what());
                return false;
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
}

}  // namespace

ZramSwap::ZramSwap(Journal& journal, std::size_t bytes) : number_{hot_add()} {
    entry_.emplace(journal, Leftover{"zram", number_});
    try {
        write_system_file(attribute(number_, "comp_algorithm"), "lz4");
        write_system_file(attribute(number_, "disksize"), std::to_string(bytes));
        switch_swap_on(device(number_));
    } catch (...) {
        if (!remove_zram(number_)) entry_->keep();
        throw;
    }
}

ZramSwap::~ZramSwap() {
    if (!remove_zram(number_)) entry_->keep();
}

std::uint64_t ZramSwap::pool_bytes() const {
    std::istringstream fields{read_system_file(attribute(number_, "mm_stat"))};
    std::uint64_t original = 0;
    std::uint64_t compressed = 0;
    std::uint64_t used = 0;
    fields >> original >> compressed >> used;
    return used;
}

bool remove_zram(const std::string& number) noexcept {
    if (::access(attribute(number, "reset").c_str(), F_OK) != 0) return true;
    if (!switch_swap_off(device(number))) return false;
    return retried([&] { write_system_file(attribute(number, "reset"), "1"); }) &&
           retried([&] { write_system_file(std::string{kControl} + "/hot_remove", number); });
}

}  // namespace bench
