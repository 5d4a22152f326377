// The version of the headers, for the preprocessor, of C and C++. The library's own is in its soname.
#pragma once

#define FAULTLINE_VERSION_MAJOR 0
#define FAULTLINE_VERSION_MINOR 1
#define FAULTLINE_VERSION_PATCH 0
#define FAULTLINE_VERSION_STRING "0.1.0"
