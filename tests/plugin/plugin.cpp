// A plugin that contains the library and uses a heap of it.

#include <faultline/faultline.hpp>

#include <cstring>

namespace {

constexpr std::size_t kBlockBytes = 1000;

faultline::Heap& heap() {
    static auto* const made = [] {
        faultline::Config config;
        config.resident_limit = std::size_t{1} << 20;
        static auto* const pager = new faultline::Pager{config};
        return new faultline::Heap{*pager};
    }();
    return *made;
}

}  // namespace

extern "C" [[gnu::visibility("default")]] int use_heap() {
    auto* const block = static_cast<char*>(heap().allocate(kBlockBytes));
    std::memset(block, 1, kBlockBytes);
    const bool right = block[kBlockBytes - 1] == 1;
    heap().deallocate(block);
    return right ? 0 : 1;
}
