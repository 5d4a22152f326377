#!/usr/bin/env bash
# sort_file_check.sh SORT_FILE FOLDER [OPTION...]: sorts a file four times as large as sort_file's memory limit, in a
# new folder under FOLDER, and compares the result with sort(1). OPTIONs go to sort_file. Passes on exit code 77 (not
# permitted here). Keeps the files if the results differ.
set -euo pipefail

sort_file=$1
folder=$(mktemp -d "$2/sort_file_check.XXXXXX")
options=("${@:3}")
limit_mib=2

# The same bytes each time: lines of 0 to 40 characters, some of them duplicates.
LC_ALL=C awk -v bytes=$((4 * limit_mib << 20)) 'BEGIN {
    srand(1)
    for (written = 0; written < bytes; written += length(line) + 1) {
        line = substr(sprintf("%010d%010d%010d%010d", rand() * 1e9, rand() * 1e9, rand() * 1e9, rand() * 1e9),
                      1, int(rand() * 41))
        print line
    }
}' >"$folder/input"

status=0
"$sort_file" --resident "${limit_mib}M" --swap "$folder" "${options[@]}" "$folder/input" "$folder/output" || status=$?
if ((status == 0)); then
    LC_ALL=C sort "$folder/input" | cmp - "$folder/output"
fi
rm -r "$folder"
exit "$status"
