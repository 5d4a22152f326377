#include "preload/static_program/static_program.hpp"

#include "core/units.hpp"
#include "preload/foreign_tls.hpp"
#include "preload/program_mappings.hpp"
#include "preload/static_program/executable_path.hpp"
#include "preload/static_program/initial_stack.hpp"
#include "preload/static_program/program_image.hpp"
#include "preload/static_program/script.hpp"
#include "preload/thread_state.hpp"
#include "run/launcher.hpp"
#include "run/settings.hpp"
#include "sys/error.hpp"
#include "sys/file_descriptor.hpp"

#include <alloca.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

// Begins the program: the registers are zero, as after execve.
asm(R"(
        .pushsection .text.faultline_preload, "ax", @progbits
        .globl  faultline_preload_begin_program
        .hidden faultline_preload_begin_program
        .type   faultline_preload_begin_program, @function
faultline_preload_begin_program:
        mov     %rsi, %rsp
        call    faultline_preload_to_program
        mov     %rdi, -8(%rsp)
        xor     %eax, %eax
        xor     %ebx, %ebx
        xor     %ecx, %ecx
        xor     %edx, %edx
        xor     %esi, %esi
        xor     %edi, %edi
        xor     %ebp, %ebp
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        xor     %r12d, %r12d
        xor     %r13d, %r13d
        xor     %r14d, %r14d
        xor     %r15d, %r15d
        jmp     *-8(%rsp)
        .size   faultline_preload_begin_program, .-faultline_preload_begin_program
        .popsection
)");
extern "C" [[noreturn]] void faultline_preload_begin_program(std::uint64_t entry, void* stack);

namespace faultline::preload {
namespace {

bool is_launcher() noexcept {
    const auto* const executed = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
    if (executed == nullptr) return false;
    const std::string_view path{executed};
    return path.substr(path.rfind('/') + 1) == run::kLauncherName;
}

sys::FileDescriptor open_program(const char* path) {
    sys::FileDescriptor file{::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    if (file.get() < 0) sys::throw_error(errno, std::string{"cannot open the program "} + path);
    return file;
}

void name_process(std::string_view path) noexcept {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    static_cast<void>(::prctl(PR_SET_NAME, name.data()));  // the kernel takes the first 15 bytes
}

}  // namespace

std::string_view StaticProgram::path_in(const char* const* environment) noexcept {
    return is_launcher() ? run::value_of(environment, run::kProgramVariable) : std::string_view{};
}

void StaticProgram::begin(std::string_view path) noexcept {
    name_process(path);
    ForeignTls::start();
}

void StaticProgram::prepare() {
    if (!ProgramMappings::active()) sys::throw_error(ENOMEM, "no addresses for the memory of a static program");
    InLibrary::enter();
}

void StaticProgram::run(const char* path, const char* const* arguments, const char* const* environment) {
    Script::Words words{path, {}};
    for (; *arguments != nullptr; ++arguments) words.arguments.push_back(*arguments);
    sys::FileDescriptor file = open_program(path);
    while (Script::resolve(file.get(), words)) file = open_program(words.program);
    const ProgramImage image{file.get()};
    file.reset();
    if (const char* const real = ::realpath(words.program, nullptr)) ExecutablePath::set(real);
    const InitialStack stack{words.arguments, environment, run::kProgramVariable, image, path};
    const std::size_t bytes = core::align_up<std::size_t>(stack.bytes(), 16);
    // The program's stack is this one, below the frames of the launcher.
    auto* const at = static_cast<std::byte*>(alloca(bytes + 16));
    void* const begin = core::pointer_to(core::align_up(core::address_of(at), std::uintptr_t{16}));
    stack.copy_to(begin);
    const std::uint64_t entry = image.entry();
    InLibrary::leave();
    faultline_preload_begin_program(entry, begin);
}

}  // namespace faultline::preload
