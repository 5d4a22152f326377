#!/usr/bin/env bash
# run_as_nobody.sh PROGRAM [ARGUMENT...]: runs a test program as an ordinary user, in a folder of that user's own. Exits
# 77 (ctest: skipped) if that is not possible: not root, or a container in which processes cannot change their user.
set -euo pipefail

skip() {
    echo "skipped: $*"
    exit 77
}

program=$(readlink -f "$1")
shift
nobody=65534  # the number, since the name of the group differs between distributions
as_nobody=(setpriv --reuid="$nobody" --regid="$nobody" --clear-groups)

[[ $(id -u) == 0 ]] || skip "only root can become nobody"
command -v setpriv >/dev/null || skip "setpriv (util-linux) is missing"
"${as_nobody[@]}" true 2>/dev/null || skip "this system does not let root become nobody"

# /var/tmp and not $TMPDIR, which may be accessible to root only, or a tmpfs.
folder=$(mktemp -d /var/tmp/faultline_nobody.XXXXXX)
trap 'rm -rf "$folder"' EXIT
chown "$nobody:$nobody" "$folder"

# The user may have no access to the build folder.
if ! "${as_nobody[@]}" test -r "$program" -a -x "$program"; then
    install -m 755 "$program" "$folder/"
    program=$folder/${program##*/}
fi

cd "$folder"
# An ordinary user may lack userfaultfd for faults of the kernel; the other deliveries need nothing.
if [[ -n ${FAULTLINE_REQUIRE_DELIVERIES-} ]]; then export FAULTLINE_REQUIRE_DELIVERIES=uffd_signal,sigsegv; fi
HOME=$folder TMPDIR=$folder "${as_nobody[@]}" "$program" "$@"
