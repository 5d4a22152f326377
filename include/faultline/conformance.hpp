/// @file
/// The conformance suite: finds out whether a ReplacementPolicy or a Store of a program's own keeps the rules of its
/// interface. Call it from any test framework; what it returns is empty if all is well:
///
///     for (const std::string& finding : faultline::check_store(my_store)) std::puts(finding.c_str());
///
/// The functions of this header are compiled into the program that calls them. They test by random operations, from a
/// seed that the caller gives, and then with a real pager that has more pages than memory.
#pragma once

#include <faultline/language.hpp>

#include <faultline/conformance/policy.hpp>
#include <faultline/conformance/store.hpp>
