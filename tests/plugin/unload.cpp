// unload PLUGIN: a thread uses the heap of a plugin, and ends after the program has closed the plugin.

#include <dlfcn.h>

#include <cstdio>
#include <future>
#include <thread>

int main(int, char** arguments) {
    void* const plugin = dlopen(arguments[1], RTLD_NOW);
    if (plugin == nullptr) return std::printf("%s\n", dlerror()), 1;
    const auto use_heap = reinterpret_cast<int (*)()>(dlsym(plugin, "use_heap"));
    if (use_heap == nullptr) return std::printf("%s\n", dlerror()), 1;
    std::promise<int> used;
    std::promise<void> closed;
    std::thread user{[&] {
        used.set_value(use_heap());
        closed.get_future().wait();
    }};
    const int result = used.get_future().get();
    dlclose(plugin);
    closed.set_value();
    user.join();
    return result;
}
