// Scene: sets up page faults. It prepares a batch of pages, untimed; then each page is touched, or the scene's own
// action is performed, timed singly; then comes the next batch. A case of fault_latency is a scene, a kind of touch,
// and a number of threads.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bench {

class Scene {
public:
    virtual ~Scene() = default;

    /// Prepares a batch. Returns the addresses to touch, each once, in this order; with two threads each takes one
    /// half. Not empty.
    virtual std::span<std::byte* const> prepare() = 0;

    /// The action that `Act::perform` times.
    virtual void perform(std::byte*) {}

    /// Adds the scene's own figures after `operations`.
    virtual void report(benchmark::State&, std::uint64_t /*operations*/) const {}
};

enum class Act : std::uint8_t {
    read,     ///< Load a word.
    write,    ///< Store a word.
    perform,  ///< Call `Scene::perform`, on one thread only.
};

using MakeScene = std::function<std::unique_ptr<Scene>()>;

/// Registers a benchmark. Time is per touch of all threads together; the counters p50_us and p99_us are of one touch.
/// If the scene's constructor throws, the case is skipped with the message.
void register_case(const std::string& name, Act act, unsigned threads, MakeScene make);

/// Registers the case for one and for two threads, as NAME/threads:N.
void register_for_threads(const std::string& name, Act act, const MakeScene& make);

enum class Order : std::uint8_t { sequential, random };

inline const char* name(Order order) noexcept { return order == Order::random ? "random" : "sequential"; }
inline const char* name(Act act) noexcept { return act == Act::read ? "read" : "write"; }

/// Returns the addresses of `pages` pages of `page_bytes`, in order or shuffled.
std::vector<std::byte*> page_addresses(std::byte* first, std::size_t pages, std::size_t page_bytes, Order order);

}  // namespace bench
