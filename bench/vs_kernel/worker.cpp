// See worker.hpp. Only one child works at a time: the others wait in recv(2).
#include "vs_kernel/worker.hpp"

#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdio>
#include <sstream>

#include "support/system_call.hpp"
#include "vs_kernel/protocol.hpp"
#include "vs_kernel/system_file.hpp"

namespace bench {
namespace {

void send_reply(int socket, const Reply& reply) {
    check(::send(socket, &reply, sizeof reply, MSG_NOSIGNAL), "send to the parent");
}

// Returns false if the parent is gone.
bool receive_order(int socket, Order& order) {
    const ssize_t bytes = check(::recv(socket, &order, sizeof order, 0), "recv from the parent");
    return bytes == ssize_t{sizeof order};
}

void set_text(Reply& reply, const std::string& text) noexcept {
    std::snprintf(reply.text.data(), reply.text.size(), "%s", text.c_str());
}

double cpu_seconds() {
    rusage usage{};
    check(::getrusage(RUSAGE_SELF, &usage), "getrusage");
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::uint64_t peak_rss_bytes() {
    std::istringstream lines{read_system_file("/proc/self/status")};
    std::string line;
    while (std::getline(lines, line)) {
        if (line.rfind("VmHWM:", 0) == 0) return std::stoull(line.substr(6)) * 1024;
    }
    return 0;
}

// Does `work`, which returns the number of touches, and reports what it was and how long it took.
template <typename Work>
Round measure(const Memory& memory, Work work) {
    const FaultCounts faults_before = memory.faults();
    const double cpu_before = cpu_seconds();
    const Touches touches = work();
    const FaultCounts faults = memory.faults();
    const auto quantile_us = [&touches](double fraction) {
        return static_cast<double>(touches.latency.quantile(fraction)) * 1e-3;
    };
    Round round;
    round.cpu_s = cpu_seconds() - cpu_before;
    round.operations = static_cast<double>(touches.count);
    round.ops_per_s = round.operations / touches.seconds;
    round.p50_us = quantile_us(0.5);
    round.p99_us = quantile_us(0.99);
    round.p999_us = quantile_us(0.999);
    for (std::size_t i = 0; i < kQuantiles; ++i) round.latency_us[i] = quantile_us(quantile_fraction(i));
    round.hard_faults = static_cast<double>(faults.hard - faults_before.hard);
    round.soft_faults = static_cast<double>(faults.soft - faults_before.soft);
    const double all_faults = round.hard_faults + round.soft_faults;
    if (all_faults > 0) round.cpu_s_per_million_faults = round.cpu_s / all_faults * 1e6;
    round.peak_rss_bytes = peak_rss_bytes();
    return round;
}

void serve_orders(int socket, Memory& memory, const WorkloadShape& shape) {
    Workload workload{memory, shape};
    Reply ready;
    ready.round = measure(memory, [&] { return workload.populate(); });
    set_text(ready, memory.description());
    send_reply(socket, ready);
    Order order;
    while (receive_order(socket, order) && order.kind != Order::Kind::finish) {
        Reply reply;
        if (order.kind == Order::Kind::run) {
            reply.round = measure(memory, [&] { return workload.run(order.mode, order.seconds); });
        }
        if (order.kind == Order::Kind::verify) reply.verification = workload.verify();
        send_reply(socket, reply);
    }
}

int report_failure(int socket, const std::exception& error, int code) noexcept {
    try {
        Reply reply;
        reply.failed = true;
        reply.error = code;
        set_text(reply, error.what());
        send_reply(socket, reply);
    } catch (const std::exception& second) {
        std::fprintf(stderr, "%s; %s\n", error.what(), second.what());
    }
    return 1;
}

}  // namespace

int serve(int socket, const std::function<std::unique_ptr<Memory>()>& make_memory,
          const WorkloadShape& shape) noexcept {
    try {
        serve_orders(socket, *make_memory(), shape);
        return 0;
    } catch (const std::system_error& error) {
        return report_failure(socket, error, error.code().value());
    } catch (const std::exception& error) {
        return report_failure(socket, error, 0);
    }
}

}  // namespace bench
