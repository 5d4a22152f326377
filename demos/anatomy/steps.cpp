#include "anatomy/steps.hpp"

#include "display/format.hpp"
#include "support/files.hpp"

#include <faultline/guarded_stack.hpp>

#include <csetjmp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace faultline::demo::anatomy {
namespace {

constexpr std::size_t kPage = kBasePageBytes;

void heading(const char* text) { std::printf("\n== %s\n\n", text); }

void show(const Explanation& explanation) { std::printf("%s", explanation.text().c_str()); }

/// Reads a byte with an ordinary load, which may fault.
std::byte load(const std::byte* at) { return *static_cast<const volatile std::byte*>(at); }
void store(std::byte* at, std::byte value) { *static_cast<volatile std::byte*>(at) = value; }

/// Reads a byte of a file with ordinary system calls.
std::byte byte_of(const std::filesystem::path& path, std::uint64_t offset) {
    InputFile file{path};
    std::vector<std::byte> bytes(offset + 1);
    for (std::size_t got = 0; got < bytes.size();) {
        const std::size_t more = file.read(std::span{bytes}.subspan(got));
        if (more == 0) break;
        got += more;
    }
    return bytes.back();
}

sigjmp_buf after_the_violation;
AccessViolation last_violation;

ViolationAnswer leave(const AccessViolation& violation, void*) {
    last_violation = violation;
    siglongjmp(after_the_violation, 1);
}

}  // namespace

const ImageSegment* Tour::part(Access access) const noexcept {
    for (const ImageSegment& part : image_) {
        if (part.access == access && part.file_bytes > 0) return &part;
    }
    return nullptr;
}

void Tour::expect(bool holds, const char* what) {
    if (holds) return;
    std::printf("  NOT SO: %s\n", what);
    as_expected_ = false;
}

void Tour::fault_text_in() {
    const ImageSegment* const text = part(Access::read_execute);
    if (text == nullptr) return;
    heading("a fault: the first access to a page of text");
    std::byte* const at = begin_of(*text) + text->file_bytes / 2;
    show(space_.explain(at));
    const PagerStats before = pager_.stats();
    const std::byte value = load(at);
    // Pinned, so that it stays resident while its state is printed.
    const Pin pin = space_.pin(at, 1, PinFor::reading);
    const PagerStats after = pager_.stats();
    std::printf("\n  read: %02x; %llu fault, %s read\n\n", static_cast<unsigned>(value),
                static_cast<unsigned long long>(after.hard_faults - before.hard_faults),
                display::format_bytes(after.bytes_read - before.bytes_read).c_str());
    show(space_.explain(at));
    expect(value == byte_of(text->file, text->file_offset + text->file_bytes / 2), "the page is that of the file");
}

void Tour::move_the_break() {
    heading("brk: the heap grows, and shrinks");
    std::byte* const begin = space_.sbrk(3 * kPage + 100);
    std::printf("  the break goes up by 3 pages and 100 bytes, to %p: 4 pages may be used, none takes memory\n",
                static_cast<void*>(space_.brk(nullptr)));
    store(begin + kPage, std::byte{42});
    {
        const Pin pin = space_.pin(begin + kPage, 1);
        show(space_.explain(begin + kPage));
    }
    space_.brk(begin + 100);
    std::printf("  the break goes back to the first page: the others are gone, with what was in them\n");
    show(space_.explain(begin + kPage));
    space_.brk(begin + 2 * kPage);
    expect(load(begin + kPage) == std::byte{0}, "memory that the heap gets again reads as zeros");
    std::printf("  and up again: the byte that was 42 is %u\n", static_cast<unsigned>(load(begin + kPage)));
}

void Tour::write_data() {
    const ImageSegment* const data = part(Access::read_write);
    if (data == nullptr) return;
    heading("a write to data: the page is no longer the file's");
    std::byte* const at = begin_of(*data);
    show(space_.explain(at));
    const std::byte before = byte_of(data->file, data->file_offset);
    const std::byte changed = before ^ std::byte{0xff};
    store(at, changed);
    {
        const Pin pin = space_.pin(at, 1);
        std::printf("\n  written: %02x instead of %02x\n\n", static_cast<unsigned>(changed),
                    static_cast<unsigned>(before));
        show(space_.explain(at));
    }
    space_.advise(at, 1, Advice::dontneed);
    std::printf("\n  evicted:\n\n");
    show(space_.explain(at));
    const std::byte still = byte_of(data->file, data->file_offset);
    std::printf("\n  the program reads %02x; the file has %02x, as before\n", static_cast<unsigned>(load(at)),
                static_cast<unsigned>(still));
    expect(load(at) == changed, "the program reads what it wrote");
    expect(still == before, "the file is unchanged");
}

void Tour::grow_the_stack() {
    heading("the stack grows when it is used");
    std::byte* const end = space_.stack_end();
    std::printf("  it may take %s\n",
                display::format_bytes(static_cast<std::uint64_t>(end - space_.stack_begin())).c_str());
    for (const std::ptrdiff_t depth : {8, 20000, 60000}) {
        store(end - depth, std::byte{1});
        const Pin pin = space_.pin(end - depth, 1);
        const std::vector<SegmentInfo> segments = space_.segments();
        std::printf("  a byte %5td below its end: %s\n", depth,
                    display::format_bytes(std::uint64_t{segments.back().bytes()}).c_str());
        expect(segments.back().bytes() >= static_cast<std::size_t>(depth),
               "the stack segment reaches down to the touched page");
    }
}

void Tour::write_text() {
    const ImageSegment* const text = part(Access::read_execute);
    if (text == nullptr) return;
    heading("a write to text is refused");
    std::byte* const at = begin_of(*text);
    const std::byte before = load(at);
    space_.on_violation(&leave);
    if (sigsetjmp(after_the_violation, 1) == 0) {
        store(at, std::byte{0xcc});
        expect(false, "the write did not happen");
    } else {
        std::printf("  %s of %s at %p: %s, which raises SIGSEGV unless a handler continues elsewhere, as here\n",
                    to_string(last_violation.attempt), last_violation.segment, last_violation.address,
                    to_string(last_violation.kind));
        expect(last_violation.address == at, "the address is exact");
    }
    space_.on_violation(nullptr);
    expect(load(at) == before, "text is unchanged");
}

void Tour::write_to_a_clone(const ClonePlace& place) {
    heading("a clone: two programs share a page until one of them writes to it");
    std::byte* const at = space_.sbrk(static_cast<std::ptrdiff_t>(kPage));
    store(at, std::byte{42});
    AddressSpace clone = space_.clone(place);
    std::byte* const there = clone.counterpart(space_, at);
    std::printf("  a page of the heap holds 42; in the clone it is at %p\n\n", static_cast<void*>(there));
    show(space_.explain(at));
    show(clone.explain(there));

    const PagerStats before = pager_.stats();
    const unsigned read = static_cast<unsigned>(load(there));
    const PagerStats after = pager_.stats();
    std::printf("\n  the clone reads %u: the frame goes over, %s read from the disk\n\n", read,
                display::format_bytes(after.bytes_read - before.bytes_read).c_str());
    show(space_.explain(at));
    show(clone.explain(there));
    expect(read == 42, "the clone reads what the original wrote");

    store(there, std::byte{43});
    const auto [mine, theirs] = std::pair{static_cast<unsigned>(load(at)), static_cast<unsigned>(load(there))};
    std::printf("\n  the clone writes 43: it has a page of its own now; the original reads %u, the clone %u\n\n", mine,
                theirs);
    show(space_.explain(at));
    show(clone.explain(there));
    expect(mine == 42 && theirs == 43, "each program has its own page");
}

namespace {

constexpr unsigned kMostCalls = 1'000'000;

/// Calls itself with a frame of a few hundred bytes.
[[gnu::noinline]] unsigned go_deeper(unsigned depth, volatile unsigned* deepest) {  // NOLINT(misc-no-recursion)
    volatile char frame[256];
    frame[0] = static_cast<char>(depth);
    *deepest = depth;
    if (depth == kMostCalls) return 0;
    return go_deeper(depth + 1, deepest) + static_cast<unsigned>(frame[0]);
}

}  // namespace

void Tour::overflow_a_stack() {
    heading("a stack overflow that the program survives");
    constexpr std::size_t kStack = 16 * kPage;
    GuardedStack stack{pager_, kStack};
    const std::byte* const bottom = stack.memory().data();
    std::printf("  a stack of %s, its guard below %p\n", display::format_bytes(kStack).c_str(),
                static_cast<const void*>(bottom));
    volatile unsigned deepest = 0;  // the deepest call; printed before the calls are abandoned
    const std::optional<StackOverflow> overflow = stack.run([&] { static_cast<void>(go_deeper(1, &deepest)); });
    if (!overflow) return expect(false, "the stack has an end");
    std::printf("  after %u calls the next frame is at %p, %td bytes into the guard; the calls are abandoned\n",
                unsigned{deepest}, overflow->address, bottom - static_cast<const std::byte*>(overflow->address));
    expect(overflow->stack == bottom && overflow->depth > kStack, "the overflow report has the stack and the depth");
    unsigned answer = 0;
    const bool again = !stack.run([&] { answer = 42; });
    std::printf("  the same stack runs the next function, which returns %u\n", answer);
    expect(again && answer == 42, "the stack can be used again");
}

}  // namespace faultline::demo::anatomy
