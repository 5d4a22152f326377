// A table of functions as a ReplacementPolicy.

#include "api/c/sized_struct.hpp"
#include "api/c/tables.hpp"

#include <cerrno>

namespace faultline::api {
namespace {

class TablePolicy final : public ReplacementPolicy {
public:
    TablePolicy(const faultline_policy& table, const PolicySetup& setup) : table_{table} {
        const faultline_policy_setup given{sizeof given, setup.capacity, setup.frames, setup.staging_percent};
        errno = 0;
        policy_ = table_.create(table_.context, &given);
        if (policy_ == nullptr) sys::throw_error(errno != 0 ? errno : EINVAL, "faultline_policy.create returned NULL");
    }
    ~TablePolicy() override {
        if (table_.destroy != nullptr) table_.destroy(policy_);
    }
    TablePolicy(const TablePolicy&) = delete;
    TablePolicy& operator=(const TablePolicy&) = delete;

    void mapped(FrameId frame, const Arrival& arrival) noexcept override {
        const faultline_arrival given{static_cast<int>(arrival.kind), arrival.evictions_ago, arrival.tag};
        table_.mapped(policy_, frame, &given);
    }
    [[nodiscard]] Victim victim() noexcept override {
        const faultline_victim chosen = table_.victim(policy_);
        const bool small = chosen.tag <= Victim::kMaxTag;  // a larger one must stay larger
        return {chosen.frame, static_cast<std::uint8_t>(small ? chosen.tag : Victim::kMaxTag + 1U)};
    }
    void put_back(FrameId frame) noexcept override { table_.put_back(policy_, frame); }
    void removed(FrameId frame) noexcept override { table_.removed(policy_, frame); }
    void referenced(FrameId frame) noexcept override {
        if (table_.referenced != nullptr) table_.referenced(policy_, frame);
    }
    void demote(FrameId frame) noexcept override {
        if (table_.demote != nullptr) table_.demote(policy_, frame);
    }
    [[nodiscard]] std::size_t staging_target(std::size_t frames) const noexcept override {
        return table_.staging_target != nullptr ? table_.staging_target(policy_, frames) : 0;
    }
    void resized(std::size_t frames) noexcept override {
        if (table_.resized != nullptr) table_.resized(policy_, frames);
    }
    [[nodiscard]] std::size_t bytes_per_frame() const noexcept override { return table_.bytes_per_frame; }

private:
    faultline_policy table_;
    void* policy_ = nullptr;
};

}  // namespace

PolicyFactory policy_of(const faultline_policy* given) {
    if (given == nullptr) return {};
    const faultline_policy table = read_sized(given, FAULTLINE_SIZED(faultline_policy, bytes_per_frame));
    if (table.create == nullptr || table.mapped == nullptr || table.victim == nullptr || table.put_back == nullptr ||
        table.removed == nullptr) {
        sys::throw_error(EINVAL, "faultline_policy: create, mapped, victim, put_back and removed must not be NULL");
    }
    return [table](const PolicySetup& setup) { return std::make_unique<TablePolicy>(table, setup); };
}

}  // namespace faultline::api
