// HangAlarm: aborts the program if a round does not end in time, and prints the round.
#pragma once

#include <string>

namespace faultline::soak {

class HangAlarm {
public:
    /// If the object still exists after `seconds`, prints `what` and aborts. Only one object at a time.
    HangAlarm(const std::string& what, unsigned seconds);
    ~HangAlarm();
    HangAlarm(const HangAlarm&) = delete;
    HangAlarm& operator=(const HangAlarm&) = delete;
};

}  // namespace faultline::soak
