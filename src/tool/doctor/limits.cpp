#include "display/format.hpp"
#include "run/option_words.hpp"
#include "run/program_heap.hpp"
#include "run/size_text.hpp"
#include "sys/mapping_budget.hpp"
#include "tool/doctor/doctor.hpp"

#include <sys/resource.h>

#include <cstdint>
#include <exception>

namespace faultline::tool {
namespace {

/// Returns the soft limit; RLIM_INFINITY if it is unknown.
rlim_t limit_of(__rlimit_resource resource) noexcept {
    rlimit limit{};
    return ::getrlimit(resource, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

std::string bytes_or_all(rlim_t limit) {
    return limit == RLIM_INFINITY ? "unlimited" : display::format_bytes(std::uint64_t{limit});
}

/// Makes a heap as a program's is made: reports what the kernel grants, not what the settings ask for.
void look_at_heap(Findings& findings, const run::Settings& settings) {
    const std::string overcommit = first_word_of("/proc/sys/vm/overcommit_memory");
    const std::string limits = "RLIMIT_AS is " + bytes_or_all(limit_of(RLIMIT_AS)) + ", RLIMIT_DATA is " +
                               bytes_or_all(limit_of(RLIMIT_DATA)) + ", vm.overcommit_memory is " +
                               (overcommit.empty() ? "unknown" : overcommit);
    constexpr const char* kRemedy =
        "ulimit -v unlimited; ulimit -d unlimited; as root: sysctl vm.overcommit_memory=0; or another size: run --heap";
    const std::string wanted = run::size_text(settings.heap_reservation);
    try {
        const std::size_t given = run::make_program_heap(settings).reservation;
        if (given == settings.heap_reservation) {
            findings.push_back({"addresses", Verdict::good, wanted + " for a heap can be reserved; " + limits, {}});
        } else {
            findings.push_back({"addresses", Verdict::less,
                                wanted + " for a heap cannot be reserved: a program gets " + run::size_text(given) +
                                    ", which is the most that it can allocate; " + limits,
                                kRemedy});
        }
    } catch (const std::exception& error) {
        findings.push_back({"addresses", Verdict::bad,
                            "no program can be run with a heap of " + wanted + ": " +
                                run::in_words_of_options(error.what()) + "; " + limits,
                            kRemedy});
    }
}

void look_at_mappings(Findings& findings) {
    const std::string allowed = first_word_of("/proc/sys/vm/max_map_count");
    sys::MappingBudget::recount();
    const std::int64_t left = sys::MappingBudget::limit();
    const bool enough = left >= 16'384;
    findings.push_back({"mappings", enough ? Verdict::good : Verdict::less,
                        "vm.max_map_count is " + (allowed.empty() ? "unknown" : allowed) + ", " +
                            display::format_count(static_cast<std::uint64_t>(left)) +
                            " of them are left for pages (matters to sigsegv without guard markers only)",
                        enough ? "" : "as root: sysctl vm.max_map_count=1048576"});
}

void look_at_descriptors(Findings& findings) {
    constexpr rlim_t kNeeded = 64;  // a heap takes about ten; the rest is for the program
    constexpr rlim_t kPlenty = 1024;
    const rlim_t allowed = limit_of(RLIMIT_NOFILE);
    const Verdict verdict = allowed >= kPlenty ? Verdict::good : allowed >= kNeeded ? Verdict::less : Verdict::bad;
    findings.push_back({"descriptors", verdict, "RLIMIT_NOFILE is " + std::to_string(allowed),
                        verdict == Verdict::good ? "" : "ulimit -n 1024"});
}

void look_at_sizes(Findings& findings) {
    const rlim_t file = limit_of(RLIMIT_FSIZE);
    findings.push_back({"file size", file == RLIM_INFINITY ? Verdict::good : Verdict::less,
                        "RLIMIT_FSIZE is " + bytes_or_all(file),
                        file == RLIM_INFINITY ? "" : "ulimit -f unlimited: the swap file of a heap may become large"});
    findings.push_back({"locked memory",
                        Verdict::good,
                        "RLIMIT_MEMLOCK is " + bytes_or_all(limit_of(RLIMIT_MEMLOCK)) + "; nothing is locked",
                        {}});
}

}  // namespace

void look_at_limits(Findings& findings, const run::Settings& settings) {
    look_at_heap(findings, settings);
    look_at_mappings(findings);
    look_at_descriptors(findings);
    look_at_sizes(findings);
}

}  // namespace faultline::tool
