// LinkedTable: a chained hash table whose buckets, nodes and values are blocks of a managed heap, with a shadow of its
// contents in ordinary memory. It grows and shrinks as tables of programs do: the buckets double and halve by
// reallocation, which relinks every node. A page that loses its bytes breaks a chain, and the next operation that walks
// the chain reports the lost block.
#pragma once

#include <faultline/heap.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace faultline::test {

/// Thrown if a block does not hold what was written to it.
class LostBlock : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Not thread-safe. Functions throw LostBlock, after which only the destructor may be called, and std::bad_alloc.
class LinkedTable {
public:
    /// Holds keys from 0 to `keys` - 1. `salt` makes its blocks differ from those of other tables.
    LinkedTable(Heap& heap, std::uint32_t keys, std::uint64_t salt)
        : heap_{heap}, salt_{salt}, versions_(keys), buckets_{allocate_buckets(kFewestBuckets)} {}
    ~LinkedTable() {
        if (!lost_) free_all();
    }
    LinkedTable(const LinkedTable&) = delete;
    LinkedTable& operator=(const LinkedTable&) = delete;

    [[nodiscard]] std::uint32_t keys() const noexcept { return static_cast<std::uint32_t>(versions_.size()); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Adds the key, or gives it a new value.
    void put(std::uint32_t key) {
        remove(key);
        const std::uint32_t version = ++versions_[key];
        Node*& head = buckets_[bucket_of(key)];
        auto* const node = new (heap_.allocate(sizeof(Node))) Node{head, make_value(key, version), seal(key, version)};
        head = node;
        if (++size_ > bucket_count_) resize(bucket_count_ * 2);
    }

    /// Removes the key, if it is in the table.
    void remove(std::uint32_t key) {
        Node** link = &buckets_[bucket_of(key)];
        while (*link != nullptr && checked(**link).value->key != key) link = &(*link)->next;
        Node* const node = *link;
        if ((node != nullptr) != is_held(key)) lose("the chain of key " + std::to_string(key), link);
        if (node == nullptr) return;
        *link = node->next;
        heap_.deallocate(node->value);
        heap_.deallocate(node);
        ++versions_[key];
        --size_;
        if (size_ < bucket_count_ / 4 && bucket_count_ > kFewestBuckets) resize(bucket_count_ / 2);
    }

    /// Compares the key's chain and value with the shadow.
    void check(std::uint32_t key) const {
        for (const Node* node = buckets_[bucket_of(key)]; node != nullptr; node = node->next) {
            if (checked(*node).value->key == key) return check_value(*node->value);
        }
        if (is_held(key)) lose("the node of key " + std::to_string(key), &buckets_[bucket_of(key)]);
    }
    void check_all() const {
        for (std::uint32_t key = 0; key < keys(); ++key) check(key);
    }

private:
    struct Value {
        std::uint32_t key;
        std::uint32_t words;
        std::uint64_t word[1];  // `words` words in fact
    };
    struct Node {
        Node* next;
        Value* value;
        std::uint64_t seal;
    };

    static constexpr std::size_t kFewestBuckets = 8;

    // A key's version is odd while the key is in the table.
    [[nodiscard]] bool is_held(std::uint32_t key) const noexcept { return versions_[key] % 2 == 1; }
    [[nodiscard]] std::size_t bucket_of(std::uint32_t key) const noexcept {
        return static_cast<std::size_t>(mix(key) & (bucket_count_ - 1));
    }
    [[nodiscard]] std::uint64_t mix(std::uint64_t from) const noexcept {
        from = (from ^ salt_) * 0x9e37'79b9'7f4a'7c15U;
        return from ^ from >> 29;
    }
    [[nodiscard]] std::uint64_t seal(std::uint32_t key, std::uint32_t version) const noexcept {
        return mix(std::uint64_t{version} << 32 | key) | 1;
    }
    [[nodiscard]] static std::size_t words_of(std::uint32_t key, std::uint32_t version) noexcept {
        return 1 + (key * 7 + version) % 24;
    }

    [[nodiscard]] Node** allocate_buckets(std::size_t count) {
        auto** const buckets = static_cast<Node**>(heap_.allocate(count * sizeof(Node*)));
        std::memset(static_cast<void*>(buckets), 0, count * sizeof(Node*));
        return buckets;
    }
    [[nodiscard]] Value* make_value(std::uint32_t key, std::uint32_t version) {
        const std::size_t words = words_of(key, version);
        auto* const value = static_cast<Value*>(heap_.allocate(sizeof(Value) + (words - 1) * sizeof(std::uint64_t)));
        value->key = key;
        value->words = static_cast<std::uint32_t>(words);
        for (std::size_t i = 0; i < words; ++i) value->word[i] = seal(key, version) + i;
        return value;
    }

    /// Returns the node if it is intact: it is a block of the heap, and its seal matches its key.
    const Node& checked(const Node& node) const {
        if (!heap_.owns(&node)) lose("a link to a node", &node);
        if (node.value == nullptr || !heap_.owns(node.value)) lose("a node", &node);
        const std::uint32_t key = node.value->key;
        if (key >= keys() || node.seal != seal(key, versions_[key])) lose("a node or its value", &node);
        return node;
    }
    void check_value(const Value& value) const {
        const std::uint32_t version = versions_[value.key];
        if (value.words != words_of(value.key, version)) lose("the length of a value", &value);
        for (std::size_t i = 0; i < value.words; ++i) {
            if (value.word[i] != seal(value.key, version) + i) lose("a value", &value);
        }
    }

    void resize(std::size_t count) {
        std::vector<Node*> nodes;
        nodes.reserve(size_);
        for (std::size_t bucket = 0; bucket < bucket_count_; ++bucket) {
            for (Node* node = buckets_[bucket]; node != nullptr; node = node->next) {
                if (nodes.size() == size_) lose("a chain, which has more nodes than the table", node);
                nodes.push_back(node);
                static_cast<void>(checked(*node));
            }
        }
        if (nodes.size() != size_) lose("a chain, whose nodes are not all there", buckets_);
        void* const resized = heap_.try_reallocate(static_cast<void*>(buckets_), count * sizeof(Node*));
        if (resized == nullptr) throw std::bad_alloc{};
        buckets_ = static_cast<Node**>(resized);
        bucket_count_ = count;
        std::memset(resized, 0, count * sizeof(Node*));
        for (Node* const node : nodes) {
            Node*& head = buckets_[bucket_of(node->value->key)];
            node->next = head;
            head = node;
        }
    }

    void free_all() noexcept {
        for (std::size_t bucket = 0; bucket < bucket_count_; ++bucket) {
            while (Node* const node = buckets_[bucket]) {
                buckets_[bucket] = node->next;
                heap_.deallocate(node->value);
                heap_.deallocate(node);
            }
        }
        heap_.deallocate(static_cast<void*>(buckets_));
    }

    /// Reports `what` with the number of zero words in its page. All zeros: the whole page was lost.
    [[noreturn]] void lose(const std::string& what, const void* at) const {
        lost_ = true;
        std::string message = what + " was lost";
        if (heap_.owns(at)) {
            const auto* const page =
                reinterpret_cast<const std::uint64_t*>(reinterpret_cast<std::uintptr_t>(at) & ~(kBasePageBytes - 1));
            constexpr std::size_t kWords = kBasePageBytes / sizeof(std::uint64_t);
            std::size_t zeros = 0;
            for (std::size_t i = 0; i < kWords; ++i) zeros += page[i] == 0 ? 1 : 0;
            message += "; of the " + std::to_string(kWords) + " words of its page " + std::to_string(zeros) + " are 0";
        }
        throw LostBlock{message};
    }

    Heap& heap_;
    std::uint64_t salt_;
    std::vector<std::uint32_t> versions_;  // the shadow
    std::size_t size_ = 0;
    std::size_t bucket_count_ = kFewestBuckets;
    Node** buckets_;
    mutable bool lost_ = false;
};

/// Does `steps` random changes of a table, and checks another key after each. The table grows from empty, shrinks to a
/// quarter, and so on; `growing` holds the direction.
template <typename RandomWord>
void change_table(LinkedTable& table, bool growing, int steps, RandomWord random) {
    for (int step = 0; step < steps; ++step) {
        const auto key = static_cast<std::uint32_t>(random() % table.keys());
        if (random() % 8 < (growing ? 7U : 1U)) {
            table.put(key);
        } else {
            table.remove(key);
        }
        table.check(static_cast<std::uint32_t>(random() % table.keys()));
    }
}

}  // namespace faultline::test
