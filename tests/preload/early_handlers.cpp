// A library whose constructors run before those of preloaded libraries, and whose fork handlers access heap memory.

#include "preload/early_handlers.hpp"

#include <pthread.h>

namespace {

unsigned char* touched = nullptr;
std::size_t touched_bytes = 0;

void touch() {
    for (std::size_t i = 0; i < touched_bytes; ++i) ++touched[i];
}

[[gnu::constructor]] void watch_forks() { pthread_atfork(&touch, &touch, &touch); }

}  // namespace

void touch_at_forks(unsigned char* bytes, std::size_t count) {
    touched = bytes;
    touched_bytes = count;
}
