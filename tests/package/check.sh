#!/usr/bin/env bash
# check.sh CMAKE COMPILER C_COMPILER SOURCE_DIR BUILD_DIR: installs the build into a scratch prefix and uses the package
# in each way that docs/building.md names. It moves the prefix after the installation, because a package must be
# relocatable. Exits with 77 if this kernel or user may not use userfaultfd.
set -euo pipefail

cmake=$1 compiler=$2 c_compiler=$3 source_dir=$4 build_dir=$5
package_dir=$source_dir/tests/package
work=$build_dir/package_test
prefix=$work/prefix

rm -rf "$work"
mkdir -p "$work"
"$cmake" --install "$build_dir" --prefix "$work/installed" >"$work/install.log"
mv "$work/installed" "$prefix"
library_dir=$(dirname "$(find "$prefix" -name libfaultline.a)")
if grep -rlF "$work" "$library_dir/cmake" "$library_dir/pkgconfig"; then
    echo "the files above contain the installation prefix"
    exit 1
fi

echo "== find_package"
"$cmake" -S "$package_dir/find_package" -B "$work/find_package" \
    -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix"
"$cmake" --build "$work/find_package"
"$work/find_package/consumer_shared"
"$work/find_package/consumer_static"

echo "== a policy and a store of another project"
"$work/find_package/own_policy_and_store"
if [[ -f $library_dir/libfaultline-nbd.a ]]; then
    echo "== a store on an NBD server"
    [[ -x $work/find_package/nbd ]]
    if command -v nbdkit >/dev/null; then nbdkit -U - memory 64M --run "$work/find_package/nbd \"\$uri\""; fi
fi
if [[ -x $build_dir/bench/policy_replay ]]; then
    "$build_dir/bench/policy_replay" --smoke --workloads zipf-steep --plugin "$work/find_package/random_policy.so" \
        --policies random_policy,pager/second
fi

echo "== find_package in a project of language C only"
"$cmake" -S "$package_dir/find_package_c" -B "$work/find_package_c" \
    -DCMAKE_C_COMPILER="$c_compiler" -DCMAKE_PREFIX_PATH="$prefix"
"$cmake" --build "$work/find_package_c"
"$work/find_package_c/consumer_c"

# pkg_config OPTION...: its output is not quoted where it is used, because it must split into several flags.
# shellcheck disable=SC2046
pkg_config() {
    PKG_CONFIG_PATH=$library_dir/pkgconfig:${PKG_CONFIG_PATH:-} pkg-config "$@" faultline
}

echo "== binaries contain no path of the build machine"
if grep -lF "$source_dir/" "$library_dir"/*.so "$prefix/bin/faultline"; then
    echo "the files above contain the path of the sources"
    exit 1
fi

echo "== no debug information in a release"
if ! grep -E '^CMAKE_CXX_FLAGS(_RELEASE)?:' "$build_dir/CMakeCache.txt" | grep -qE -- '-g'; then
    while read -r file; do
        if readelf --wide --section-headers "$file" 2>/dev/null | grep -qF .debug_info; then
            echo "$file has debug information: $(du -h "$file" | cut -f1)"
            exit 1
        fi
    done < <(find "$library_dir" "$prefix/bin" -type f \( -name '*.a' -o -name '*.so*' -o -name faultline \))
fi

echo "== the soname and the symbols have the version"
version=$(sed -n 's/#define FAULTLINE_VERSION_STRING "\(.*\)"/\1/p' "$prefix/include/faultline/version.hpp")
major=${version%%.*} soversion=${version%.*}
[[ $major == 0 ]] || soversion=$major
shared=$library_dir/libfaultline.so.$soversion
readelf --dynamic "$shared" | grep -qF "soname: [libfaultline.so.$soversion]"
readelf --wide --dyn-syms "$shared" | awk '$7 != "UND" && $8 ~ /faultline/' >"$work/symbols"
grep -qF "faultline_pager_create@@FAULTLINE_$soversion" "$work/symbols"
grep -qF "_ZN9faultline2v05PagerC1" "$work/symbols"
if grep -vE "(faultline_|_ZNK?9faultline2v0|_ZT[VIS]N9faultline2v0).*@@FAULTLINE_$soversion|FAULTLINE_$soversion$" "$work/symbols"; then
    echo "the symbols above have no version, or another one"
    exit 1
fi

echo "== pkg-config needs only faultline.pc, and exports no definition"
flags=$(PKG_CONFIG_LIBDIR=$library_dir/pkgconfig PKG_CONFIG_PATH='' pkg-config --cflags --libs faultline)
static_flags=$(PKG_CONFIG_LIBDIR=$library_dir/pkgconfig PKG_CONFIG_PATH='' pkg-config --static --cflags --libs faultline)
if grep -qE -- '-D|spdlog' <<<"$flags" || grep -qE -- '-D' <<<"$static_flags"; then
    echo "pkg-config prints '$flags', and for the static library '$static_flags'"
    exit 1
fi

echo "== an older language is refused with one message"
# shellcheck disable=SC2086
if "$compiler" -std=c++17 -fsyntax-only "$package_dir/consumer.cpp" $flags >"$work/language.log" 2>&1; then
    echo "the headers compile as C++17"
    exit 1
fi
[[ $(grep -c 'error:' "$work/language.log") == 2 ]] && grep -qF -- '-std=c++20' "$work/language.log" ||
    { cat "$work/language.log"; exit 1; }

echo "== a size literal that overflows does not compile"
for size in 16777215_TiB 16777216_TiB; do
    printf '#include <faultline/literals.hpp>\nusing namespace faultline::literals;\nstd::size_t size = %s;\n' $size >"$work/literal.cpp"
    # shellcheck disable=SC2086
    if "$compiler" -std=c++20 -fsyntax-only "$work/literal.cpp" $flags >"$work/literal.log" 2>&1; then
        [[ $size == 16777215_TiB ]] || { echo "$size compiles"; exit 1; }
    else
        grep -qF size_literal_is_too_large "$work/literal.log" || { cat "$work/literal.log"; exit 1; }
        [[ $size == 16777216_TiB ]] || { cat "$work/literal.log"; exit 1; }
    fi
done

echo "== pkg-config"
# shellcheck disable=SC2046
"$compiler" -std=c++20 "$package_dir/consumer.cpp" -o "$work/pkg_config_shared" $(pkg_config --cflags --libs)
LD_LIBRARY_PATH=$library_dir "$work/pkg_config_shared"
# shellcheck disable=SC2046
"$c_compiler" -std=c99 -Wall -Wextra -pedantic -Werror "$source_dir/demos/embedding/heap.c" -o "$work/pkg_config_c" \
    $(pkg_config --cflags --libs)
LD_LIBRARY_PATH=$library_dir "$work/pkg_config_c"
# -lfaultline alone links the shared library, even with --static.
# shellcheck disable=SC2046
"$compiler" -std=c++20 "$package_dir/consumer.cpp" -o "$work/pkg_config_static" \
    $(pkg_config --static --cflags --libs | sed 's/-lfaultline/-Wl,-Bstatic -lfaultline -Wl,-Bdynamic/')
"$work/pkg_config_static"

echo "== the command"
"$prefix/bin/faultline" help >/dev/null
[[ $("$prefix/bin/faultline" run -- echo "ran") == ran ]]

[[ -s $prefix/share/faultline/faultline.gdb ]]

echo "== the example in docs/library.md"
# The block that has a main() is a whole program; the others are excerpts of demos.
awk '/^```cpp$/ { inside = 1; text = ""; next }
     /^```$/ { if (text ~ /int main/) { printf "%s", text; exit } inside = 0; text = "" }
     inside { text = text $0 "\n" }' "$source_dir/docs/library.md" >"$work/example.cpp"
# shellcheck disable=SC2046
"$compiler" -std=c++20 -Wall -Wextra -O2 "$work/example.cpp" -o "$work/example" $(pkg_config --cflags --libs)
LD_LIBRARY_PATH=$library_dir "$work/example"
