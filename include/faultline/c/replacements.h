/// @file
/// The table of the built-in replacement policies, from which everything follows that lists them: the enumerations of
/// C++ and C, their names, and the functions that make them. Part of faultline.h and types.hpp.
#ifndef FAULTLINE_C_REPLACEMENTS_H
#define FAULTLINE_C_REPLACEMENTS_H

/// Calls `X(name, NAME)` for each policy, in the order of the values, which start at 0.
#define FAULTLINE_REPLACEMENTS(X)   \
    X(second_chance, SECOND_CHANCE) \
    X(fifo, FIFO)

#endif  // FAULTLINE_C_REPLACEMENTS_H
