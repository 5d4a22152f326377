// A table of functions as a Store.

#include "api/c/sized_struct.hpp"
#include "api/c/tables.hpp"

#include <cerrno>
#include <span>

namespace faultline::api {
namespace {

class TableStore final : public Store {
public:
    explicit TableStore(const faultline_store& table) noexcept : table_{table} {}
    ~TableStore() override {
        if (table_.destroy != nullptr) table_.destroy(table_.context);
    }
    TableStore(const TableStore&) = delete;
    TableStore& operator=(const TableStore&) = delete;

    [[nodiscard]] std::uint64_t size() const noexcept override { return table_.bytes; }
    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) override {
        return table_.read(table_.context, offset, into.data(), into.size());
    }
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) override {
        return table_.write(table_.context, offset, from.data(), from.size());
    }
    void discard(std::uint64_t offset, std::uint64_t bytes) override {
        if (table_.discard != nullptr) table_.discard(table_.context, offset, bytes);
    }
    [[nodiscard]] unsigned concurrency() const noexcept override {
        return table_.concurrency != 0 ? table_.concurrency : Store::concurrency();
    }
    [[nodiscard]] bool is_signal_safe() const noexcept override {
        return (table_.flags & FAULTLINE_STORE_SIGNAL_SAFE) != 0;
    }

private:
    faultline_store table_;
};

}  // namespace

std::shared_ptr<Store> store_of(const faultline_store* given) {
    if (given == nullptr) return nullptr;
    const faultline_store table = read_sized(given, FAULTLINE_SIZED(faultline_store, destroy));
    if (table.read == nullptr || table.write == nullptr) {
        sys::throw_error(EINVAL, "faultline_store: read and write must not be NULL");
    }
    if ((table.flags & ~FAULTLINE_STORE_SIGNAL_SAFE) != 0) {
        sys::throw_error(EINVAL, "faultline_store.flags has unknown bits set; valid is FAULTLINE_STORE_SIGNAL_SAFE");
    }
    return std::make_shared<TableStore>(table);
}

}  // namespace faultline::api
