// Cleans up after a run that was killed before it could clean up itself.
#pragma once

#include "vs_kernel/journal.hpp"

namespace bench {

/// Removes what the journal lists of an earlier run, newest first, and reports each removal on standard error.
void remove_leftovers(Journal& journal);

}  // namespace bench
