// Clean-up after a run that was killed before it could clean up itself.
#pragma once

#include "vs_kernel/journal.hpp"

namespace bench {

/// Removes what the journal says an earlier run left, newest first, and reports each on standard error.
void remove_leftovers(Journal& journal);

}  // namespace bench
