// CHECK for a program that goes on after a failure and counts them, and whether its memory is managed.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>

// NOLINTBEGIN: for one source file of a program
inline int failures = 0;
inline const bool managed = std::getenv("LD_PRELOAD") != nullptr;

#define CHECK(...)                                                                                        \
    do {                                                                                                  \
        if (!(__VA_ARGS__)) {                                                                             \
            std::printf("%s:%d: check failed: %s (errno %d)\n", __FILE__, __LINE__, #__VA_ARGS__, errno); \
            ++failures;                                                                                   \
        }                                                                                                 \
    } while (false)
// NOLINTEND
