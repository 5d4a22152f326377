/// @file
/// The macro that exports a symbol from the shared library. All other symbols are hidden. For C and C++.
#pragma once

/// Marks a function or class that the shared library exports.
#define FAULTLINE_API __attribute__((visibility("default")))
