#include "mmu/register_probe.hpp"

#include <cpuid.h>

#include <cstring>

static_assert(offsetof(faultline::test::ProbedRegisters, flags) == 128 &&
              offsetof(faultline::test::ProbedRegisters, vectors) == 192);

// faultline_probe(before, after, components). While the byte is touched, the stack holds `after`.
asm(R"(
        .text
        .globl  faultline_probe, faultline_probe_touch, faultline_probe_end
        .type   faultline_probe, @function
faultline_probe:
        .cfi_startproc
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        push    %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        push    %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        push    %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        push    %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        push    %rdx
        .cfi_adjust_cfa_offset 8
        push    %rsi
        .cfi_adjust_cfa_offset 8
        mov     %rsp, 56(%rdi)
        mov     %edx, %eax
        xor     %edx, %edx
        xrstor64 192(%rdi)
        mov     (%rdi), %rax
        mov     8(%rdi), %rdx
        mov     16(%rdi), %rcx
        mov     24(%rdi), %rbx
        mov     32(%rdi), %rsi
        mov     48(%rdi), %rbp
        mov     64(%rdi), %r8
        mov     72(%rdi), %r9
        mov     80(%rdi), %r10
        mov     88(%rdi), %r11
        mov     96(%rdi), %r12
        mov     104(%rdi), %r13
        mov     112(%rdi), %r14
        mov     120(%rdi), %r15
        pushq   128(%rdi)
        .cfi_adjust_cfa_offset 8
        mov     40(%rdi), %rdi
        popfq
        .cfi_adjust_cfa_offset -8
faultline_probe_touch:
        movb    $7, (%rsi)
        xchg    %rdi, (%rsp)
        mov     %rax, (%rdi)
        mov     %rdx, 8(%rdi)
        mov     %rcx, 16(%rdi)
        mov     %rbx, 24(%rdi)
        mov     %rsi, 32(%rdi)
        mov     (%rsp), %rax
        mov     %rax, 40(%rdi)
        mov     %rbp, 48(%rdi)
        mov     %rsp, 56(%rdi)
        mov     %r8, 64(%rdi)
        mov     %r9, 72(%rdi)
        mov     %r10, 80(%rdi)
        mov     %r11, 88(%rdi)
        mov     %r12, 96(%rdi)
        mov     %r13, 104(%rdi)
        mov     %r14, 112(%rdi)
        mov     %r15, 120(%rdi)
        mov     -136(%rsp), %rax
        mov     %rax, 136(%rdi)
        pushfq
        popq    128(%rdi)
        mov     8(%rsp), %eax
        xor     %edx, %edx
        cld
        xsave64 192(%rdi)
        add     $16, %rsp
        .cfi_adjust_cfa_offset -16
        fninit
        pushq   $0x1f80
        ldmxcsr (%rsp)
        pop     %rax
        pop     %r15
        .cfi_adjust_cfa_offset -8
        pop     %r14
        .cfi_adjust_cfa_offset -8
        pop     %r13
        .cfi_adjust_cfa_offset -8
        pop     %r12
        .cfi_adjust_cfa_offset -8
        pop     %rbp
        .cfi_adjust_cfa_offset -8
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        ret
faultline_probe_end:
        .cfi_endproc
        .size   faultline_probe, .-faultline_probe
)");

extern "C" {
void faultline_probe(faultline::test::ProbedRegisters* before, faultline::test::ProbedRegisters* after,
                     std::uint64_t components);
void faultline_probe_touch();
void faultline_probe_end();
}

namespace faultline::test {
namespace {

// Offsets in the area of XSAVE.
constexpr std::size_t kMxcsr = 24;
constexpr std::size_t kX87Registers = 32;
constexpr std::size_t kXmm = 160;
constexpr std::size_t kPresent = 512;

constexpr std::uint64_t kProbed = 0xe7;  // and AVX, and AVX-512's three

constexpr std::uint64_t kArithmeticFlags = 0x8d5;  // CF, PF, AF, ZF, SF, OF
constexpr std::uint64_t kDirectionFlag = 0x400;
constexpr std::uint64_t kIdFlag = 0x20'0000;
constexpr std::uint64_t kFixedFlags = 0x202;  // always set: bit 1 and IF

struct Part {
    std::string name;
    std::size_t at;
    std::size_t bytes;
};

std::uint64_t probed_components() {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low & kProbed;
}

/// Returns where XSAVE stores the registers of one component.
std::vector<Part> parts_of(unsigned component) {
    if (component == 0) {
        std::vector<Part> parts{{"x87 control", 0, 6}};
        for (std::size_t i = 0; i < 8; ++i) parts.push_back({"st" + std::to_string(i), kX87Registers + 16 * i, 10});
        return parts;
    }
    if (component == 1) return {{"xmm", kXmm, 256}};
    std::uint32_t bytes = 0;
    std::uint32_t at = 0;
    std::uint32_t unused[2];
    __cpuid_count(0xd, component, bytes, at, unused[0], unused[1]);
    return {{"component " + std::to_string(component), at, bytes}};
}

std::uint64_t present_in(const ProbedRegisters& registers) {
    std::uint64_t present = 0;
    std::memcpy(&present, registers.vectors.data() + kPresent, sizeof present);
    return present;
}

/// Returns a part's bytes. A component that is not present has its initial values.
std::string bytes_of(const ProbedRegisters& registers, unsigned component, const Part& part) {
    std::string bytes(part.bytes, '\0');
    if ((present_in(registers) >> component & 1) != 0) {
        std::memcpy(bytes.data(), registers.vectors.data() + part.at, part.bytes);
    } else if (component == 0 && part.at == 0) {
        bytes[0] = 0x7f;  // the control word after fninit is 0x037f
        bytes[1] = 0x03;
    }
    return bytes;
}

void put_word(ProbedRegisters& registers, std::size_t at, std::uint32_t value, std::size_t bytes) {
    std::memcpy(registers.vectors.data() + at, &value, bytes);
}

void fill_vectors(ProbedRegisters& registers, std::uint64_t components, Random& random) {
    for (unsigned i = 0; i < 8; ++i) {
        if ((components >> i & 1) == 0) continue;
        for (const Part& part : parts_of(i)) {
            for (std::size_t at = 0; at < part.bytes; ++at) {
                registers.vectors[part.at + at] = static_cast<std::byte>(random.next());
            }
        }
    }
    constexpr std::uint32_t kNoExceptions = 0x3f;
    constexpr std::uint32_t kNoExceptionsOfSse = 0x1f80;
    constexpr std::uint32_t kNoSummary = 0x7f7f;  // of exceptions that are pending
    const auto bits = static_cast<std::uint32_t>(random.next());
    put_word(registers, 0, 0x0340 | (bits & 0xc00) | kNoExceptions, 2);
    put_word(registers, 2, (bits >> 16) & kNoSummary, 2);
    put_word(registers, 5, 0, 1);
    put_word(registers, kMxcsr, kNoExceptionsOfSse | (bits & 0x603f), 4);
    const std::uint64_t present = random.next() & components;  // the others get their initial values
    std::memcpy(registers.vectors.data() + kPresent, &present, sizeof present);
}

}  // namespace

RegisterProbe::RegisterProbe(Random& random, std::byte* touched) : components_{probed_components()} {
    for (std::uint64_t& value : before_.general) value = random.next();
    before_.general[kTouchedBy] = reinterpret_cast<std::uintptr_t>(touched);
    before_.flags = kFixedFlags | (random.next() & (kArithmeticFlags | kDirectionFlag | kIdFlag));
    fill_vectors(before_, components_, random);
}

void RegisterProbe::run() { faultline_probe(&before_, &after_, components_); }

std::string RegisterProbe::differences() const {
    constexpr std::array<const char*, 16> kNames{"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
                                                 "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    std::string names;
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (before_.general[i] != after_.general[i]) names.append(kNames[i]).append(" ");
    }
    if (before_.flags != after_.flags) names += "flags ";
    if (std::memcmp(&before_.vectors[kMxcsr], &after_.vectors[kMxcsr], 4) != 0) names += "mxcsr ";
    for (unsigned i = 0; i < 8; ++i) {
        if ((components_ >> i & 1) == 0) continue;
        for (const Part& part : parts_of(i)) {
            if (bytes_of(before_, i, part) != bytes_of(after_, i, part)) names.append(part.name).append(" ");
        }
    }
    return names;
}

std::uint64_t RegisterProbe::touching_instruction() noexcept {
    return reinterpret_cast<std::uintptr_t>(&faultline_probe_touch);
}

bool RegisterProbe::contains(std::uint64_t at) noexcept {
    return at >= reinterpret_cast<std::uintptr_t>(&faultline_probe) &&
           at < reinterpret_cast<std::uintptr_t>(&faultline_probe_end);
}

}  // namespace faultline::test
