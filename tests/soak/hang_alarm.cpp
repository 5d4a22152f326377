#include "soak/hang_alarm.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace faultline::soak {
namespace {

std::array<char, 512> the_message{};  // written while no alarm is set
std::size_t the_length = 0;

void ring(int) {
    constexpr std::string_view kTitle = "\nhang: the round did not end: ";
    static_cast<void>(!::write(STDERR_FILENO, kTitle.data(), kTitle.size()));
    static_cast<void>(!::write(STDERR_FILENO, the_message.data(), the_length));
    static_cast<void>(!::write(STDERR_FILENO, "\n", 1));
    std::abort();
}

}  // namespace

HangAlarm::HangAlarm(const std::string& what, unsigned seconds) {
    the_length = what.copy(the_message.data(), the_message.size());
    static_cast<void>(std::signal(SIGALRM, &ring));
    ::alarm(seconds);
}

HangAlarm::~HangAlarm() { ::alarm(0); }

}  // namespace faultline::soak
