// A module that modules.cpp loads. Its functions call the allocator and start threads through the module's own
// bindings.

#include <pthread.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace {
// Allocated by a constructor, while the module is being loaded.
const std::string* const made_early = new std::string(1000, 'e');
}  // namespace

// NOLINTBEGIN
extern "C" {
void* module_make(std::size_t bytes) { return std::malloc(bytes); }
void* module_grow(void* block, std::size_t bytes) { return std::realloc(block, bytes); }
void module_release(void* block) { std::free(block); }
char* module_duplicate(const char* text) { return ::strdup(text); }
int* module_new() { return new int{7}; }
void module_delete(int* number) { delete number; }
const char* module_early() { return made_early->c_str(); }
int module_run(void* (*function)(void*), void* argument, void** result) {
    pthread_t thread;
    const int error = ::pthread_create(&thread, nullptr, function, argument);
    return error != 0 ? error : ::pthread_join(thread, result);
}
}
// NOLINTEND
