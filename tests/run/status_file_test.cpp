// A status file shared by real processes: each record is read whole and with its writer's identity, even if the writer
// is killed or replaces its program.
#include "run/status_file.hpp"
#include "run/status_writer.hpp"
#include "support/child.hpp"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace faultline::run {
namespace {

/// Returns a status in which every figure is `value`.
ProgramStatus all_of(std::uint64_t value) {
    ProgramStatus status;
    std::array<std::uint64_t, sizeof(ProgramCounters) / 8> counters{};
    counters.fill(value);
    status.counters = std::bit_cast<ProgramCounters>(counters);
    std::array<std::uint64_t, sizeof(ProgramGauges) / 8> gauges{};
    gauges.fill(value);
    status.gauges = std::bit_cast<ProgramGauges>(gauges);
    const auto byte = static_cast<std::uint8_t>(value);
    status.map.fill({byte, byte, byte, byte});
    status.map_used = value;
    return status;
}

bool is_all_of_one(const ProgramStatus& status) {
    const ProgramStatus expected = all_of(status.map_used);
    return status.counters == expected.counters && status.gauges == expected.gauges && status.map == expected.map;
}

/// Maps the memory of a status file, so that a test can produce rare states.
class Memory {
public:
    explicit Memory(const StatusFile& file) {
        const int fd = ::open(file.path().c_str(), O_RDWR | O_CLOEXEC);
        memory_ = static_cast<StatusMemory*>(
            ::mmap(nullptr, sizeof(StatusMemory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
        ::close(fd);
    }
    ~Memory() { ::munmap(memory_, sizeof(StatusMemory)); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    StatusMemory* operator->() const { return memory_; }

private:
    StatusMemory* memory_;
};

TEST(StatusFile, FileShowsFiguresOfAProgramThatClosedItsDescriptors) {
    const StatusFile file;
    const auto end = test::in_child([&] {
        ::close_range(3, ~0U, 0);
        StatusWriter writer;
        if (writer.open(file.path()) != 0) return 1;
        writer.publish(all_of(7));
        return 0;
    });
    ASSERT_TRUE(end.exited_with(0)) << end;
    const SeenPrograms seen = file.look();
    ASSERT_EQ(seen.programs.size(), 1U);
    const SeenProgram& program = seen.programs[0];
    EXPECT_EQ(program.status.counters, all_of(7).counters);
    EXPECT_EQ(program.status.gauges, all_of(7).gauges);
    EXPECT_EQ(program.status.map, all_of(7).map);
    EXPECT_FALSE(program.running);
    EXPECT_EQ(program.status.process.parent_pid, static_cast<std::uint64_t>(::getpid()));
    EXPECT_STREQ(program.status.process.name.data(), "run_tests");
    EXPECT_GT(program.status.published_at, program.status.started_at);
    EXPECT_EQ(seen.claims, 1U);
}

TEST(StatusFile, FileCannotChangeItsSize) {
    const StatusFile file;
    EXPECT_EQ(::truncate(file.path().c_str(), 0), -1);
    EXPECT_EQ(::truncate(file.path().c_str(), 1 << 30), -1);
}

TEST(StatusFile, ReaderGetsWholeRecordsDuringWrites) {
    const StatusFile file;
    StatusWriter writer;
    ASSERT_EQ(writer.open(file.path()), 0);
    std::atomic<bool> stop{false};
    std::thread writing{[&] {
        for (std::uint64_t value = 1; !stop; ++value) writer.publish(all_of(value));
    }};
    std::uint64_t different = 0;
    std::uint64_t last = 0;
    while (different < 40) {
        const SeenPrograms seen = file.look();
        if (seen.programs.empty()) continue;  // the writer changed the record during each attempt to read it
        const ProgramStatus& status = seen.programs[0].status;
        if (!is_all_of_one(status) || status.map_used < last) {
            ADD_FAILURE() << "torn record at " << status.map_used << " after " << last;
            break;
        }
        different += status.map_used != last ? 1 : 0;
        last = status.map_used;
    }
    stop = true;
    writing.join();
}

TEST(StatusFile, LastWholeRecordOfAKilledWriterIsKept) {
    const StatusFile file;
    StatusWriter writer;
    ASSERT_EQ(writer.open(file.path()), 0);
    writer.publish(all_of(3));
    const Memory memory{file};
    for (StatusSlot& slot : memory->slots) {
        // The record that the next publish() would write.
        if (const std::uint64_t published = slot.published; published > 0)
            slot.records[(published + 1) % 2].store(all_of(99));
    }
    ASSERT_EQ(file.look().programs.size(), 1U);
    EXPECT_EQ(file.look().programs[0].status.counters, all_of(3).counters);
}

TEST(StatusFile, NextProgramOfAProcessGetsItsOwnSlot) {
    const StatusFile file;
    StatusWriter before;
    ASSERT_EQ(before.open(file.path()), 0);
    before.publish(all_of(5));
    EXPECT_TRUE(file.look().programs.at(0).running);
    StatusWriter after;  // the program that exec starts
    ASSERT_EQ(after.open(file.path()), 0);
    after.publish(all_of(1));
    const SeenPrograms seen = file.look();
    ASSERT_EQ(seen.programs.size(), 2U);
    EXPECT_FALSE(seen.programs[0].running);
    EXPECT_EQ(seen.programs[0].status.counters, all_of(5).counters);
    EXPECT_TRUE(seen.programs[1].running);
    EXPECT_EQ(seen.programs[1].status.counters, all_of(1).counters);
    after.publish(all_of(2), StatusWriter::Last::yes);
    EXPECT_FALSE(file.look().programs[1].running);
}

TEST(StatusFile, FiguresOfAChildCountFromTheFork) {
    const StatusFile file;
    StatusWriter writer;
    ASSERT_EQ(writer.open(file.path()), 0);
    writer.publish(all_of(10));
    const auto end = test::in_child([&] {
        writer.publish(all_of(10));
        writer.publish(all_of(14));
        return 0;
    });
    ASSERT_TRUE(end.exited_with(0)) << end;
    writer.publish(all_of(11));
    const SeenPrograms seen = file.look();
    ASSERT_EQ(seen.programs.size(), 2U);
    EXPECT_EQ(seen.programs[0].status.counters, all_of(11).counters);
    EXPECT_EQ(seen.programs[1].status.counters, all_of(4).counters);
    EXPECT_NE(seen.programs[1].status.process.pid, seen.programs[0].status.process.pid);
}

TEST(StatusFile, ReusedSlotsLoseNoFigure) {
    constexpr std::uint64_t kPrograms = kStatusSlots + 5;
    const StatusFile file;
    const auto end = test::in_child([&] {
        for (std::uint64_t i = 0; i < kPrograms; ++i) {
            StatusWriter program;  // the next program of the same process
            if (program.open(file.path()) != 0) return 1;
            program.publish(all_of(1));
        }
        return 0;
    });
    ASSERT_TRUE(end.exited_with(0)) << end;
    const SeenPrograms seen = file.look();
    ProgramCounters sum = seen.earlier.counters;
    for (const SeenProgram& program : seen.programs) sum += program.status.counters;
    EXPECT_EQ(sum, all_of(kPrograms).counters);
    EXPECT_EQ(seen.earlier.programs + seen.programs.size(), kPrograms);
    EXPECT_EQ(seen.unheard, 0U);
    EXPECT_TRUE(std::is_sorted(seen.programs.begin(), seen.programs.end(),
                               [](const auto& a, const auto& b) { return a.status.claim < b.status.claim; }));
}

TEST(StatusFile, ProgramsWithoutAFreeSlotAreCounted) {
    const StatusFile file;
    const Memory memory{file};
    std::uint64_t number = 1000;
    for (StatusSlot& slot : memory->slots) {
        slot.owner = StatusSlot::owner_word(static_cast<std::uint64_t>(::getppid()), ++number);
    }
    StatusWriter writer;
    EXPECT_EQ(writer.open(file.path()), EUSERS);
    EXPECT_FALSE(writer.has_slot());
    writer.publish(all_of(1));
    EXPECT_EQ(file.look().unheard, 1U);
    EXPECT_TRUE(file.look().programs.empty());
}

TEST(StatusFile, FileWithoutFiguresCountsProgramsAndGivesNoSlots) {
    const StatusFile file{StatusFile::Figures::none};
    EXPECT_FALSE(file.entered());
    StatusWriter writer;
    ASSERT_EQ(writer.open(file.path()), 0);
    writer.publish(all_of(1));
    EXPECT_TRUE(file.entered());
    EXPECT_FALSE(writer.has_slot());
    EXPECT_FALSE(writer.wants_figures());
    EXPECT_TRUE(file.look().programs.empty());
    EXPECT_EQ(file.look().claims, 1U);
}

TEST(StatusFile, UnmanagedProgramsAreNamedAndCounted) {
    const StatusFile file{StatusFile::Figures::none};
    const auto end = test::in_child([&] {
        StatusWriter writer;
        if (writer.open(file.path()) != 0) return 1;
        for (int i = 0; i < 3; ++i) {
            writer.note_unmanaged(unmanaged_program("/usr/local/bin/hugo", Obstacle::statically_linked));
        }
        writer.note_unmanaged(unmanaged_program("hugo", Obstacle::environment_cleared));
        return 0;
    });
    ASSERT_TRUE(end.exited_with(0)) << end;
    const SeenPrograms seen = file.look();
    ASSERT_EQ(seen.unmanaged.size(), 2U);
    EXPECT_STREQ(seen.unmanaged[0].program.name.data(), "hugo");
    EXPECT_EQ(seen.unmanaged[0].program.obstacle, Obstacle::statically_linked);
    EXPECT_EQ(seen.unmanaged[0].starts, 3U);
    EXPECT_EQ(seen.unmanaged[1].program.obstacle, Obstacle::environment_cleared);
    EXPECT_EQ(seen.more_unmanaged, 0U);
}

TEST(StatusFile, UnmanagedProgramsBeyondTheTableAreCounted) {
    const StatusFile file;
    StatusWriter writer;
    ASSERT_EQ(writer.open(file.path()), 0);
    for (std::size_t i = 0; i < kUnmanagedEntries + 5; ++i) {
        writer.note_unmanaged(unmanaged_program("/bin/" + std::to_string(i), Obstacle::statically_linked));
    }
    EXPECT_EQ(file.look().unmanaged.size(), kUnmanagedEntries);
    EXPECT_EQ(file.look().more_unmanaged, 5U);
    const UnmanagedProgram cut = unmanaged_program(std::string(100, 'x'), Obstacle::musl);
    EXPECT_EQ(std::strlen(cut.name.data()), cut.name.size() - 1);
}

TEST(StatusFile, FileOfAnotherKindIsRefused) {
    const auto other = std::filesystem::temp_directory_path() / ("faultline-status-" + std::to_string(::getpid()));
    std::ofstream{other} << std::string(sizeof(StatusMemory), 'x');
    StatusWriter writer;
    EXPECT_EQ(writer.open(other.c_str()), EINVAL);
    std::filesystem::resize_file(other, 100);
    EXPECT_EQ(writer.open(other.c_str()), EINVAL);
    std::filesystem::remove(other);
    EXPECT_EQ(writer.open(other.c_str()), ENOENT);
    EXPECT_EQ(writer.open("/dev/null"), EINVAL);
    EXPECT_EQ(writer.open(std::string(10000, 'x')), ENAMETOOLONG);
    writer.publish(all_of(1));
    EXPECT_FALSE(writer.has_slot());
}

TEST(ProgramStatus, MapCellsShowTheShareOfEachState) {
    ProgramStatus status;
    std::vector<ResidencyCell> cells(2);
    cells[0] = {.untouched = 4096 * 100'000, .resident = 4096, .dirty = 4096};
    cells[1] = {.staged = 8192, .swapped = 8192};
    set_map(status, cells);
    EXPECT_EQ(status.map_used, 4096U * 100'005);
    EXPECT_EQ(status.map.front(), (MapCell{1, 1, 0, 0})) << "a single page must not round to zero";
    EXPECT_EQ(status.map.back(), (MapCell{0, 0, 127, 127}));
    EXPECT_EQ(map_cells(status).front().resident, 1U);
    EXPECT_EQ(map_cells(status).front().untouched, 254U);
    EXPECT_EQ(map_cells(status).back().swapped, 127U);
    set_map(status, {});
    EXPECT_EQ(status.map_used, 0U);
}

}  // namespace
}  // namespace faultline::run
