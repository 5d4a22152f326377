#include "display/format.hpp"
#include "mmu/delivery_trial.hpp"
#include "mmu/file_mappings.hpp"
#include "mmu/uffd_mappers.hpp"
#include "mmu/user_return.hpp"
#include "run/option_words.hpp"
#include "sys/userfaultfd.hpp"
#include "tool/doctor/doctor.hpp"

#include <faultline/types.hpp>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <exception>

namespace faultline::tool {
namespace {

constexpr const char* kMorePrivilege =
    "be root or have CAP_SYS_PTRACE, or as root: sysctl vm.unprivileged_userfaultfd=1, or give access to "
    "/dev/userfaultfd (Linux 6.1)";

bool has_capability(unsigned number) noexcept {
    __user_cap_header_struct header{};
    header.version = _LINUX_CAPABILITY_VERSION_3;
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
    if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
    return (data.at(number / 32).effective >> (number % 32) & 1) != 0;
}

void look_at_choice(Findings& findings) {
    try {
        const mmu::ChosenDelivery chosen = mmu::choose_delivery(Delivery::automatic, Eviction::automatic);
        // The following findings tell why not a better one.
        const bool second_best = chosen.reason.rfind("chosen, since", 0) == 0;
        findings.push_back({"delivery",
                            Verdict::good,
                            std::string{"automatic is "} + to_string(chosen.delivery) +
                                " here: " + (second_best ? "the first that works" : chosen.reason),
                            {}});
    } catch (const std::exception& error) {
        findings.push_back({"delivery", Verdict::bad, run::in_words_of_options(error.what()),
                            "unset FAULTLINE_DELIVERY if it is set"});
    }
}

void look_at_deliveries(Findings& findings) {
    struct Meaning {
        Delivery delivery;
        const char* works;
        const char* remedy;
    };
    constexpr std::array kMeanings{
        Meaning{Delivery::uffd_threads, "works: system calls on absent pages fault like any access",
                "see userfaultfd, below"},
        Meaning{Delivery::uffd_signal, "works without privilege: buffers of system calls are pinned first",
                "a kernel with CONFIG_USERFAULTFD (5.18 or later), and no seccomp filter against it"},
        Meaning{Delivery::sigsegv, "works without userfaultfd: buffers of system calls are pinned first",
                "remove the cause named here; ulimit -f must be unlimited"},
    };
    for (const Meaning& meaning : kMeanings) {
        const std::string obstacle = run::in_words_of_options(mmu::try_delivery(meaning.delivery));
        const bool works = obstacle.empty();
        findings.push_back({to_string(meaning.delivery), works ? Verdict::good : Verdict::less,
                            works ? meaning.works : "does not work: " + obstacle, works ? "" : meaning.remedy});
    }
}

/// Reports the system's settings for userfaultfd, whatever the trials above have shown.
void look_at_permissions(Findings& findings) {
    const std::string open_to_all = first_word_of("/proc/sys/vm/unprivileged_userfaultfd");
    const bool device = ::access("/dev/userfaultfd", F_OK) == 0;
    const bool usable = ::access("/dev/userfaultfd", R_OK | W_OK) == 0;
    const bool capable = has_capability(CAP_SYS_PTRACE);
    std::string features = "no userfaultfd";
    try {
        features =
            display::printed("features 0x%llx", static_cast<unsigned long long>(sys::Userfaultfd::offered_features()));
    } catch (const std::exception& error) {
        features = run::in_words_of_options(error.what());
    }
    const bool privileged = capable || usable || open_to_all == "1";
    findings.push_back({"userfaultfd", privileged ? Verdict::good : Verdict::less,
                        features + "; vm.unprivileged_userfaultfd is " +
                            (open_to_all.empty() ? "missing" : open_to_all) + "; /dev/userfaultfd " +
                            (usable   ? "can be used"
                             : device ? "is not open to this user"
                                      : "does not exist") +
                            "; CAP_SYS_PTRACE: " + (capable ? "yes" : "no"),
                        privileged ? "" : kMorePrivilege});
}

void look_at_moving(Findings& findings) {
    try {
        sys::Userfaultfd uffd{sys::Userfaultfd::Notify::by_sigbus};
        const bool moves = mmu::choose_uffd_eviction(uffd, Eviction::automatic) == Eviction::move;
        findings.push_back(
            {"UFFDIO_MOVE", moves ? Verdict::good : Verdict::less,
             moves ? "works: pages are evicted without a copy" : "is not available: pages are copied for eviction",
             moves ? "" : "Linux 6.8 or later"});
    } catch (const std::exception& error) {
        findings.push_back({"UFFDIO_MOVE", Verdict::less, run::in_words_of_options(error.what()), {}});
    }
}

void look_at_guards(Findings& findings) {
    try {
        const bool guards = mmu::FileMappings{Eviction::automatic}.uses_guards();
        findings.push_back({"guard markers", guards ? Verdict::good : Verdict::less,
                            guards
                                ? "work: under sigsegv an unmapped page takes no mapping of its own"
                                : "are not available: under sigsegv scattered pages take mappings (vm.max_map_count)",
                            guards ? "" : "Linux 6.15 or later, or another delivery"});
    } catch (const std::exception& error) {
        findings.push_back({"guard markers", Verdict::less, run::in_words_of_options(error.what()), {}});
    }
}

void look_at_return(Findings& findings) {
    const char* const obstacle = mmu::user_return_obstacle();
    findings.push_back({"fault handler",
                        obstacle == nullptr ? Verdict::good : Verdict::less,
                        obstacle == nullptr ? "returns in user space, unless it runs on an alternate stack"
                                            : std::string{"returns through the kernel: "} + obstacle,
                        {}});
}

}  // namespace

void look_at_faults(Findings& findings) {
    look_at_choice(findings);
    look_at_deliveries(findings);
    look_at_permissions(findings);
    look_at_moving(findings);
    look_at_guards(findings);
    look_at_return(findings);
}

}  // namespace faultline::tool
