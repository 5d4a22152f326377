#include "guest/child.hpp"

#include "elf/initial_stack.hpp"
#include "guest/guest_signals.hpp"
#include "guest/host_descriptors.hpp"
#include "guest/report.hpp"
#include "support/live_line.hpp"

#include <faultline/address_space.hpp>
#include <faultline/pager.hpp>

#include <elf.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

namespace faultline::demo::guest {
namespace {

std::vector<ImageSegment> image_of(const OpenProgram& program) {
    std::vector<ImageSegment> image;
    bool before_text = true;
    for (const elf::LoadedPart& part : program.file.parts) {
        ImageSegment& segment = image.emplace_back();
        // The file that was checked, even if its name refers to another file by now.
        if (part.file_bytes > 0) segment.file = "/proc/self/fd/" + std::to_string(program.descriptor);
        segment.file_offset = part.file_offset;
        segment.file_bytes = part.file_bytes;
        segment.address = part.address - program.file.begin();
        segment.memory_bytes = part.memory_bytes;
        segment.access = part.access;
        before_text &= part.access != Access::read_execute;
        segment.name = part.access == Access::read_write     ? "data"
                       : part.access == Access::read_execute ? "text"
                       : before_text                         ? "headers"
                                                             : "constants";
    }
    return image;
}

Layout layout_of(const OpenProgram& program, bool fixed) {
    Layout layout = fixed ? Layout::fixed() : Layout{};
    if (!program.file.position_independent) layout.image_address = program.file.begin();
    return layout;
}

std::array<std::byte, 16> random_bytes() {
    std::array<std::byte, 16> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw std::system_error(errno, std::generic_category(), "the kernel gives no random numbers");
    }
    return bytes;
}

/// The distance between where the program is and where it is linked.
std::uint64_t bias_of(const AddressSpace& space, const OpenProgram& program) {
    return reinterpret_cast<std::uint64_t>(space.image()) - program.file.begin();
}

elf::StackStart stack_start(const Options& options, const OpenProgram& program, std::uint64_t bias) {
    elf::StackStart start;
    start.arguments = options.program;
    for (char** variable = ::environ; *variable != nullptr; ++variable) start.environment.emplace_back(*variable);
    start.executable = options.program.front();
    start.random = random_bytes();
    const elf::ProgramFile& file = program.file;
    if (file.headers != 0) {
        start.auxiliary = {
            {AT_PHDR, bias + file.headers}, {AT_PHENT, sizeof(Elf64_Phdr)}, {AT_PHNUM, file.header_count}};
    }
    start.auxiliary.insert(start.auxiliary.end(), {{AT_PAGESZ, kBasePageBytes},
                                                   {AT_BASE, 0},
                                                   {AT_FLAGS, 0},
                                                   {AT_ENTRY, bias + file.entry},
                                                   {AT_UID, ::getuid()},
                                                   {AT_EUID, ::geteuid()},
                                                   {AT_GID, ::getgid()},
                                                   {AT_EGID, ::getegid()},
                                                   {AT_SECURE, 0}});
    // The kernel's vDSO, which reads clocks without a system call.
    for (const unsigned long type :
         std::initializer_list<unsigned long>{AT_HWCAP, AT_HWCAP2, AT_CLKTCK, AT_MINSIGSTKSZ, AT_SYSINFO_EHDR}) {
        if (const unsigned long value = ::getauxval(type)) start.auxiliary.emplace_back(type, value);
    }
    return start;
}

/// Puts the initial stack into the space, and returns the stack pointer.
std::uint64_t fill_stack(const AddressSpace& space, const elf::StackStart& start) {
    const auto whole = static_cast<std::size_t>(space.stack_end() - space.stack_begin());
    const elf::InitialStack stack =
        elf::make_initial_stack(start, reinterpret_cast<std::uint64_t>(space.stack_end()), whole / 4);
    std::memcpy(space.stack_end() - stack.bytes.size(), stack.bytes.data(), stack.bytes.size());
    return stack.pointer;
}

/// Converts an error of a kernel without the needed feature to NotPermitted.
GuestEnd run(Guest& guest, std::uint64_t entry, std::uint64_t stack) {
    try {
        return guest.run(entry, stack);
    } catch (const std::system_error& error) {
        if (error.code().value() == ENOSYS) throw NotPermitted(error.what());
        throw;
    }
}

}  // namespace

void run_in_this_process(const Options& options, const OpenProgram& program, std::uint64_t mask, ReportBoard& board) {
    GuestSignals signals{mask};
    HostDescriptors descriptors;
    LiveLine line;
    const auto make_pager = [&] {
        const HostDescriptors::OnlyHigh numbers;
        return open_pager(options.pager.config(), line);
    };
    Pager pager = make_pager();
    const auto make_space = [&] {
        const HostDescriptors::OnlyHigh numbers;
        return AddressSpace{pager, image_of(program), layout_of(program, options.fixed)};
    };
    AddressSpace space = make_space();
    ::close(program.descriptor);
    descriptors.claim();

    const std::uint64_t bias = bias_of(space, program);
    Guest guest{space, signals, descriptors};
    const std::uint64_t stack = fill_stack(space, stack_start(options, program, bias));
    const GuestEnd end = run(guest, bias + program.file.entry, stack);
    board.write(end, report_of(options, pager, space, guest, end));
}

}  // namespace faultline::demo::guest
