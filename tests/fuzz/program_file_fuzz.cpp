// A target for libFuzzer: read_program() refuses any bytes, or returns a program that is sound to load.
#include "elf/program_file.hpp"

#include "elf/sound_program.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace faultline;
    try {
        const auto program = demo::elf::read_program(std::as_bytes(std::span{data, size}));
        if (const char* const claim = test::unsound(program, size)) {
            static_cast<void>(std::fprintf(stderr, "it does not hold that %s\n", claim));
            std::abort();
        }
    } catch (const demo::elf::BadProgram&) {
        return 0;
    }
    return 0;
}
