// read_program() returns what a valid ELF file says, and refuses every other file with a reason.
#include "elf/program_file.hpp"

#include "elf/made_elf.hpp"
#include "elf/sound_program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace faultline::test {
namespace {

using demo::elf::BadProgram;
using demo::elf::LoadedPart;
using demo::elf::ProgramFile;
using demo::elf::read_program;

constexpr std::uint64_t kPage = MadeElf::kPage;
constexpr std::uint64_t kBase = MadeElf::kBase;

TEST(ProgramFile, ValidProgramIsReadUnchanged) {
    const MadeElf made;
    const ProgramFile program = read_program(made.bytes());
    ASSERT_EQ(program.parts.size(), 3U);
    EXPECT_EQ(program.begin(), kBase);
    EXPECT_EQ(program.entry, kBase + kPage + 16);
    EXPECT_FALSE(program.position_independent);
    EXPECT_EQ(program.headers, kBase + sizeof(Elf64_Ehdr));
    EXPECT_EQ(program.header_count, 4);
    EXPECT_EQ(program.parts[0].access, Access::read);
    EXPECT_EQ(program.parts[1].access, Access::read_execute);
    const LoadedPart& data = program.parts[2];
    EXPECT_EQ(data.access, Access::read_write);
    EXPECT_EQ(data.address, kBase + 2 * kPage + 128);
    EXPECT_EQ(data.file_offset, 2 * kPage + 128);
    EXPECT_EQ(data.file_bytes, 256U);
    EXPECT_EQ(data.memory_bytes, 3 * kPage);
    EXPECT_EQ(unsound(program, made.size), nullptr);
}

TEST(ProgramFile, PositionIndependentProgramMayBeLinkedForAddressZero) {
    MadeElf made;
    made.file.e_type = ET_DYN;
    made.file.e_entry -= kBase;
    for (Elf64_Phdr& header : made.headers) {
        if (header.p_type == PT_LOAD) header.p_vaddr -= kBase;
    }
    const ProgramFile program = read_program(made.bytes());
    EXPECT_TRUE(program.position_independent);
    EXPECT_EQ(program.begin(), 0U);
}

TEST(ProgramFile, HeadersThatAreNotLoadedHaveNoAddress) {
    MadeElf made;
    made.headers.erase(made.headers.begin());
    EXPECT_EQ(read_program(made.bytes()).headers, 0U);
}

struct Malformed {
    const char* name;
    void (*change)(MadeElf&);
    const char* reason;
};

constexpr Malformed kMalformed[] = {
    {"Empty", [](MadeElf& made) { made.size = 0; }, "too short"},
    {"HalfAHeader", [](MadeElf& made) { made.size = 40; }, "too short"},
    {"NoMagic", [](MadeElf& made) { made.file.e_ident[1] = '?'; }, "no ELF file"},
    {"Of32Bits", [](MadeElf& made) { made.file.e_ident[EI_CLASS] = ELFCLASS32; }, "x86-64"},
    {"BigEndian", [](MadeElf& made) { made.file.e_ident[EI_DATA] = ELFDATA2MSB; }, "x86-64"},
    {"OfAnotherMachine", [](MadeElf& made) { made.file.e_machine = EM_AARCH64; }, "x86-64"},
    {"OfAnotherVersion", [](MadeElf& made) { made.file.e_version = 9; }, "version"},
    {"AnObjectFile", [](MadeElf& made) { made.file.e_type = ET_REL; }, "no program"},
    {"OddHeaders", [](MadeElf& made) { made.file.e_phentsize = 32; }, "known size"},
    {"NoHeaders", [](MadeElf& made) { made.headers.clear(); }, "no program headers"},
    {"HeadersBeyondTheEnd", [](MadeElf& made) { made.file.e_phoff = made.size - 8; }, "beyond its end"},
    {"HeadersNowhere", [](MadeElf& made) { made.file.e_phoff = ~std::uint64_t{0} - 8; }, "beyond its end"},
    {"TooManyHeaders", [](MadeElf& made) { made.count_headers = false, made.file.e_phnum = 0xffff; },
     "more program headers"},
    {"Dynamic", [](MadeElf& made) { made.headers.back().p_type = PT_INTERP; }, "dynamically"},
    {"NothingToLoad",
     [](MadeElf& made) {
         for (Elf64_Phdr& header : made.headers) header.p_type = PT_NULL;
     },
     "nothing to load"},
    {"LessMemoryThanFile", [](MadeElf& made) { made.headers[2].p_memsz = 10; }, "more bytes in the file"},
    {"Truncated", [](MadeElf& made) { made.size = 2 * kPage + 200; }, "beyond the file's end"},
    {"OverflowingFileBytes",
     [](MadeElf& made) { made.headers[2].p_filesz = made.headers[2].p_memsz = ~std::uint64_t{0} - 64; },
     "beyond the file's end"},
    {"OverflowingOffset", [](MadeElf& made) { made.headers[2].p_offset = ~std::uint64_t{0} - 64; },
     "beyond the file's end"},
    {"OverflowingMemory", [](MadeElf& made) { made.headers[2].p_memsz = ~std::uint64_t{0}; },
     "outside the user address space"},
    {"OverflowingAddress", [](MadeElf& made) { made.headers[2].p_vaddr = ~std::uint64_t{0} - 0xf7f; },
     "outside the user address space"},
    {"AKernelAddress", [](MadeElf& made) { made.headers[2].p_vaddr = 0xffff'8000'0000'0080; },
     "outside the user address space"},
    {"Misaligned", [](MadeElf& made) { made.headers[2].p_vaddr += 8; }, "modulo 4 KiB"},
    {"OutOfOrder", [](MadeElf& made) { std::swap(made.headers[1], made.headers[2]); }, "out of order"},
    {"Overlapping",
     [](MadeElf& made) { made.size = 4 * kPage, made.headers[1].p_filesz = made.headers[1].p_memsz = 2 * kPage; },
     "overlaps"},
    {"SharingAPage", [](MadeElf& made) { made.headers[1].p_filesz = made.headers[1].p_memsz = kPage + 1; },
     "shares a page"},
    {"WritableAndExecutable", [](MadeElf& made) { made.headers[1].p_flags |= PF_W; }, "writable and executable"},
    {"OfNoUse", [](MadeElf& made) { made.headers[0].p_flags = 0; }, "without read access"},
    {"ZerosAfterText", [](MadeElf& made) { made.headers[1].p_memsz += 8; }, "not writable"},
    {"FarApart", [](MadeElf& made) { made.headers[2].p_vaddr += std::uint64_t{1} << 41; }, "1 TiB"},
    {"Huge", [](MadeElf& made) { made.headers[2].p_memsz = std::uint64_t{1} << 41; }, "1 TiB"},
    {"AtZero",
     [](MadeElf& made) {
         made.file.e_entry -= kBase;
         for (Elf64_Phdr& header : made.headers) {
             if (header.p_type == PT_LOAD) header.p_vaddr -= kBase;
         }
     },
     "address 0"},
    {"NoEntry", [](MadeElf& made) { made.file.e_entry = 0; }, "no code"},
    {"EntryInData", [](MadeElf& made) { made.file.e_entry = kBase + 2 * kPage + 128; }, "no code"},
    {"EntryBehindText", [](MadeElf& made) { made.file.e_entry = kBase + kPage + 1000; }, "no code"}};

TEST(ProgramFile, MalformedFileIsRefusedWithItsReason) {
    for (const Malformed& file : kMalformed) {
        MadeElf made;
        file.change(made);
        try {
            static_cast<void>(read_program(made.bytes()));
            ADD_FAILURE() << file.name << " was not refused";
        } catch (const BadProgram& error) {
            EXPECT_THAT(std::string{error.what()}, ::testing::HasSubstr(file.reason)) << file.name;
        }
    }
}

TEST(ProgramFile, TruncatedFileIsRefusedWhereverItEnds) {
    MadeElf made;
    const std::size_t needed = 2 * kPage + 128 + 256;
    for (made.size = 0; made.size < needed; made.size += made.size < 512 ? 1 : 61) {
        EXPECT_THROW(static_cast<void>(read_program(made.bytes())), BadProgram) << made.size;
    }
    made.size = needed;
    EXPECT_NO_THROW(static_cast<void>(read_program(made.bytes())));
}

/// Replaces bytes of the headers by random values and by values that overflow.
TEST(ProgramFile, ProgramWithRandomHeadersIsRefusedOrSound) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const MadeElf made;
    const std::vector<std::byte> good = made.bytes();
    const std::size_t headers = sizeof(Elf64_Ehdr) + made.headers.size() * sizeof(Elf64_Phdr);
    constexpr std::array<std::uint64_t, 8> kEdges{0,
                                                  1,
                                                  kPage,
                                                  kBase,
                                                  ~std::uint64_t{0},
                                                  std::uint64_t{1} << 47,
                                                  std::uint64_t{1} << 63,
                                                  ~std::uint64_t{0} - kPage + 1};
    int refused = 0;
    int sound = 0;
    for (int round = 0; round < 10'000; ++round) {
        std::vector<std::byte> bytes = good;
        for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
            // Leaves the identification unchanged, or most files would be refused for that alone.
            const std::size_t at = 16 + random() % (headers - 16);
            if (random() % 2 == 0) {
                bytes[at] = static_cast<std::byte>(random());
            } else {
                std::uint64_t value = kEdges[random() % kEdges.size()] + random() % 3 - 1;
                std::memcpy(bytes.data() + at / 8 * 8, &value, sizeof value);
            }
        }
        try {
            ASSERT_EQ(unsound(read_program(bytes), bytes.size()), nullptr);
            ++sound;
        } catch (const BadProgram& error) {
            ASSERT_STRNE(error.what(), "");
            ++refused;
        }
    }
    EXPECT_GT(refused, 1000);
    EXPECT_GT(sound, 1000);
}

}  // namespace
}  // namespace faultline::test
