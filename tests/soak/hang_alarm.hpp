// HangAlarm: ends the program when a round does not end, and says which it was.
#pragma once

#include <string>

namespace faultline::soak {

class HangAlarm {
public:
    /// `what` is printed when `seconds` are over before the object goes. One at a time.
    HangAlarm(const std::string& what, unsigned seconds);
    ~HangAlarm();
    HangAlarm(const HangAlarm&) = delete;
    HangAlarm& operator=(const HangAlarm&) = delete;
};

}  // namespace faultline::soak
