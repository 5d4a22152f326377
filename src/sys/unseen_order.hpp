// UnseenOrder: tells ThreadSanitizer that the kernel orders some reads after all writes, for example reads of a page
// that was just write-protected. It orders nothing itself, and does nothing in other builds. The pager's cleaner uses
// it.
#pragma once

#ifdef __SANITIZE_THREAD__
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
}
#endif

namespace faultline::sys {

/// Excludes the thread's reads from the analysis while it lives. Signal-safe.
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
