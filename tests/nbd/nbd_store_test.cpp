// Stores on NBD servers: pages come back from a real server, over lost connections too, and every way in which a server
// can fail is an error and never wrong bytes.
#include "nbd/server.hpp"

#include <faultline/conformance.hpp>
#include <faultline/nbd_store.hpp>
#include <faultline/pager.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

using std::chrono::milliseconds;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Arguments = std::vector<std::string>;

class NbdStoreTest : public testing::Test {
protected:
    void SetUp() override {
        if (!nbdkit_is_installed()) GTEST_SKIP() << "nbdkit is not installed";
        RecordProperty("seed", std::to_string(seed_));
        std::printf("seed %llu\n", static_cast<unsigned long long>(seed_));
    }

    [[nodiscard]] std::vector<std::string> check(const Server& server) const {
        return check_store(open_nbd_store({.uri = server.uri()}), {.seed = seed_, .steps = 4'000, .accesses = 6'000});
    }
    /// The storm of the conformance suite over a store. Returns its findings.
    [[nodiscard]] std::vector<std::string> storm(const std::shared_ptr<Store>& store, std::size_t accesses) const {
        conformance::Findings findings;
        Config config;
        config.store = store;
        conformance::check_in_pager(config, {.seed = seed_, .accesses = accesses}, findings);
        return findings.take();
    }

    static int error_of_opening(const NbdOptions& options, const std::string& message) {
        try {
            static_cast<void>(open_nbd_store(options));
            return 0;
        } catch (const std::system_error& error) {
            EXPECT_THAT(error.what(), HasSubstr(message));
            return error.code().value();
        }
    }

    /// An empty file to be served, which keeps its bytes when the server is killed.
    [[nodiscard]] std::string file_of(std::uint64_t bytes) const {
        const std::filesystem::path path = directory_ / "file";
        std::ofstream{path}.close();
        std::filesystem::resize_file(path, bytes);
        return path.string();
    }

    std::uint64_t seed_ = std::random_device{}();
    TemporaryDirectory directory_;
};

TEST_F(NbdStoreTest, PassesTheConformanceSuiteOverMemory) {
    const Server server{{"memory", "64M"}};
    EXPECT_THAT(check(server), IsEmpty());
}

TEST_F(NbdStoreTest, PassesTheConformanceSuiteOverAFileWithOneRequestAtOnce) {
    const Server server{{"file", file_of(64U << 20)}};
    const std::shared_ptr<Store> store = open_nbd_store({.uri = server.uri(), .in_flight = 1});
    EXPECT_THAT(check_store(store, {.seed = seed_, .steps = 2'000, .accesses = 3'000}), IsEmpty());
}

TEST_F(NbdStoreTest, PassesTheConformanceSuiteOverASlowServer) {
    const Server server{{"--filter=rate", "--filter=delay", "memory", "64M", "rdelay=1ms", "wdelay=1ms", "rate=1G"}};
    EXPECT_THAT(check(server), IsEmpty());
}

TEST_F(NbdStoreTest, PassesTheConformanceSuiteOverACopyOnWriteFile) {
    const Server server{{"--filter=cow", "file", file_of(64U << 20)}};
    EXPECT_THAT(check(server), IsEmpty());
}

class NbdDelivery : public NbdStoreTest, public testing::WithParamInterface<Delivery> {};

TEST_P(NbdDelivery, PagesComeBackByPlainAccesses) {
    const Server server{{"memory", "64M"}};
    Config config;
    config.delivery = GetParam();
    config.resident_limit = std::size_t{1} << 20;
    config.store = open_nbd_store({.uri = server.uri()});
    Pager pager{config};
    const Region region = pager.reserve(std::size_t{8} << 20);
    const std::span<std::uint64_t> words = region.as<std::uint64_t>();
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = i * 0x9e3779b97f4a7c15U;
    for (std::size_t i = 0; i < words.size(); ++i) ASSERT_EQ(words[i], i * 0x9e3779b97f4a7c15U) << "word " << i;
}

INSTANTIATE_TEST_SUITE_P(Each, NbdDelivery,
                         testing::Values(Delivery::uffd_threads, Delivery::uffd_signal, Delivery::sigsegv),
                         [](const auto& instance) { return std::string{to_string(instance.param)}; });

TEST_F(NbdStoreTest, NothingIsLostWhenTheServerIsKilledAndStartedAgain) {
    Server server{{"file", file_of(64U << 20)}};
    const std::shared_ptr<Store> store = open_nbd_store({.uri = server.uri(), .timeout = std::chrono::minutes{5}});
    std::atomic<bool> ended{false};
    std::thread killer{[&] {
        std::minstd_rand random{static_cast<std::uint32_t>(seed_)};
        while (!ended) {
            std::this_thread::sleep_for(milliseconds{50 + random() % 200});  // not to synchronise: any moment will do
            server.kill();
            std::this_thread::sleep_for(milliseconds{random() % 20});
            server.start();
        }
    }};
    EXPECT_THAT(storm(store, 8'000), IsEmpty());
    ended = true;
    killer.join();
}

TEST_F(NbdStoreTest, AServerThatForgetsIsFoundByTheChecksums) {
    Server server{{"memory", "64M"}};
    Config config;
    config.resident_limit = std::size_t{1} << 20;
    config.log = [](LogLevel, std::string_view) {};
    config.store = open_nbd_store({.uri = server.uri()});
    Pager pager{config};
    Region region = pager.reserve(std::size_t{8} << 20);
    for (std::size_t page = 0; page < 2048; ++page) region.bytes()[page * kBasePageBytes] = std::byte{7};
    server.kill();
    server.start();  // with empty memory
    std::size_t failed = 0;
    for (std::size_t page = 0; page < 2048; ++page) {
        try {
            const Pin pin = region.pin(region.bytes().subspan(page * kBasePageBytes, 1), PinFor::reading);
            ASSERT_EQ(region.bytes()[page * kBasePageBytes], std::byte{7});
        } catch (const std::system_error& error) {
            ASSERT_EQ(error.code().value(), EIO);
            ++failed;
        }
    }
    EXPECT_GT(failed, 1500U);
}

TEST_F(NbdStoreTest, ErrorsOfTheServerAreNeverWrongBytes) {
    const Server server{
        {"--filter=error", "memory", "64M", "error=EIO", "error-pread-rate=10%", "error-pwrite-rate=10%"}};
    EXPECT_THAT(storm(open_nbd_store({.uri = server.uri()}), 6'000), Each(Not(HasSubstr("wrong bytes"))));
}

TEST_F(NbdStoreTest, PagesAreWholeOnceTheServerFailsNoMore) {
    const std::filesystem::path trigger = directory_ / "fail";
    const Server server{{"--filter=error", "memory", "64M", "error=ENOSPC", "error-pwrite-rate=100%",
                         "error-file=" + trigger.string()}};
    Config config;
    config.resident_limit = std::size_t{1} << 20;
    config.full_disk_patience = milliseconds{0};
    config.log = [](LogLevel, std::string_view) {};
    config.store = open_nbd_store({.uri = server.uri()});
    Pager pager{config};
    Region region = pager.reserve(std::size_t{8} << 20);
    const auto write = [&](std::size_t page) {
        const Pin pin = region.pin(region.bytes().subspan(page * kBasePageBytes, 1));
        region.bytes()[page * kBasePageBytes] = static_cast<std::byte>(page % 251 + 1);
    };
    std::ofstream{trigger}.close();
    std::size_t written = 0;
    EXPECT_THROW(for (; written < 2048; ++written) write(written), std::system_error) << "memory holds 256 pages";
    std::filesystem::remove(trigger);
    for (; written < 2048; ++written) write(written);
    for (std::size_t page = 0; page < 2048; ++page) {
        ASSERT_EQ(region.bytes()[page * kBasePageBytes], static_cast<std::byte>(page % 251 + 1)) << "page " << page;
    }
}

TEST_F(NbdStoreTest, ARequestEndsAfterItsTimeAndWorksWhenTheServerIsBack) {
    Server server{{"file", file_of(64U << 20)}};
    const std::shared_ptr<Store> store = open_nbd_store({.uri = server.uri(), .timeout = milliseconds{200}});
    std::vector<std::byte> bytes(kBasePageBytes, std::byte{3});
    ASSERT_EQ(store->write(4096, bytes), 0);
    server.kill();
    EXPECT_EQ(store->read(4096, bytes), ETIMEDOUT);
    EXPECT_EQ(store->write(8192, bytes), ETIMEDOUT);
    server.start();
    std::vector<std::byte> again(kBasePageBytes);
    ASSERT_EQ(store->read(4096, again), 0);
    EXPECT_EQ(again, std::vector<std::byte>(kBasePageBytes, std::byte{3}));
}

TEST_F(NbdStoreTest, ARequestEndsAfterItsTimeIfTheServerHangs) {
    const Server server{{"--filter=delay", "memory", "64M", "rdelay=60"}};
    const std::shared_ptr<Store> store = open_nbd_store({.uri = server.uri(), .timeout = milliseconds{300}});
    std::vector<std::byte> bytes(kBasePageBytes, std::byte{3});
    ASSERT_EQ(store->write(0, bytes), 0);
    EXPECT_EQ(store->read(0, bytes), ETIMEDOUT);
}

TEST_F(NbdStoreTest, AnExportOfAnotherSizeIsNotUsed) {
    Server server{{"memory", "64M"}};
    const std::shared_ptr<Store> store = open_nbd_store({.uri = server.uri()});
    server.kill();
    server.change({"memory", "32M"});
    server.start();
    std::vector<std::byte> bytes(kBasePageBytes);
    EXPECT_EQ(store->write(0, bytes), EIO);
}

TEST_F(NbdStoreTest, RefusesWhatItCannotUse) {
    EXPECT_EQ(error_of_opening({.uri = "ftp://example.org/x"}, "ftp://example.org/x"), EINVAL);
    EXPECT_EQ(error_of_opening({.uri = "nbd+unix:///?socket=/nowhere/socket"}, "/nowhere/socket"), ENOENT);
    const Server server{{"memory", "64M"}};
    EXPECT_EQ(error_of_opening({.uri = server.uri(), .timeout = milliseconds{0}}, "NbdOptions::timeout"), EINVAL);
    EXPECT_EQ(error_of_opening({.uri = server.uri(), .in_flight = 0}, "NbdOptions::in_flight"), EINVAL);
    EXPECT_EQ(error_of_opening({.uri = server.uri(), .in_flight = 65}, "NbdOptions::in_flight"), EINVAL);
    const Server read_only{{"--readonly", "memory", "64M"}};
    EXPECT_EQ(error_of_opening({.uri = read_only.uri()}, "read-only"), EROFS);
    const Server large_blocks{{"--filter=blocksize-policy", "memory", "64M", "blocksize-minimum=8192",
                               "blocksize-preferred=8192", "blocksize-error-policy=error"}};
    EXPECT_EQ(error_of_opening({.uri = large_blocks.uri()}, "8192 bytes"), ENOTSUP);
    const Server small{{"memory", "8M"}};
    Config config;
    config.store = open_nbd_store({.uri = small.uri()});
    EXPECT_THROW(Pager{config}, std::system_error);
}

/// Accepts connections and does what `answer` does with each.
class OddServer {
public:
    explicit OddServer(std::string answer) : answer_{std::move(answer)} {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
        if (::listen(listener_, 8) != 0) std::abort();
        thread_ = std::thread{[this] { serve(); }};
    }
    ~OddServer() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        for (const int fd : connections_) ::close(fd);
        ::close(listener_);
    }
    OddServer(const OddServer&) = delete;
    OddServer& operator=(const OddServer&) = delete;
    [[nodiscard]] std::string uri() const { return "nbd+unix:///?socket=" + path().string(); }

private:
    [[nodiscard]] std::filesystem::path path() const { return directory_ / "socket"; }
    void serve() {
        for (int fd = ::accept(listener_, nullptr, nullptr); fd >= 0; fd = ::accept(listener_, nullptr, nullptr)) {
            if (!answer_.empty()) static_cast<void>(::send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL));
            connections_.push_back(fd);
        }
    }

    std::string answer_;
    TemporaryDirectory directory_;
    int listener_ = -1;
    std::vector<int> connections_;
    std::thread thread_;
};

TEST_F(NbdStoreTest, AServerThatDoesNotSpeakNbdIsAnError) {
    const OddServer other{"SSH-2.0-OpenSSH_9.2 and more than eighteen bytes\r\n"};
    EXPECT_NE(error_of_opening({.uri = other.uri()}, "cannot use the NBD export"), 0);
    const OddServer silent{""};
    EXPECT_EQ(error_of_opening({.uri = silent.uri(), .timeout = milliseconds{200}}, "does not answer"), ETIMEDOUT);
}

}  // namespace
}  // namespace faultline::test
