// Contestants: every policy that policy_replay has, by the name used on the command line and in the tables.
#pragma once

#include <faultline/replacement_policy.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "replay/pager_model.hpp"

namespace bench {

struct Contestant {
    std::string name;
    std::string what;
    /// Makes a policy that sees faults only, and runs under PagerModel. Empty: a model that sees every reference.
    faultline::PolicyFactory policy{};
    unsigned staging_percent = 0;

    [[nodiscard]] std::unique_ptr<Model> make(const DenseTrace& trace, PagerSettings settings) const;
};

/// Returns all contestants, in the order of the tables.
[[nodiscard]] const std::vector<Contestant>& contestants();

/// Returns the contestant with a name, or null.
[[nodiscard]] const Contestant* find_contestant(std::string_view name);

/// Adds the policy of a shared object, which defines `faultline::ReplacementPolicy* faultline_make_policy(const
/// faultline::PolicySetup&)` with C linkage. Its name is that of the file, without what follows a dot. Throws
/// std::runtime_error if the object cannot be loaded, or if there is a contestant of that name.
void add_plugin(const std::filesystem::path& path);

}  // namespace bench
