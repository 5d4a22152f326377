// Script: a file whose first line names the program that interprets it ("#!/bin/busybox sh").
#pragma once

#include <vector>

namespace faultline::preload {

class Script {
public:
    /// A program and its arguments. The texts live as long as the process.
    struct Words {
        const char* program;
        std::vector<const char*> arguments;
    };

    /// If the open `file` of `words.program` is a script, replaces the program by the interpreter and changes the
    /// arguments as execve(2) does. Returns false if the file is no script. Throws std::runtime_error after too many
    /// interpreters of interpreters.
    static bool resolve(int file, Words& words);
};

}  // namespace faultline::preload
