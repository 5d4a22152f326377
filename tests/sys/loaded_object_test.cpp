// LoadedObject finds the same symbols in the C library as the dynamic loader.
#include "sys/loaded_object.hpp"

#include <gtest/gtest.h>

#include <dlfcn.h>

#include <cstring>
#include <string>

namespace faultline::test {
namespace {

class LoadedObject : public testing::Test {
protected:
    LoadedObject() { EXPECT_TRUE(static_cast<bool>(libc)); }
    ~LoadedObject() override { ::dlclose(handle); }

    void* const handle = ::dlopen("libc.so.6", RTLD_LAZY);
    const sys::LoadedObject libc = sys::LoadedObject::named("libc.so.6");
};

TEST_F(LoadedObject, FindsFunctionsInTheirDefaultVersion) {
    for (const char* const name : {"malloc", "free", "getpid", "pthread_create", "posix_spawn", "realpath", "dlsym"}) {
        EXPECT_EQ(libc.function(name), ::dlsym(handle, name)) << name;
    }
}

TEST_F(LoadedObject, ChoosesTheImplementationForThisMachine) {
    for (const char* const name : {"memcpy", "memmove", "memset", "strlen", "memchr"}) {
        EXPECT_EQ(libc.function(name), ::dlsym(handle, name)) << name;
    }
}

TEST_F(LoadedObject, FindsNothingThatIsNotDefinedThere) {
    EXPECT_EQ(libc.function("no_such_function_anywhere"), nullptr);
    EXPECT_EQ(libc.function(""), nullptr);
    EXPECT_FALSE(static_cast<bool>(sys::LoadedObject::named("libnothing.so.1")));
    EXPECT_EQ(sys::LoadedObject::named("libnothing.so.1").function("malloc"), nullptr);
}

TEST_F(LoadedObject, VisitsEveryDefinitionOnce) {
    int malloc_seen = 0;
    std::size_t all = 0;
    libc.for_each_definition([&](const ElfW(Sym) & symbol) {
        ++all;
        if (std::strcmp(libc.name_of(symbol), "malloc") == 0) ++malloc_seen;
    });
    EXPECT_EQ(malloc_seen, 1);
    EXPECT_GT(all, 1000U);
}

}  // namespace
}  // namespace faultline::test
