// SmallDisk: a small file system that fills up, mounted on a directory while it lives. Needs CAP_SYS_ADMIN.
#pragma once

#include <sys/mount.h>

#include <filesystem>
#include <string>
#include <utility>

namespace faultline::test {

class SmallDisk {
public:
    SmallDisk(std::filesystem::path directory, unsigned mebibytes) : directory_{std::move(directory)} {
        const std::string options = "mode=0777,size=" + std::to_string(mebibytes) + "m";
        mounted_ = ::mount("faultline-test", directory_.c_str(), "tmpfs", 0, options.c_str()) == 0;
    }
    ~SmallDisk() {
        if (mounted_) ::umount2(directory_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    /// Returns false if it is not permitted; errno says why.
    [[nodiscard]] bool mounted() const { return mounted_; }

private:
    std::filesystem::path directory_;
    bool mounted_ = false;
};

}  // namespace faultline::test
