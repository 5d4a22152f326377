#!/usr/bin/env bash
# Run by hand; lintian has errors still. deb_check.sh BUILD_DIR [ROOT]: makes the Debian packages of a build of the preset `package`, checks them with lintian,
# installs them in a clean root, and uses them there as an ordinary user of that system would: the command, a program that
# links the library, and gdb's view of the debug information. Without ROOT, a folder in which debootstrap has installed
# the system, it makes one. Needs root, and Debian's lintian and debootstrap. Exits with 77 if one of these is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

build=$(realpath "$1")
root=${2-}
for program in lintian debootstrap dpkg-deb; do
    command -v "$program" >/dev/null || { echo "$program is missing"; exit 77; }
done
((EUID == 0)) || { echo "not root"; exit 77; }

echo "== the packages"
cmake --build "$build" --target package >/dev/null
packages=("$build"/packages/*.deb)
for package in "${packages[@]}"; do
    printf '%s, %s\n' "$(basename "$package")" "$(du -h "$package" | cut -f1)"
done
((${#packages[@]} == 6)) || { echo "three packages and their debug information were expected"; exit 1; }

echo "== no file is in two packages"
for package in "${packages[@]}"; do dpkg-deb --contents "$package" | awk '$1 !~ /^d/ { print $6 }'; done | sort |
    uniq --repeated | tee "$build/packages/twice"
[[ ! -s $build/packages/twice ]]

echo "== only debug packages have debug information"
unpacked=$(mktemp -d)
for package in "${packages[@]}"; do
    [[ $package == *-dbgsym_* ]] || dpkg-deb --extract "$package" "$unpacked"
done
while read -r file; do
    if readelf --wide --section-headers "$file" 2>/dev/null | grep -qF .debug_info; then
        echo "${file#"$unpacked"} has debug information"
        exit 1
    fi
done < <(find "$unpacked" -type f)

echo "== lintian"
lintian --allow-root --fail-on error --no-tag-display-limit "${packages[@]}"

if [[ -z $root ]]; then
    root=$(mktemp -d)
    trap 'rm -rf "$unpacked" "$root"' EXIT
    echo "== a clean system"
    debootstrap --variant=minbase --include=g++,cmake,pkgconf,make bookworm "$root" >"$build/packages/debootstrap.log"
else
    trap 'rm -rf "$unpacked"' EXIT
fi

echo "== installed there"
mkdir -p "$root/packages"
cp "${packages[@]}" "$root/packages"
cp -r "$here" "$root/packages/test"
chroot "$root" sh -c 'apt-get install -q -y --no-install-recommends /packages/*.deb' >"$build/packages/install.log"

echo "== used there"
chroot "$root" /bin/bash -euo pipefail -c '
    mount -t proc proc /proc 2>/dev/null || true
    faultline help >/dev/null
    [[ $(faultline run --resident 8M -- echo ran) == ran ]]
    faultline run --memory 32M -- sort --parallel=1 -S 20M </packages/libfaultline*-dbgsym*.deb >/dev/null
    cmake -S /packages/test/find_package_c -B /tmp/c >/dev/null
    cd /tmp
    g++ -std=c++20 /packages/test/consumer.cpp -o consumer $(pkg-config --cflags --libs faultline)
    ./consumer
    umount /proc 2>/dev/null || true'
echo "the packages work"
