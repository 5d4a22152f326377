#pragma once

#include <cstddef>

/// From now on each fork adds 1 to every byte before it, and 1 after it in the parent and in the child.
void touch_at_forks(unsigned char* bytes, std::size_t count);
