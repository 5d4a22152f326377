# How every target of this project is compiled. A function and not an interface target, so that none of it can leak
# into the exported package.

# Warnings that hold for g++ and clang++ alike.
set(FAULTLINE_COMMON_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
    -Woverloaded-virtual -Wextra-semi -Wformat=2)
set(FAULTLINE_GNU_WARNINGS -Wduplicated-cond -Wlogical-op)
set(FAULTLINE_C_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes)

# Sanitizers rewrite the code before these two warnings look at it, and g++ documents the false alarms that follow;
# -Wtsan objects to fences, which ThreadSanitizer does not model. They stay warnings there.
set(FAULTLINE_GNU_SANITIZER_NO_ERRORS -Wno-error=maybe-uninitialized -Wno-error=stringop-overflow -Wno-error=tsan)

function(faultline_build_flags target)
    target_compile_features(${target} PRIVATE cxx_std_20)
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
    # Profiles and crash reports of code that runs in signal handlers are useless without frame pointers.
    target_compile_options(${target} PRIVATE -fno-omit-frame-pointer)
    # __FILE__ in messages names a file of the repository, not of the machine that built it.
    target_compile_options(${target} PRIVATE "-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=")

    if(FAULTLINE_WARNINGS)
        target_compile_options(${target} PRIVATE ${FAULTLINE_COMMON_WARNINGS})
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            target_compile_options(${target} PRIVATE ${FAULTLINE_GNU_WARNINGS})
        endif()
    endif()
    if(FAULTLINE_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
        if(FAULTLINE_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            target_compile_options(${target} PRIVATE ${FAULTLINE_GNU_SANITIZER_NO_ERRORS})
        endif()
    endif()

    # Tests include internal headers whose inline functions check: they must agree with the library on this macro.
    # It is defined or not defined, never 0.
    if(FAULTLINE_CHECKED)
        target_compile_definitions(${target} PRIVATE FAULTLINE_CHECKED=1 _GLIBCXX_ASSERTIONS)
    endif()

    faultline_sanitize(${target})
endfunction()

# For programs in C: examples and tests, which see the library only as its users do.
function(faultline_c_build_flags target)
    # File by file: each of them defines the feature macros that it needs before it includes a header.
    set_target_properties(${target} PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF UNITY_BUILD OFF)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:-fno-omit-frame-pointer>)
    if(FAULTLINE_WARNINGS)
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:${FAULTLINE_C_WARNINGS}>)
    endif()
    if(FAULTLINE_WERROR)
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:-Werror>)
    endif()
    faultline_sanitize(${target})
endfunction()

function(faultline_sanitize target)
    if(FAULTLINE_SANITIZE)
        target_compile_options(${target} PRIVATE "-fsanitize=${FAULTLINE_SANITIZE}" -fno-sanitize-recover=all)
        target_link_options(${target} PRIVATE "-fsanitize=${FAULTLINE_SANITIZE}")
    endif()
endfunction()
