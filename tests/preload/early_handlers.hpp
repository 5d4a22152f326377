#pragma once

#include <cstddef>

/// Makes each later fork add 1 to every byte in its prepare handler, and 1 in its parent and child handlers. A count of
/// 0 stops that.
void touch_at_forks(unsigned char* bytes, std::size_t count);
