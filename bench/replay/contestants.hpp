// Contestants: every policy that policy_replay has, by the name used on the command line and in the tables.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "replay/pager_model.hpp"

namespace bench {

struct Contestant {
    std::string name;
    const char* what;
    bool faults_only;  ///< True: a policy of src/policy under PagerModel. False: a model that sees every reference.
    std::unique_ptr<Model> (*make)(const Contestant&, const DenseTrace&, const PagerSettings&);
};

/// Returns all contestants, in the order of the tables.
[[nodiscard]] const std::vector<Contestant>& contestants();

/// Returns the contestant with a name, or null.
[[nodiscard]] const Contestant* find_contestant(std::string_view name);

}  // namespace bench
