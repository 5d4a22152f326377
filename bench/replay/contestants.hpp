// Contestants: every policy that can be asked for, by the name used on the command line and in the tables.
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
    bool faults_only;  ///< A policy of src/policy under PagerModel; else it sees every reference.
    std::unique_ptr<Model> (*make)(const Contestant&, const DenseTrace&, const PagerSettings&);
};

/// In the order in which they are shown.
[[nodiscard]] const std::vector<Contestant>& contestants();

/// Null: no such contestant.
[[nodiscard]] const Contestant* find_contestant(std::string_view name);

}  // namespace bench
