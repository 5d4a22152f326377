// DescriptorLimit: while it lives, the process gets no file descriptor from a given number on. Look at an expected
// error only afterwards: UndefinedBehaviorSanitizer opens a pipe to inspect an object's type.
#pragma once

#include <sys/resource.h>

#include <cstdlib>

namespace faultline::test {

class DescriptorLimit {
public:
    explicit DescriptorLimit(rlim_t first_refused) {
        if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) std::_Exit(99);
        set({first_refused, before_.rlim_max});
    }
    ~DescriptorLimit() { set(before_); }
    DescriptorLimit(const DescriptorLimit&) = delete;
    DescriptorLimit& operator=(const DescriptorLimit&) = delete;

private:
    static void set(const rlimit& limit) {
        if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) std::_Exit(99);
    }

    rlimit before_{};
};

}  // namespace faultline::test
