# Sourced by the scripts beside it: where the tree is, how to speak, how to run things.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs=$(nproc)

say() { printf '\n==> %s\n' "$*"; }
fail() {
  printf '%s: %s\n' "scripts/${0##*/}" "$*" >&2
  exit 1
}

# usage_if_asked "$@": prints the comment at the head of the calling script when the first argument
# is -h or --help.
usage_if_asked() {
  case "${1:-}" in
    -h | --help)
      sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
  esac
}

# quietly LOG COMMAND...: runs it with its output in LOG; shows the end of it if the command fails.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    fail "'$*' failed; the whole output is in $log"
  fi
}

# configure PRESET [-DNAME=VALUE...]: configures build/PRESET. A warm configure takes half a second.
configure() {
  quietly "build/logs/configure-$1.log" cmake --preset "$@"
}
# build PRESET [TARGET...]: with ninja's progress line on a terminal, else with the output in a log.
build() {
  local preset=$1 targets=()
  shift
  [ $# -eq 0 ] || targets=(--target "$@")
  local command=(cmake --build "build/$preset" -j "$jobs" "${targets[@]}")
  if [ -t 1 ]; then "${command[@]}"; else quietly "build/logs/build-$preset.log" "${command[@]}"; fi
}
