// Unwinder: finds the call stack of a sample from its registers and its piece of the stack, with the call frame
// information of the program's files, as they are now. One object for one session.
#pragma once

#include "tool/stacks/code_place.hpp"
#include "tool/stacks/samples_file.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace faultline::tool {

class Unwinder {
public:
    /// `session` and `places` must outlive this.
    Unwinder(const RecordedSession& session, CodePlaces& places);
    ~Unwinder();
    Unwinder(const Unwinder&) = delete;
    Unwinder& operator=(const Unwinder&) = delete;

    /// Returns at least one place. The stack ends early where the piece of the stack ends, or where a file has no call
    /// frame information.
    [[nodiscard]] CallStack unwind(const RecordedSample& sample);

    /// Returns the files that are not those of the recorded program: they have changed, or are gone.
    [[nodiscard]] const std::vector<std::string>& changed_files() const noexcept { return changed_; }

private:
    class Frames;

    void add_places(std::uint64_t address, bool called, CallStack& stack);
    [[nodiscard]] CallStack places_at(std::uint64_t address);
    [[nodiscard]] CodePlace place_without_names(std::uint64_t address) const;

    const RecordedSession& session_;
    CodePlaces& places_;
    std::unique_ptr<Frames> frames_;  // null without libdw
    std::map<std::uint64_t, CallStack> known_places_;
    std::map<std::uint64_t, CallStack> known_stacks_;  // by a checksum
    std::vector<std::string> changed_;
};

}  // namespace faultline::tool
