// Marks what the shared library exports; everything else is hidden. For C and C++.
#pragma once

#define FAULTLINE_API __attribute__((visibility("default")))
