# Debian packages, by `cmake --build BUILD --target package`, which tests/package/deb_check.sh does in a build of its own.
#
#   libfaultlineX.Y         the shared library                (component runtime)
#   libfaultline-dev        headers, archives, CMake, .pc     (component development)
#   faultline               the command and what it preloads  (component command)
#   ...-dbgsym              debug information of each, if the build has any
find_program(DPKG_SHLIBDEPS dpkg-shlibdeps)
if(NOT DPKG_SHLIBDEPS)
    return()
endif()

get_target_property(soversion faultline SOVERSION)
set(library_package libfaultline${soversion})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME faultline)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "faultline contributors <faultline@users.noreply.github.com>")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development command)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/src)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE OFF)
if(CMAKE_BUILD_TYPE MATCHES "Debug|RelWithDebInfo")
    set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON)
endif()

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ${library_package})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "virtual memory in user space (shared library)
 faultline lets a program work with more data than it may keep in memory:
 it answers the page faults of ranges of addresses itself, holds them to a
 limit, and keeps the rest compressed or in a file.
 .
 This package has the shared library.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA
    ${PROJECT_BINARY_DIR}/debian/triggers ${PROJECT_BINARY_DIR}/debian/shlibs)
file(WRITE ${PROJECT_BINARY_DIR}/debian/triggers "activate-noawait ldconfig\n")
file(WRITE ${PROJECT_BINARY_DIR}/debian/shlibs
     "libfaultline ${soversion} ${library_package} (>= ${PROJECT_VERSION})\n")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libfaultline-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${library_package} (= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "libspdlog-dev, liburing-dev, liblz4-dev, libnbd-dev")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "virtual memory in user space (development files)
 faultline lets a program work with more data than it may keep in memory:
 it answers the page faults of ranges of addresses itself, holds them to a
 limit, and keeps the rest compressed or in a file.
 .
 This package has the headers, the static libraries, a CMake package and a
 pkg-config file.")

set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME faultline)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION utils)
set(CPACK_COMPONENT_COMMAND_DESCRIPTION "run programs under a limit of memory
 faultline run starts a program, and holds it and its children to a limit
 of memory: what does not fit is compressed or goes to a file, and comes
 back when the program touches it. It needs no privilege.")

# Each package has a licence and a changelog, as Debian's policy asks for.
file(READ ${PROJECT_SOURCE_DIR}/LICENSE licence)
string(REGEX REPLACE "\n([^\n])" "\n \\1" licence "${licence}")
string(REGEX REPLACE "\n\n" "\n .\n" licence "${licence}")
string(STRIP "${licence}" licence)
file(WRITE ${PROJECT_BINARY_DIR}/debian/copyright
     "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n"
     "Copyright: faultline contributors\nLicense: Expat\n ${licence}\n")
string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)  # or $SOURCE_DATE_EPOCH
file(WRITE ${PROJECT_BINARY_DIR}/debian/changelog
     "faultline (${PROJECT_VERSION}-1) unstable; urgency=medium\n\n  * See CHANGELOG.md of the sources.\n\n"
     " -- ${CPACK_PACKAGE_CONTACT}  ${now}\n")
find_program(GZIP gzip REQUIRED)
execute_process(COMMAND ${GZIP} -9nfk ${PROJECT_BINARY_DIR}/debian/changelog COMMAND_ERROR_IS_FATAL ANY)
foreach(component IN ITEMS runtime development command)
    string(TOUPPER ${component} upper)
    set(directory ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
    install(FILES ${PROJECT_BINARY_DIR}/debian/copyright DESTINATION ${directory} COMPONENT ${component}
            EXCLUDE_FROM_ALL)
    install(FILES ${PROJECT_BINARY_DIR}/debian/changelog.gz DESTINATION ${directory} COMPONENT ${component}
            RENAME changelog.Debian.gz EXCLUDE_FROM_ALL)
endforeach()

include(CPack)
