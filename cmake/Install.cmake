# What `cmake --install` lays down: headers, both libraries, a CMake package, a pkg-config file, the licence.
# The result can be moved: neither the package nor the .pc file contains the prefix. Three components, which are the Debian
# packages of Packages.cmake: runtime (the shared library), development, and command.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/faultline")

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/faultline DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT development FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT license)

# The command, and what it preloads, which it finds from its own place.
if(TARGET faultline_command)
    install(TARGETS faultline_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
    if(TARGET faultline_completions)
        install(FILES ${PROJECT_BINARY_DIR}/src/completions/faultline
                DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT command)
        install(FILES ${PROJECT_BINARY_DIR}/src/completions/_faultline
                DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT command)
    endif()
    install(FILES ${PROJECT_SOURCE_DIR}/docs/faultline.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
    install(FILES ${PROJECT_SOURCE_DIR}/src/tool/gdb/faultline.gdb DESTINATION ${CMAKE_INSTALL_DATADIR}/faultline
            COMPONENT command)
endif()

# Two export sets, so that users of the shared library need none of what the static one links.
install(TARGETS faultline EXPORT faultline_shared
        LIBRARY COMPONENT runtime NAMELINK_COMPONENT development)
install(TARGETS faultline_static EXPORT faultline_static ARCHIVE COMPONENT development)
if(TARGET faultline_preload)
    install(TARGETS faultline_preload LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT command)
    install(TARGETS faultline_start RUNTIME DESTINATION ${CMAKE_INSTALL_LIBDIR}/faultline
            COMPONENT command)  # found from the library
endif()
set(kinds shared static)
if(TARGET faultline_nbd)
    install(TARGETS faultline_nbd EXPORT faultline_nbd ARCHIVE COMPONENT development)
    list(APPEND kinds nbd)
endif()
foreach(kind IN LISTS kinds)
    install(EXPORT faultline_${kind} FILE faultline-${kind}-targets.cmake NAMESPACE faultline::
            DESTINATION ${package_dir} COMPONENT development)
endforeach()

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/faultline-config.cmake.in
    ${PROJECT_BINARY_DIR}/faultline-config.cmake INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may break users.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/faultline-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/faultline-config.cmake ${PROJECT_BINARY_DIR}/faultline-config-version.cmake
        DESTINATION ${package_dir} COMPONENT development)

# The .pc file finds its prefix from its own place, unless the library folder was given as an absolute path.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
    set(pc_libdir "${CMAKE_INSTALL_LIBDIR}")
else()
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(pc_prefix "\${pcfiledir}/${up}")
    set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
else()
    set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# What the static library links, as flags and not as Requires.private: with that, pkg-config would want the .pc files of
# spdlog, liburing and lz4, and hand spdlog's definitions on, to users of the shared library too.
pkg_check_modules(SPDLOG QUIET spdlog)
if(NOT SPDLOG_FOUND)
    set(SPDLOG_LDFLAGS -lspdlog -lfmt)
endif()
set(pc_libs_private ${SPDLOG_LDFLAGS} ${LIBURING_LDFLAGS} ${LIBLZ4_LDFLAGS} -pthread -Wl,-z,now -Wl,-z,nodelete)
list(REMOVE_DUPLICATES pc_libs_private)
list(JOIN pc_libs_private " " pc_libs_private)
configure_file(${PROJECT_SOURCE_DIR}/cmake/faultline.pc.in ${PROJECT_BINARY_DIR}/faultline.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/faultline.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)
