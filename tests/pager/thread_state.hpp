// Waits until threads of this process are asleep in the kernel, without sleeping for a guessed time.
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace faultline::test {

/// Ids of threads that are about to make a blocking call.
class Sleepers {
public:
    explicit Sleepers(std::size_t count) : ids_(count) {}

    /// Called by thread `index` directly before the call.
    void about_to_sleep(std::size_t index) { ids_[index].store(static_cast<int>(::syscall(SYS_gettid))); }

    /// Blocks until all threads have announced themselves and are asleep, or have ended.
    void wait_until_asleep() const {
        for (const auto& id : ids_) {
            while (id.load() == 0 || !asleep(id.load())) std::this_thread::yield();
        }
    }

    /// The same, but returns false if a thread was never asleep in so many checks.
    [[nodiscard]] bool asleep_within(int looks) const {
        for (const auto& id : ids_) {
            while (id.load() == 0 || !asleep(id.load())) {
                if (--looks == 0) return false;
                std::this_thread::yield();
            }
        }
        return true;
    }

private:
    /// A thread may end between the two system calls; then the kernel answers ESRCH to the second.
    static bool asleep(int thread) {
        const std::string path = "/proc/self/task/" + std::to_string(thread) + "/stat";
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (file < 0) return true;  // it has ended
        std::array<char, 512> text{};
        const ssize_t length = ::read(file, text.data(), text.size());
        ::close(file);
        const std::string_view line{text.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
        const std::size_t name_end = line.rfind(')');
        if (name_end == std::string_view::npos || name_end + 2 >= line.size()) return true;
        const char state = line[name_end + 2];
        return state == 'S' || state == 'D';
    }

    std::vector<std::atomic<int>> ids_;
};

inline std::size_t thread_count() {
    const std::filesystem::directory_iterator tasks{"/proc/self/task"};
    return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

}  // namespace faultline::test
