// Server: an nbdkit that serves an export on a Unix socket of its own, and can be killed and started again.
#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace faultline::test {

/// A directory that is removed with all that is in it.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "faultline_nbd_XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        path_ = name;
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

inline bool nbdkit_is_installed() { return std::system("nbdkit --version >/dev/null 2>&1") == 0; }

class Server {
public:
    /// `arguments`: the plugin, its parameters, and filters. Starts the server.
    explicit Server(std::vector<std::string> arguments) : arguments_{std::move(arguments)} { start(); }
    ~Server() { kill(); }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] std::string uri() const { return "nbd+unix:///?socket=" + socket().string(); }
    [[nodiscard]] std::filesystem::path socket() const { return directory_ / "socket"; }

    /// Returns when the server answers: it makes its socket when it is ready.
    void start() {
        process_ = ::fork();
        if (process_ == 0) exec();
        while (!accepts()) {
            int status = 0;
            if (::waitpid(process_, &status, WNOHANG) == process_) {
                process_ = 0;
                FAIL() << "nbdkit ended with status " << status;
            }
            ::usleep(1000);
        }
    }
    void kill() {
        if (process_ == 0) return;
        ::kill(process_, SIGKILL);
        ::waitpid(std::exchange(process_, 0), nullptr, 0);
        std::filesystem::remove(socket());
    }
    void change(std::vector<std::string> arguments) { arguments_ = std::move(arguments); }

private:
    [[noreturn]] void exec() const {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        std::vector<std::string> all{"nbdkit", "--foreground", "--unix", socket().string(), "--threads", "8"};
        all.insert(all.end(), arguments_.begin(), arguments_.end());
        std::vector<char*> pointers;
        for (std::string& one : all) pointers.push_back(one.data());
        pointers.push_back(nullptr);
        ::execvp(pointers[0], pointers.data());
        ::_exit(127);
    }
    [[nodiscard]] bool accepts() const {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
        const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        ::close(fd);
        return connected;
    }

    std::vector<std::string> arguments_;
    TemporaryDirectory directory_;
    pid_t process_ = 0;
};

}  // namespace faultline::test
