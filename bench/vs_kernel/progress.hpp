// Progress: what is being measured, on standard error. One line redrawn in place on a terminal, plain lines elsewhere.
#pragma once

#include <string>

namespace bench {

class Progress {
public:
    Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress() { clear(); }

    /// How much there is to do, in seconds of measuring; starts from nothing done.
    void expect(double seconds);

    /// Where in a sweep the steps from now on belong; empty: nowhere.
    void at(const std::string& point) { point_ = point; }

    /// Something begins: "swap: rw, round 2 of 3: faultline".
    void step(const std::string& what);

    /// It took part of what was expected.
    void done(double seconds) { done_ += seconds; }

    /// A line that stays.
    void note(const std::string& text);

    /// Takes the redrawn line away, before something else is printed.
    void clear();

private:
    bool terminal_;
    bool drawn_ = false;
    std::string point_;
    double expected_ = 0;
    double done_ = 0;
};

}  // namespace bench
