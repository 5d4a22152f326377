/// @file
/// The version of these headers, for the C and C++ preprocessor. It is not the version of the loaded library:
/// `faultline_version` in faultline.h returns that. The library's soname has its major version, and before 1.0 its
/// minor version, too: libfaultline.so.0.1.
#pragma once

/// The major version.
#define FAULTLINE_VERSION_MAJOR 0
/// The minor version.
#define FAULTLINE_VERSION_MINOR 1
/// The patch version.
#define FAULTLINE_VERSION_PATCH 0
/// The three numbers as a string literal.
#define FAULTLINE_VERSION_STRING "0.1.0"
