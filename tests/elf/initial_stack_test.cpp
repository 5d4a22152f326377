// The initial stack of a program, read back as the program reads it.
#include "elf/initial_stack.hpp"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <stdexcept>

namespace faultline::test {
namespace {

using demo::elf::InitialStack;
using demo::elf::make_initial_stack;
using demo::elf::StackStart;

constexpr std::uint64_t kEnd = 0x7ffc'0000'0000;

/// Reads the stack's bytes at the addresses that the program will use.
class Reader {
public:
    explicit Reader(const InitialStack& stack) : stack_{stack} {}
    [[nodiscard]] std::uint64_t word(std::uint64_t address) const {
        std::uint64_t value = 0;
        std::memcpy(&value, at(address, sizeof value), sizeof value);
        return value;
    }
    [[nodiscard]] std::string text(std::uint64_t address) const {
        return reinterpret_cast<const char*>(at(address, 1));
    }
    [[nodiscard]] const std::byte* at(std::uint64_t address, std::size_t bytes) const {
        if (address < stack_.pointer || address + bytes > kEnd) throw std::out_of_range("address outside the stack");
        return stack_.bytes.data() + (address - stack_.pointer);
    }

private:
    const InitialStack& stack_;
};

void expect_round_trip(const StackStart& start) {
    const InitialStack stack = make_initial_stack(start, kEnd, 1 << 20);
    EXPECT_EQ(stack.pointer % 16, 0U);
    EXPECT_EQ(stack.pointer + stack.bytes.size(), kEnd);
    EXPECT_EQ(stack.bytes.back(), std::byte{0});
    const Reader reader{stack};
    std::uint64_t at = stack.pointer;
    const auto next = [&] { return reader.word(std::exchange(at, at + 8)); };
    EXPECT_EQ(next(), start.arguments.size());
    for (const std::string& argument : start.arguments) EXPECT_EQ(reader.text(next()), argument);
    EXPECT_EQ(next(), 0U);
    for (const std::string& variable : start.environment) EXPECT_EQ(reader.text(next()), variable);
    EXPECT_EQ(next(), 0U);
    std::map<std::uint64_t, std::uint64_t> auxiliary;
    while (const std::uint64_t type = next()) auxiliary[type] = next();
    EXPECT_EQ(next(), 0U);  // the value of AT_NULL
    for (const auto& [type, value] : start.auxiliary) EXPECT_EQ(auxiliary.at(type), value);
    EXPECT_EQ(reader.text(auxiliary.at(AT_EXECFN)), start.executable);
    EXPECT_EQ(reader.text(auxiliary.at(AT_PLATFORM)), "x86_64");
    EXPECT_EQ(std::memcmp(reader.at(auxiliary.at(AT_RANDOM), 16), start.random.data(), 16), 0);
    EXPECT_EQ(auxiliary.size(), start.auxiliary.size() + 3);
}

TEST(InitialStack, ProgramFindsItsArgumentsEnvironmentAndAuxiliaryVector) {
    StackStart start;
    start.executable = "/bin/program";
    for (std::size_t i = 0; i < start.random.size(); ++i) start.random[i] = static_cast<std::byte>(200 + i);
    for (int round = 0; round < 6; ++round) {
        expect_round_trip(start);
        start.arguments.push_back(std::string(static_cast<std::size_t>(round) * 7, 'a'));
        start.auxiliary.emplace_back(AT_PAGESZ + round, 4096 + round);
        if (round % 2 == 0) start.environment.push_back("NAME=" + std::to_string(round));
    }
}

TEST(InitialStack, ArgumentsThatDoNotFitAreRefused) {
    StackStart start;
    start.arguments = {"program", std::string(3000, 'x')};
    const std::size_t needed = make_initial_stack(start, kEnd, 1 << 20).bytes.size();
    EXPECT_NO_THROW(static_cast<void>(make_initial_stack(start, kEnd, needed)));
    EXPECT_THROW(static_cast<void>(make_initial_stack(start, kEnd, needed - 1)), std::invalid_argument);
    EXPECT_THROW(static_cast<void>(make_initial_stack(start, kEnd, 100)), std::invalid_argument);
}

}  // namespace
}  // namespace faultline::test
