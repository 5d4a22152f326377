#!/usr/bin/env bash
# completion_check.sh COMMAND: completes lines with the script of `faultline completion bash` as bash does, and compares
# what it offers.
set -euo pipefail
command=$1
source <("$command" completion bash)
failures=0

# offers LINE WORD...: at the end of LINE the script offers exactly these words.
offers() {
    local line=$1
    shift
    local cleaned=${line//=/ = }
    read -ra COMP_WORDS <<<"$cleaned"
    if [[ $line == *' ' || $line == *= ]]; then COMP_WORDS+=(''); fi
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _faultline
    local offered="${COMPREPLY[*]-}"
    [[ $offered == "$*" ]] && return
    echo "'$line': expected '$*', got '$offered'"
    failures=$((failures + 1))
}

cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
mkdir folder
touch file
offers "faultline r" run record report
offers "faultline run --del" --delivery
offers "faultline run --delivery=uffd" uffd_threads uffd_signal
offers "faultline run --delivery=" automatic uffd_threads uffd_signal sigsegv
offers "faultline run --delivery sig" sigsegv
offers "faultline run --swap=" folder
offers "faultline run --stats-json=fi" file
offers "faultline run --memory="
offers "faultline run --quiet --live --stats-" --stats-json
offers "faultline run --memory=64M -- cat fi" file
offers "faultline run --memory 64M cat fi" file
offers "faultline record -o out --ra" --rate
offers "faultline report fi" file
offers "faultline completion z" zsh
offers "faultline help do" doctor
((failures == 0))

# Every long option that help shows is offered.
for name in run record report doctor; do
    offered=$(COMP_WORDS=(faultline "$name" --) COMP_CWORD=2; _faultline; printf '%s\n' "${COMPREPLY[@]}")
    while read -r option; do
        grep -qx -e "$option" <<<"$offered" || { echo "$name: $option is not offered"; exit 1; }
    done < <("$command" "$name" --help | grep -oE '^ +(-., *)?--[a-z-]+' | grep -oE -e '--[a-z-]+')
done

if command -v zsh >/dev/null; then "$command" completion zsh | zsh -n /dev/stdin; fi
