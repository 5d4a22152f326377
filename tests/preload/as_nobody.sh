#!/usr/bin/env bash
# as_nobody.sh PRELOAD PROGRAM [ARGUMENT...]: runs a test program as the user nobody, with a copy of the preload that
# this user can read. Preloads it into the program; a script gets its path as the first argument instead.
# Exits with 77 (ctest: skipped) if the caller is not root.
set -euo pipefail

[[ $(id -u) == 0 ]] || { echo "skipped: only root can run a program as nobody"; exit 77; }
folder=$(mktemp -d /var/tmp/faultline_preload.XXXXXX)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
preload=$folder/libfaultline-preload.so
install -m 755 "$1" "$preload"
install -m 755 "$2" "$folder/${2##*/}"
for library in "$(dirname "$2")"/lib*.so; do
    [[ ! -e $library ]] || install -m 755 "$library" "$folder"  # the program finds it in its own folder
done
program=$folder/${2##*/}
shift 2
support=$(dirname "$(readlink -f "$0")")/../support
if [[ $program == *.sh ]]; then
    "$support/run_as_nobody.sh" "$program" "$preload" "$@"
else
    "$support/run_as_nobody.sh" "$(command -v env)" LD_PRELOAD="$preload" "$program" "$@"
fi
