// DebugLibrary: the functions of elfutils' libdw that find call stacks, functions and lines. They are loaded when a
// report asks for them, so that the commands that start programs do not wait for a library and its dependencies.
// Without libdw, at build or at run time, a report has no names.
#pragma once

#include <string>

#if __has_include(<elfutils/libdwfl.h>)
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#define FAULTLINE_HAS_LIBDW 1
#else
#define FAULTLINE_HAS_LIBDW 0
#endif

namespace faultline::tool {

#if FAULTLINE_HAS_LIBDW

/// Pointers to functions of the same names.
struct DebugLibrary {
// Version 14 of clang-format never formats such a list twice in the same way.
// clang-format off
#define FAULTLINE_DEBUG_FUNCTIONS(EACH)                                                                                \
    EACH(dwfl_begin) EACH(dwfl_end) EACH(dwfl_report_begin) EACH(dwfl_report_end) EACH(dwfl_report_elf)                \
    EACH(dwfl_attach_state) EACH(dwfl_getthread_frames) EACH(dwfl_thread_state_registers) EACH(dwfl_frame_pc)          \
    EACH(dwfl_thread_dwfl) EACH(dwfl_addrmodule) EACH(dwfl_module_addrinfo) EACH(dwfl_module_addrdie)                  \
    EACH(dwfl_module_getsrc) EACH(dwfl_lineinfo) EACH(dwfl_module_build_id) EACH(dwfl_module_getelf)                   \
    EACH(dwfl_standard_find_debuginfo) EACH(dwfl_linux_proc_find_elf) EACH(dwarf_getscopes) EACH(dwarf_getscopes_die)  \
    EACH(dwarf_tag) EACH(dwarf_diename) EACH(dwarf_attr_integrate) EACH(dwarf_formstring) EACH(dwarf_formudata)        \
    EACH(dwarf_getsrcfiles) EACH(dwarf_filesrc)
// clang-format on
#define FAULTLINE_DECLARE(name) decltype(&::name) name = nullptr;  // NOLINT(bugprone-macro-parentheses)
    FAULTLINE_DEBUG_FUNCTIONS(FAULTLINE_DECLARE)
#undef FAULTLINE_DECLARE

    /// Returns the library, loaded once; null if this machine lacks it.
    [[nodiscard]] static const DebugLibrary* get();
};

#endif

/// Returns why there are no names of functions and lines; empty if there are.
[[nodiscard]] std::string why_no_debug_library();

}  // namespace faultline::tool
