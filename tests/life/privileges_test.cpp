// A process changes its user, groups or root directory while a pager lives. The C library changes the ids of every
// thread, the pager's too, and waits for each. The pager must then work without the privileges that it started with.

#include "life/life_support.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace faultline::test {
namespace {

constexpr uid_t kNobody = 65534;

/// Changes all user and group ids of the process from root to nobody, permanently. In the process of an ordinary user
/// the same calls set the ids to their present values.
void give_up_privileges(Verdict& verdict) {
    const bool root = ::getuid() == 0;
    const gid_t group = root ? kNobody : ::getgid();
    const uid_t user = root ? kNobody : ::getuid();
    if (root) verdict.expect(::setgroups(0, nullptr) == 0, "setgroups succeeds");
    verdict.expect(::setresgid(group, group, group) == 0, "setresgid succeeds");
    verdict.expect(::setresuid(user, user, user) == 0, "setresuid succeeds");
}

/// Counts the threads of this process whose real user differs from the caller's.
std::size_t threads_of_others() {
    std::size_t others = 0;
    for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
        std::ifstream status{task.path() / "status"};
        for (std::string line; std::getline(status, line);) {
            if (line.rfind("Uid:", 0) == 0 && std::stoul(line.substr(4)) != ::getuid()) ++others;
        }
    }
    return others;
}

/// Makes and destroys a pager. Ignores a refusal: another thread may have changed the user to one without privileges.
void make_pager_if_permitted(const Config& config) {
    try {
        const Pager another{config};
    } catch (const std::system_error& refusal) {
        if (!not_permitted(refusal)) throw;
    }
}

class Privileges : public LifeMatrix {
protected:
    /// Does what live() does, with a pager that children inherit.
    [[nodiscard]] ChildEnd live_inherited(const Body& body, const std::function<void()>& before = {}) const {
        return in_child([&] {
            Verdict verdict;
            if (before) before();
            Config config = config_with(kLifeFrames);
            config.fork = ForkPolicy::inherit;
            Pager pager{config};
            Region region = pager.reserve(kLifePages * GetParam().page_size, options());
            fill_with_units(region);
            body(pager, region, verdict);
            verdict.expect(wrong_words(region) == 0, "the region keeps its bytes");
            return verdict.code();
        });
    }
};

/// Expects that a child and its own child read the region's contents and can write to it.
void expect_inherited(Region& region, Verdict& verdict) {
    const auto use = [&] {
        if (wrong_words(region) != 0) return 1;
        fill_with_units(region);
        evict_all(region);
        return wrong_words(region) == 0 ? 0 : 2;
    };
    const ChildEnd end = in_child([&] {
        if (const int code = use()) return code;
        return in_child(use).exited_with(0) ? 0 : 3;
    });
    if (!end.exited_with(0)) std::cerr << end << std::endl;
    verdict.expect(end.exited_with(0), "children read the parent's bytes and can write");
}

TEST_P(Privileges, EveryThreadTakesTheNewUserAndThePagerWorks) {
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager& pager, Region& region, Verdict& verdict) {
        give_up_privileges(verdict);
        verdict.expect(threads_of_others() == 0, "no thread keeps the old user");
        verdict.expect(wrong_words(region) == 0, "swapped pages are readable");
        fill_with_units(region);
        evict_all(region);
        Region later = pager.reserve(kLifePages * GetParam().page_size, options());
        fill_with_units(later);
        verdict.expect(wrong_words(later) == 0, "a region made later works");
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Privileges, UserMayChangeWhileThreadsFaultAndForkAndMakePagers) {
    constexpr int kRounds = 30;
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live_inherited([&](Pager&, Region& region, Verdict& verdict) {
        std::atomic<std::size_t> wrong{0};
        std::atomic<bool> done{false};
        const uid_t user = ::geteuid();
        const auto change_users = [&] {
            for (int round = 0; round < 20 * kRounds; ++round) {
                if (::seteuid(user == 0 && round % 2 == 0 ? kNobody : user) != 0) ++wrong;
            }
            done.store(true);
        };
        const auto fault = [&] {
            Random random{seed()};
            while (!done.load()) {
                if (!unit_is_right(region, random.below(units_of(region)))) ++wrong;
            }
        };
        const auto fork_and_make_pagers = [&] {
            for (int round = 0; round < kRounds; ++round) {
                const pid_t child = ::fork();
                if (child == 0) ::_exit(unit_is_right(region, 0) ? 0 : 1);
                int status = -1;
                if (::waitpid(child, &status, 0) != child || status != 0) ++wrong;
                make_pager_if_permitted(config_with(kLifeFrames));
            }
        };
        run_threads(3, [&](unsigned index) {
            index == 0 ? change_users() : index == 1 ? fault() : fork_and_make_pagers();
        });
        verdict.expect(wrong.load() == 0, "contents stay right while ids change");
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Privileges, ChildrenOfAProcessWithoutItsPrivilegesInheritItsMemory) {
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live_inherited([&](Pager&, Region& region, Verdict& verdict) {
        give_up_privileges(verdict);
        expect_inherited(region, verdict);
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Privileges, ChildrenOfAProcessInAnotherRootInheritItsMemory) {
    if (::getuid() != 0) GTEST_SKIP() << "chroot needs root";
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live_inherited([&](Pager&, Region& region, Verdict& verdict) {
        verdict.expect(::chroot("/proc/self/fdinfo") == 0 && ::chdir("/") == 0,
                       "chroot to a directory without usable files succeeds");
        expect_inherited(region, verdict);
        give_up_privileges(verdict);
        expect_inherited(region, verdict);
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

/// Without /dev/userfaultfd only a privileged process gets faults that the kernel itself raises.
TEST_P(Privileges, ChildrenUseSignalDeliveryWhenThreadDeliveryNeedsALostPrivilege) {
    if (GetParam().delivery != Delivery::uffd_threads) GTEST_SKIP() << "the other deliveries need no privilege";
    if (::getuid() != 0) GTEST_SKIP() << "hiding /dev/userfaultfd needs root";
    FAULTLINE_LIVE_OR_SKIP();
    const auto hide_device = [] {
        if (::access("/dev/userfaultfd", F_OK) != 0) return;
        if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("/dev/null", "/dev/userfaultfd", nullptr, MS_BIND, nullptr) != 0) {
            throw std::system_error(errno, std::generic_category(), "cannot hide /dev/userfaultfd");
        }
    };
    const ChildEnd end = live_inherited(
        [&](Pager& pager, Region& region, Verdict& verdict) {
            give_up_privileges(verdict);
            verdict.expect(pager.delivery() == Delivery::uffd_threads, "the parent keeps thread delivery");
            const ChildEnd child =
                in_child([&] { return pager.delivery() == Delivery::uffd_signal && wrong_words(region) == 0 ? 0 : 1; });
            verdict.expect(child.exited_with(0), "a child uses signal delivery and reads the parent's bytes");
            expect_inherited(region, verdict);
        },
        hide_device);
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_NE(end.said.find("by uffd_signal instead of uffd_threads"), std::string::npos) << end;
}

INSTANTIATE_TEST_SUITE_P(Matrix, Privileges, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
