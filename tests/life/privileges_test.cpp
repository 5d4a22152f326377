// A process that changes its user, its groups or its root while a pager lives. The C library changes the ids of every
// thread, the pager's too, and waits for each of them; what the pager needs later it must not need a privilege for.

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

/// Gives up root for good; an ordinary user becomes what he is, which takes the same road.
void give_up_privileges(Verdict& verdict) {
    const bool root = ::getuid() == 0;
    const gid_t group = root ? kNobody : ::getgid();
    const uid_t user = root ? kNobody : ::getuid();
    if (root) verdict.expect(::setgroups(0, nullptr) == 0, "the groups can be given up");
    verdict.expect(::setresgid(group, group, group) == 0, "the group can be changed");
    verdict.expect(::setresuid(user, user, user) == 0, "the user can be changed");
}

/// The threads of this process whose real user is another.
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

/// Another user may be in force just then.
void make_pager_if_permitted(const Config& config) {
    try {
        const Pager another{config};
    } catch (const std::system_error& refusal) {
        if (!not_permitted(refusal)) throw;
    }
}

class Privileges : public LifeMatrix {
protected:
    /// As `live`, with a pager that children inherit.
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
            verdict.expect(wrong_words(region) == 0, "the region is as it was filled");
            return verdict.code();
        });
    }
};

/// A child, and a child of the child, have the contents and can write.
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
    verdict.expect(end.exited_with(0), "a child has what its parent had");
}

TEST_P(Privileges, EveryThreadTakesTheNewUserAndThePagerGoesOn) {
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager& pager, Region& region, Verdict& verdict) {
        give_up_privileges(verdict);
        verdict.expect(threads_of_others() == 0, "no thread has kept the old user");
        verdict.expect(wrong_words(region) == 0, "what was swapped can be read");
        fill_with_units(region);
        evict_all(region);
        Region later = pager.reserve(kLifePages * GetParam().page_size, options());
        fill_with_units(later);
        verdict.expect(wrong_words(later) == 0, "a region can be made");
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Privileges, UserCanBeChangedAgainAndAgainWhileThreadsFaultAndForkAndPagersComeAndGo) {
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
        verdict.expect(wrong.load() == 0, "ids change, contents do not");
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
    if (::getuid() != 0) GTEST_SKIP() << "only root can change its root";
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live_inherited([&](Pager&, Region& region, Verdict& verdict) {
        verdict.expect(::chroot("/proc/self/fdinfo") == 0 && ::chdir("/") == 0, "a root with nothing of use in it");
        expect_inherited(region, verdict);
        give_up_privileges(verdict);
        expect_inherited(region, verdict);
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

/// Where there is no /dev/userfaultfd, only a privilege gives the kernel's own faults.
TEST_P(Privileges, ChildrenTakeFaultsBySignalWhereThreadsNeedALostPrivilege) {
    if (GetParam().delivery != Delivery::uffd_threads) GTEST_SKIP() << "the others need no privilege";
    if (::getuid() != 0) GTEST_SKIP() << "only root can hide a device";
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
            verdict.expect(pager.delivery() == Delivery::uffd_threads, "the parent goes on as before");
            const ChildEnd child =
                in_child([&] { return pager.delivery() == Delivery::uffd_signal && wrong_words(region) == 0 ? 0 : 1; });
            verdict.expect(child.exited_with(0), "a child takes its faults by signal");
            expect_inherited(region, verdict);
        },
        hide_device);
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_NE(end.said.find("by uffd_signal instead of uffd_threads"), std::string::npos) << end;
}

INSTANTIATE_TEST_SUITE_P(Matrix, Privileges, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
