#include "display/format.hpp"
#include "run/size_text.hpp"
#include "sys/mapping.hpp"
#include "sys/mapping_budget.hpp"
#include "tool/doctor/doctor.hpp"

#include <faultline/heap.hpp>

#include <sys/resource.h>

#include <cstdint>
#include <exception>

namespace faultline::tool {
namespace {

/// Of the soft limit; RLIM_INFINITY where it cannot be told.
rlim_t limit_of(__rlimit_resource resource) noexcept {
    rlimit limit{};
    return ::getrlimit(resource, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

std::string bytes_or_all(rlim_t limit) {
    return limit == RLIM_INFINITY ? "unlimited" : display::format_bytes(std::uint64_t{limit});
}

/// Not what the settings promise, but whether the kernel gives the addresses.
void look_at_addresses(Findings& findings, std::size_t heap_reservation) {
    const std::string overcommit = first_word_of("/proc/sys/vm/overcommit_memory");
    const std::string settings = "RLIMIT_AS is " + bytes_or_all(limit_of(RLIMIT_AS)) + ", vm.overcommit_memory is " +
                                 (overcommit.empty() ? "unknown" : overcommit);
    const std::string wanted = run::size_text(heap_reservation) + " for a heap";
    try {
        const sys::Mapping heap =
            sys::Mapping::reserve(heap_reservation + heap_reservation / 4, 4096, false, "a trial heap");
        findings.push_back({"addresses", Verdict::good, wanted + " can be reserved; " + settings, {}});
    } catch (const std::exception& error) {
        // The default is made smaller where there are not so many addresses.
        const bool by_default = heap_reservation == HeapConfig{}.reservation;
        findings.push_back(
            {"addresses", by_default ? Verdict::less : Verdict::bad, wanted + " cannot be reserved; " + settings,
             "ulimit -v unlimited; as root: sysctl vm.overcommit_memory=0; or a smaller heap: run --heap"});
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
                            " of them for pages (sigsegv without guard markers only)",
                        enough ? "" : "as root: sysctl vm.max_map_count=1048576"});
}

void look_at_descriptors(Findings& findings) {
    constexpr rlim_t kNeeded = 64;  // a heap takes ten or so; the rest is the program's
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

void look_at_limits(Findings& findings, std::size_t heap_reservation) {
    look_at_addresses(findings, heap_reservation);
    look_at_mappings(findings);
    look_at_descriptors(findings);
    look_at_sizes(findings);
}

}  // namespace faultline::tool
