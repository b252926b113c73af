# Sourced by the scripts beside it: where the tree is, how to speak, how to run things.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs=$(nproc)
# What one clone compiled serves another: ccache takes paths relative to the tree, and not for a part of the result.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true

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

# steps_to_build PRESET [TARGET...]: how many are left; a file of this tree is one, and takes a second or a few.
steps_to_build() {
  ninja -C "build/$1" -n "${@:2}" | grep -c '^\[' || true
}

# Tests against a clock, other processes and the kernel can fail because a shared machine stood still.
# The two below run what failed once more, by itself, if it is little, and name it in the summary as unsteady: a test
# that keeps failing fails, and one that is unsteady is seen, and listed in tests/unsteady.md until its cause is
# mended. A crash is never run again: it happened, however rarely it does.
most_rerun=3
most_seconds=600 # of one test: one that hangs fails by its name, and does not take the whole run with it
crash='AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:|terminate called|Assertion .* failed|SEGFAULT|Subprocess aborted|Segmentation fault|Aborted|(ended with|returncode|code) (== )?-(4|6|7|8|11)\b'
summary_line='' # of the last suite that ran

# ctest_suite PRESET LOG [CTEST ARGS...]
ctest_suite() {
  local preset=$1 log=$2 failed
  shift 2
  local command=(ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --no-tests=error
    --timeout "$most_seconds")
  if "${command[@]}" "$@" 2>&1 | tee "$log"; then
    summary_line=$(closing_line "$log" '^[0-9]+% tests passed')
    return 0
  fi
  summary_line=$(closing_line "$log" '^[0-9]+% tests passed')
  failed=$(sed -nE 's/^\t *[0-9]+ - (.*) \((Failed|Timeout|SEGFAULT|Subprocess aborted)\).*/\1/p' "$log")
  may_run_again "$failed" "$log" || return 1
  say "once more, by itself: $failed"
  "${command[@]}" --rerun-failed 2>&1 | tee "$log.again" || return 1
  summary_line+=$(unsteady "$failed")
}

# pytest_suite NAME LOG [PYTEST ARGS...]: tests/integration, or $pytest_folder, with WEIR_BIN and the like from
# outside.
pytest_suite() {
  local name=$1 log=$2 failed color=no
  shift 2
  [ ! -t 1 ] || color=yes
  local command=(/usr/bin/python3 -m pytest "${pytest_folder:-tests/integration}" -rfEs --color="$color" -o "cache_dir=$PWD/build/pytest/$name")
  # They wait more than they compute: two on each processor take half of the time.
  ! /usr/bin/python3 -c 'import pytest_timeout' 2>/dev/null || command+=(--timeout "$most_seconds")
  local at_once=()
  ! /usr/bin/python3 -c 'import xdist' 2>/dev/null || at_once=(-n "${WEIR_TEST_JOBS:-$((2 * jobs))}")
  if PYTHONUNBUFFERED=1 "${command[@]}" "${at_once[@]}" "$@" 2>&1 | tee "$log"; then
    summary_line=$(tail -n 1 "$log")
    return 0
  fi
  summary_line=$(tail -n 1 "$log")
  failed=$(sed -nE 's/^(FAILED|ERROR) ([^ ].*)/\2/p' "$log" | sed 's/ - .*//' | sort -u)
  may_run_again "$failed" "$log" || return 1
  say "once more, by itself: $failed"
  PYTHONUNBUFFERED=1 "${command[@]}" --last-failed --last-failed-no-failures none "$@" 2>&1 | tee "$log.again" || return 1
  summary_line+=$(unsteady "$failed")
}

# may_run_again FAILED LOG
may_run_again() {
  local crashes
  [ -n "$1" ] && [ "$(wc -l <<<"$1")" -le "$most_rerun" ] || return 1
  crashes=$(grep -m 3 -E "$crash" "$2") || return 0
  say "this was a crash, and is not run again:"
  printf '%s\n' "$crashes"
  return 1
}

# unsteady FAILED: what is added to a summary line.
unsteady() {
  local name
  while read -r name; do
    printf '; unsteady, failed 1 time of 2: %s' "$name"
    grep -qF -- "$name" tests/unsteady.md || printf ' (not yet in tests/unsteady.md)'
  done <<<"$1"
}
closing_line() { grep -E "$2" "$1" || echo "no summary: see $1"; }
