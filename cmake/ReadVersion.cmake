# The version lives in one place, include/faultline/version.hpp, where the preprocessor needs it.

# Sets `out` to MAJOR.MINOR.PATCH as `header` defines them; the build is configured again when the header changes.
function(faultline_read_version out header)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${header}")
    file(READ "${header}" text)
    foreach(part IN ITEMS MAJOR MINOR PATCH)
        if(NOT text MATCHES "#define FAULTLINE_VERSION_${part} ([0-9]+)")
            message(FATAL_ERROR "${header} does not define FAULTLINE_VERSION_${part}")
        endif()
        list(APPEND parts "${CMAKE_MATCH_1}")
    endforeach()
    list(JOIN parts "." version)
    if(NOT text MATCHES "#define FAULTLINE_VERSION_STRING \"([^\"]*)\"" OR NOT CMAKE_MATCH_1 STREQUAL version)
        message(FATAL_ERROR "${header}: FAULTLINE_VERSION_STRING is not \"${version}\"")
    endif()
    set(${out} "${version}" PARENT_SCOPE)
endfunction()
