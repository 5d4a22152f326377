// check_program() finds from a program's file why the preloaded library cannot enter it.
#include "run/program_file.hpp"

#include <gmock/gmock.h>

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace faultline::run {
namespace {

/// Makes program files in a temporary folder. No test runs them.
class Programs : public testing::Test {
protected:
    Programs() { std::filesystem::create_directory(folder_); }
    ~Programs() override { std::filesystem::remove_all(folder_); }

    std::string script(const std::string& name, const std::string& interpreter) {
        return file(name, "#! " + interpreter + " -x\nexit 0\n");
    }

    /// Writes an ELF file whose PT_INTERP names `loader`; without PT_INTERP if `loader` is empty. Returns its path.
    std::string elf(const std::string& name, const std::string& loader, std::uint16_t machine = EM_X86_64) {
        Elf64_Ehdr header{};
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_machine = machine;
        header.e_phoff = sizeof header;
        header.e_phnum = 2;
        Elf64_Phdr load{};
        load.p_type = PT_LOAD;
        Elf64_Phdr second{};
        second.p_type = loader.empty() ? PT_LOAD : PT_INTERP;
        second.p_offset = sizeof header + sizeof load + sizeof second;
        second.p_filesz = loader.size() + 1;
        return file(name, bytes_of(header) + bytes_of(load) + bytes_of(second) + loader + '\0');
    }

    std::string file(const std::string& name, const std::string& contents) {
        const std::string path = folder_ / name;
        std::ofstream{path, std::ios::binary} << contents;
        return path;
    }

    static Obstacle obstacle_of(const std::string& path) {
        return check_program(path.c_str(), LookForCapabilities::yes).obstacle;
    }

private:
    template <typename T>
    static std::string bytes_of(const T& value) {
        return {reinterpret_cast<const char*>(&value), sizeof value};
    }

    std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("faultline-programs-" + std::to_string(::getpid()));
};

constexpr const char* kGlibc = "/lib64/ld-linux-x86-64.so.2";

TEST_F(Programs, ProgramWithGlibcsLoaderHasNoObstacle) {
    EXPECT_EQ(obstacle_of(elf("dynamic", kGlibc)), Obstacle::none);
    EXPECT_EQ(obstacle_of("/proc/self/exe"), Obstacle::none);
}

TEST_F(Programs, ProgramWithoutALoaderIsStatic) {
    EXPECT_EQ(obstacle_of(elf("static", "")), Obstacle::statically_linked);
}

TEST_F(Programs, ProgramWithMuslsLoaderIsRecognized) {
    EXPECT_EQ(obstacle_of(elf("musl", "/lib/ld-musl-x86_64.so.1")), Obstacle::musl);
}

TEST_F(Programs, ProgramOfAnotherMachineIsRecognized) {
    EXPECT_EQ(obstacle_of(elf("arm", kGlibc, EM_AARCH64)), Obstacle::other_machine);
}

TEST_F(Programs, ScriptHasTheObstacleOfItsInterpreter) {
    const std::string interpreter = elf("interpreter", "");
    const std::string inner = script("inner", interpreter);
    const std::string outer = script("outer", inner);
    const ProgramCheck check = check_program(outer.c_str(), LookForCapabilities::yes);
    EXPECT_EQ(check.obstacle, Obstacle::statically_linked);
    EXPECT_EQ(check.interpreter.data(), interpreter);
    EXPECT_EQ(obstacle_of(script("good", elf("dynamic", kGlibc))), Obstacle::none);
    const std::string endless = script("endless", script("endless", "x"));
    EXPECT_EQ(obstacle_of(script("endless", endless)), Obstacle::none)
        << "the kernel itself refuses a script that is its own interpreter";
}

TEST_F(Programs, SetuidProgramIgnoresThePreload) {
    const std::string program = elf("setuid", kGlibc);
    if (::geteuid() == 0 && ::chown(program.c_str(), 1, 1) != 0) GTEST_SKIP() << "chown to user 1 failed";
    if (::geteuid() != 0) GTEST_SKIP() << "chown to another user needs root";
    ASSERT_EQ(::chmod(program.c_str(), 04755), 0);
    EXPECT_EQ(obstacle_of(program), Obstacle::changes_privileges);
    EXPECT_EQ(obstacle_of(script("script", program)), Obstacle::changes_privileges);
}

TEST_F(Programs, UnreadableProgramHasNoKnownObstacle) {
    EXPECT_EQ(obstacle_of("/no/such/program"), Obstacle::none);
    EXPECT_EQ(obstacle_of(file("empty", "")), Obstacle::none);
    EXPECT_EQ(obstacle_of(file("short", ELFMAG)), Obstacle::none);
    const std::string fifo = file("x", "") + "-fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(obstacle_of(fifo), Obstacle::none) << "the check must not wait for a writer";
}

}  // namespace
}  // namespace faultline::run
