// Scene: a stage on which page faults happen. It makes a batch of pages ready, untimed; then each page is touched, or
// whatever else the scene does with it, timed one by one; then the next batch. One case of fault_latency is a scene,
// a kind of touch, and a number of threads.
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

    /// The addresses to touch, each once, in this order; with two threads each takes one half. Not empty.
    virtual std::span<std::byte* const> prepare() = 0;

    /// What `Act::perform` times.
    virtual void perform(std::byte*) {}

    /// Adds the scene's own figures once `operations` have been done.
    virtual void report(benchmark::State&, std::uint64_t /*operations*/) const {}
};

enum class Act : std::uint8_t {
    read,     ///< Load a word.
    write,    ///< Store a word.
    perform,  ///< Call `Scene::perform`, on one thread only.
};

using MakeScene = std::function<std::unique_ptr<Scene>()>;

/// Registers a benchmark: Time is per touch with all threads together, the counters p50_us and p99_us are of one touch.
/// A scene that cannot be made is skipped with what its constructor threw.
void register_case(const std::string& name, Act act, unsigned threads, MakeScene make);

/// The same once for one and once for two threads, as NAME/threads:N.
void register_for_threads(const std::string& name, Act act, const MakeScene& make);

enum class Order : std::uint8_t { sequential, random };

inline const char* name(Order order) noexcept { return order == Order::random ? "random" : "sequential"; }
inline const char* name(Act act) noexcept { return act == Act::read ? "read" : "write"; }

/// The addresses of `pages` pages of `page_bytes`, in order or shuffled.
std::vector<std::byte*> page_addresses(std::byte* first, std::size_t pages, std::size_t page_bytes, Order order);

}  // namespace bench
