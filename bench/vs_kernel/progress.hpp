// Progress: shows on standard error what is being measured: one redrawn line on a terminal, plain lines elsewhere.
#pragma once

#include <string>

namespace bench {

class Progress {
public:
    Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress() { clear(); }

    /// Sets the total, in seconds of measuring, and starts at 0.
    void expect(double seconds);

    /// Sets the sweep's label of the steps that follow; empty: no sweep.
    void at(const std::string& point) { point_ = point; }

    /// Shows that a step begins: "swap: rw, round 2 of 3: faultline".
    void step(const std::string& what);

    /// Adds seconds that are done.
    void done(double seconds) { done_ += seconds; }

    /// Prints a line that stays.
    void note(const std::string& text);

    /// Removes the redrawn line, before other output.
    void clear();

private:
    bool terminal_;
    bool drawn_ = false;
    std::string point_;
    double expected_ = 0;
    double done_ = 0;
};

}  // namespace bench
