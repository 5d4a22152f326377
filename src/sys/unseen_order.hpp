// UnseenOrder: says to ThreadSanitizer, where it looks, that what is read is ordered after all writes by the kernel: a
// page that has just been write-protected, say. It orders nothing itself.
#pragma once

#ifdef __SANITIZE_THREAD__
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
}
#endif

namespace faultline::sys {

/// What the thread reads while one lives is not looked at. Signal-safe.
class UnseenOrder {
public:
#ifdef __SANITIZE_THREAD__
    UnseenOrder() noexcept { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
    ~UnseenOrder() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
#else
    UnseenOrder() noexcept {}
    ~UnseenOrder() {}
#endif
    UnseenOrder(const UnseenOrder&) = delete;
    UnseenOrder& operator=(const UnseenOrder&) = delete;
};

}  // namespace faultline::sys
