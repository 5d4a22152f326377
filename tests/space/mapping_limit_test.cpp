// In a process with as many mappings as the kernel allows: a call that needs one more is refused, and nothing is lost.
// Under `sigsegv`, closing pages needs none.
#include "space/space_fixture.hpp"
#include "support/all_mappings.hpp"
#include "support/child.hpp"

#include <array>
#include <cerrno>
#include <functional>
#include <string>
#include <system_error>

namespace faultline::test {
namespace {

class MappingLimit : public VariantTest {
protected:
    void SetUp() override {
        if (kSanitized) GTEST_SKIP() << "a sanitizer needs mappings of its own";
        VariantTest::SetUp();
    }
    static constexpr std::size_t kPages = 9;

    static void fill(std::byte* at) {
        for (std::size_t page = 0; page < kPages; ++page) write_stamps(at + page * kPage, kPage, stamp(page));
    }
    static bool is_filled(const std::byte* at) {
        for (std::size_t page = 0; page < kPages; ++page) {
            if (!has_stamps(at + page * kPage, kPage, stamp(page))) return false;
        }
        return true;
    }
    static bool no_mapping_is_left(const std::function<void()>& call) {
        try {
            call();
            return false;
        } catch (const std::system_error& error) {
            return error.code().value() == ENOMEM &&
                   std::string(error.what()).find("vm.max_map_count") != std::string::npos;
        }
    }
};

TEST_P(MappingLimit, UnmappingAPartIsRefusedAndKeepsTheContents) {
    const ChildEnd end = in_child([] {
        const FaultCatcher catcher;
        Pager pager{config_for(GetParam(), 64 * kPage)};
        AddressSpace space{pager};
        const PatternFile file{kPages * kPage};
        std::byte* const mine = space.map_anonymous(kPages * kPage);
        std::byte* const shared = space.map_file(file.fd(), 0, kPages * kPage, {.shared = true});
        fill(mine);
        fill(shared);
        const std::string before = space.maps();
        {
            const AllMappings others;
            if (!no_mapping_is_left([&] { space.unmap(mine + 3 * kPage, 2 * kPage); })) return 1;
            if (!no_mapping_is_left([&] { space.unmap(shared + 3 * kPage, 2 * kPage); })) return 2;
            if (!is_filled(mine) || !is_filled(shared)) return 3;
        }
        if (space.maps() != before) return 4;
        fill(mine);
        fill(shared);
        space.unmap(mine + 3 * kPage, 2 * kPage);
        space.unmap(shared + 3 * kPage, 2 * kPage);
        if (FaultCatcher::read(mine + 3 * kPage).code != SEGV_MAPERR) return 5;
        if (FaultCatcher::read(shared + 4 * kPage).code != SEGV_MAPERR) return 6;
        return load_word(mine + 5 * kPage) == stamp(5) && load_word(shared + 5 * kPage) == stamp(5) ? 0 : 7;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(MappingLimit, ABreakThatCannotFallStaysAndKeepsTheContents) {
    const ChildEnd end = in_child([] {
        Pager pager{config_for(GetParam(), 64 * kPage)};
        AddressSpace space{pager};
        std::byte* const heap = space.sbrk(static_cast<std::ptrdiff_t>(kPages * kPage));
        std::byte* const top = heap + kPages * kPage;
        fill(heap);
        std::byte* told = nullptr;
        {
            const AllMappings others;
            told = space.brk(heap + 4 * kPage);
        }
        if (told != top || !is_filled(heap)) return 1;
        if (space.brk(heap + 4 * kPage) != heap + 4 * kPage || space.brk(top) != top) return 2;
        return load_word(heap + 3 * kPage) == stamp(3) && load_word(heap + 4 * kPage) == 0 ? 0 : 3;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

INSTANTIATE_TEST_SUITE_P(Deliveries, MappingLimit,
                         ::testing::Values(Variant{Delivery::uffd_signal, Eviction::move},
                                           Variant{Delivery::uffd_threads, Eviction::copy}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
