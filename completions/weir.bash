# bash completion for weir. Written by scripts/generate-docs from "weir help-json": change the
# program, not this file.

# Completes the word at hand ($word) from a list. A choice that ends in "=" waits for its value, so no
# blank follows it.
_weir_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word")
  case ${COMPREPLY[0]-} in *=) compopt -o nospace 2>/dev/null ;; esac
  return 0
}

# Completes from the first column of what a running weir lists (WEIR_URL), if it answers within a second.
_weir_live() {
  local each
  COMPREPLY=()
  while IFS=$'\t' read -r each _; do
    [[ $each == "$word"* ]] && COMPREPLY+=("$(printf %q "$each")")
  done < <(timeout 1 "${COMP_WORDS[0]}" "$@" </dev/null 2>/dev/null)
  return 0
}

_weir_files() {
  mapfile -t COMPREPLY < <(compgen -f -- "$word")
  compopt -o filenames 2>/dev/null
  return 0
}

_weir() {
  local word=${COMP_WORDS[COMP_CWORD]} path=weir option='' i=1 each arguments=()
  COMPREPLY=()
  # Which command it is, and whether the word at hand is the value of the option before it. Bash cuts
  # "--show=hex" into three words; the "=" is skipped.
  while ((i < COMP_CWORD)); do
    each=${COMP_WORDS[i]}
    case $each in
      =) ;;
      -*) case "$path:$each" in
          'weir tap:-s'|'weir tap:--show'|'weir tap:-o'|'weir tap:--output'|'weir tap:--rotate-size'|'weir tap:--rotate-every'|'weir tap:--only'|'weir tap:--limit'|'weir tap:--color'|'weir tap:--filter-client'|'weir tap:--when-slow'|'weir tap:--grep'|'weir tap:-c'|'weir tap:--count'|'weir tap:--for'|'weir tap:-t'|'weir tap:--timeout'|'weir tap:--handshake'|'weir tap:--on-connect-failure'|'weir tap:--max-sessions'|'weir tap:--fault-queue-limit'|'weir tap:--keepalive-count'|'weir tap:--congestion'|'weir tap:--fault'|'weir tap:--seed'|'weir tap:--workers'|'weir tap:--poll'|'weir tap:--log'|'weir tap:--log-level'|'weir tap:--log-format'|'weir tap:--slow'|'weir tap:--ready-fd'|'weir why:-t'|'weir why:--timeout'|'weir why:--handshake'|'weir why:--on-connect-failure'|'weir why:--max-sessions'|'weir why:--fault-queue-limit'|'weir why:--keepalive-count'|'weir why:--congestion'|'weir why:--fault'|'weir why:--for'|'weir why:--exchanges'|'weir why:--fail-over'|'weir why:--compare'|'weir why:--ready-fd'|'weir demo:--color'|'weir demo:--naive-relay'|'weir check:-c'|'weir check:--config'|'weir serve:-c'|'weir serve:--config'|'weir serve:--api'|'weir serve:--seed'|'weir serve:--workers'|'weir serve:--poll'|'weir serve:--drain'|'weir serve:--log'|'weir serve:--log-level'|'weir serve:--log-format'|'weir serve:--ready-fd'|'weir serve:--exit-on-eof'|'weir proxy list:--url'|'weir proxy show:--url'|'weir proxy add:--url'|'weir proxy set:--url'|'weir proxy remove:--url'|'weir proxy enable:--url'|'weir proxy disable:--url'|'weir ls:--url'|'weir fault catalog:--url'|'weir fault list:--url'|'weir fault add:--url'|'weir fault set:--url'|'weir fault clear:--url'|'weir fault remove:--url'|'weir watch:--url'|'weir watch:-s'|'weir watch:--show'|'weir watch:-o'|'weir watch:--output'|'weir watch:--rotate-size'|'weir watch:--rotate-every'|'weir watch:--only'|'weir watch:--limit'|'weir watch:--color'|'weir watch:--filter-client'|'weir watch:--when-slow'|'weir watch:--grep'|'weir watch:-c'|'weir watch:--count'|'weir watch:--for'|'weir watch:--session'|'weir sessions:--url'|'weir sessions:--proxy'|'weir top:--url'|'weir top:--proxy'|'weir session list:--url'|'weir session close:--url'|'weir ps:--url'|'weir ps:--proxy'|'weir report:--url'|'weir events:--url'|'weir events:--after') option=$each ;;
          *) option='' ;;
        esac ;;
      *) if [[ -n $option ]]; then
          option=''
        else
          case "$path $each" in
            'weir tap'|'weir why'|'weir demo'|'weir check'|'weir serve'|'weir proxy'|'weir proxy list'|'weir proxy show'|'weir proxy add'|'weir proxy set'|'weir proxy remove'|'weir proxy enable'|'weir proxy disable'|'weir ls'|'weir fault'|'weir fault catalog'|'weir fault list'|'weir fault add'|'weir fault set'|'weir fault clear'|'weir fault remove'|'weir watch'|'weir sessions'|'weir top'|'weir session'|'weir session list'|'weir session close'|'weir ps'|'weir report'|'weir events'|'weir syslog'|'weir syslog pri'|'weir syslog parse'|'weir help') path="$path $each" ;;
            *) arguments+=("$each") ;;
          esac
        fi ;;
    esac
    ((i += 1))
  done
  [[ $word != = ]] || word=''
  if [[ -n $option ]]; then
    case "$path:$option" in
    'weir tap:-s'|'weir tap:--show') _weir_words 'text hex dump json raw none' ;;
    'weir tap:-o'|'weir tap:--output') _weir_files ;;
    'weir tap:--only') _weir_words 'upstream downstream' ;;
    'weir tap:--color') _weir_words 'auto always never' ;;
    'weir tap:--when-slow') _weir_words 'block drop' ;;
    'weir tap:-t'|'weir tap:--timeout') _weir_words 'handshake= resolve= connect= connect.attempt= first_byte.client= first_byte.server= idle= idle.client= idle.server= write_stall= half_close= max_duration= reset_grace= drain= tcp.user_timeout= tcp.keepalive.idle= tcp.keepalive.interval=' ;;
    'weir tap:--handshake') _weir_words 'none proxy_protocol' ;;
    'weir tap:--on-connect-failure') _weir_words 'reset close' ;;
    'weir tap:--congestion') _weir_words 'auto system' ;;
    'weir tap:--fault') _weir_words 'latency bandwidth slow_close timeout reset_peer slicer limit_data noop stall loss packet_loss corrupt first_byte_delay half_close accept_delay connect_delay refuse' ;;
    'weir tap:--workers') _weir_words 'auto' ;;
    'weir tap:--poll') _weir_words 'auto off' ;;
    'weir tap:--log') _weir_words 'stderr stdout file: syslog:local0 syslog:daemon syslog+udp:// syslog+tcp://' ;;
    'weir tap:--log-level') _weir_words 'debug info warning error' ;;
    'weir tap:--log-format') _weir_words 'text json' ;;
    'weir why:-t'|'weir why:--timeout') _weir_words 'handshake= resolve= connect= connect.attempt= first_byte.client= first_byte.server= idle= idle.client= idle.server= write_stall= half_close= max_duration= reset_grace= drain= tcp.user_timeout= tcp.keepalive.idle= tcp.keepalive.interval=' ;;
    'weir why:--handshake') _weir_words 'none proxy_protocol' ;;
    'weir why:--on-connect-failure') _weir_words 'reset close' ;;
    'weir why:--congestion') _weir_words 'auto system' ;;
    'weir why:--compare') _weir_files ;;
    'weir demo:--color') _weir_words 'auto always never' ;;
    'weir check:-c'|'weir check:--config') _weir_files ;;
    'weir serve:-c'|'weir serve:--config') _weir_files ;;
    'weir serve:--poll') _weir_words 'auto off' ;;
    'weir serve:--log') _weir_words 'stderr stdout file: syslog:local0 syslog:daemon syslog+udp:// syslog+tcp://' ;;
    'weir serve:--log-level') _weir_words 'debug info warning error' ;;
    'weir serve:--log-format') _weir_words 'text json' ;;
    'weir watch:-s'|'weir watch:--show') _weir_words 'text hex dump json raw none' ;;
    'weir watch:-o'|'weir watch:--output') _weir_files ;;
    'weir watch:--only') _weir_words 'upstream downstream' ;;
    'weir watch:--color') _weir_words 'auto always never' ;;
    'weir watch:--when-slow') _weir_words 'block drop' ;;
    'weir sessions:--proxy') _weir_live proxy list ;;
    'weir top:--proxy') _weir_live proxy list ;;
    'weir ps:--proxy') _weir_live proxy list ;;
    esac
    return 0
  fi
  case "$path" in
    'weir') if [[ $word == -* ]]; then _weir_words '-V --version -h --help'; else _weir_words 'tap why demo check serve proxy ls fault watch sessions top session ps report events syslog help'; fi ;;
    'weir tap') if [[ $word == -* ]]; then _weir_words '-h --help -s --show -o --output --overwrite --rotate-size --rotate-every --only --limit --color --filter-client --when-slow --grep -c --count --for -t --timeout --handshake --on-connect-failure --max-sessions --fault-queue-limit --keepalive-count --congestion --fault --seed --workers --poll --once --log --log-level --log-format --why --slow -q --quiet --ready-fd'; fi ;;
    'weir why') if [[ $word == -* ]]; then _weir_words '-h --help -t --timeout --handshake --on-connect-failure --max-sessions --fault-queue-limit --keepalive-count --congestion --fault --for --exchanges --once --fail-over --no-proof --json --compare --ready-fd'; fi ;;
    'weir demo') if [[ $word == -* ]]; then _weir_words '-h --help --color --naive-relay'; fi ;;
    'weir check') if [[ $word == -* ]]; then _weir_words '-h --help -c --config'; fi ;;
    'weir serve') if [[ $word == -* ]]; then _weir_words '-h --help -c --config --api --seed --workers --poll --drain --compat-open --log --log-level --log-format -q --quiet --ready-fd --exit-on-eof'; fi ;;
    'weir proxy') if [[ $word == -* ]]; then _weir_words '-h --help'; else _weir_words 'list show add set remove enable disable'; fi ;;
    'weir proxy list') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; fi ;;
    'weir proxy show') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir proxy add') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; fi ;;
    'weir proxy set') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; *) _weir_words 'listen= upstream= enabled= handshake= on_connect_failure= max_sessions= fault_queue_limit= keepalive_count= congestion= diagnose= timeouts.handshake= timeouts.resolve= timeouts.connect= timeouts.connect.attempt= timeouts.first_byte.client= timeouts.first_byte.server= timeouts.idle= timeouts.idle.client= timeouts.idle.server= timeouts.write_stall= timeouts.half_close= timeouts.max_duration= timeouts.reset_grace= timeouts.tcp.user_timeout= timeouts.tcp.keepalive.idle= timeouts.tcp.keepalive.interval=' ;; esac; fi ;;
    'weir proxy remove') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir proxy enable') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir proxy disable') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir ls') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; fi ;;
    'weir fault') if [[ $word == -* ]]; then _weir_words '-h --help'; else _weir_words 'catalog list add set clear remove'; fi ;;
    'weir fault catalog') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; fi ;;
    'weir fault list') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir fault add') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir fault set') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; 1) _weir_live fault list "${arguments[0]}" ;; esac; fi ;;
    'weir fault clear') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir fault remove') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; 1) _weir_live fault list "${arguments[0]}" ;; esac; fi ;;
    'weir watch') if [[ $word == -* ]]; then _weir_words '-h --help --url -s --show -o --output --overwrite --rotate-size --rotate-every --only --limit --color --filter-client --when-slow --grep -c --count --for --session -q --quiet'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir sessions') if [[ $word == -* ]]; then _weir_words '-h --help --url --json --proxy --watch'; fi ;;
    'weir top') if [[ $word == -* ]]; then _weir_words '-h --help --url --json --proxy'; fi ;;
    'weir session') if [[ $word == -* ]]; then _weir_words '-h --help'; else _weir_words 'list close'; fi ;;
    'weir session list') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; fi ;;
    'weir session close') if [[ $word == -* ]]; then _weir_words '-h --help --url'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir ps') if [[ $word == -* ]]; then _weir_words '-h --help --url --json --proxy --watch'; fi ;;
    'weir report') if [[ $word == -* ]]; then _weir_words '-h --help --url --json'; else case ${#arguments[@]} in 0) _weir_live proxy list ;; esac; fi ;;
    'weir events') if [[ $word == -* ]]; then _weir_words '-h --help --url --json --follow --after'; fi ;;
    'weir syslog') if [[ $word == -* ]]; then _weir_words '-h --help'; else _weir_words 'pri parse'; fi ;;
    'weir syslog pri') if [[ $word == -* ]]; then _weir_words '-h --help'; fi ;;
    'weir syslog parse') if [[ $word == -* ]]; then _weir_words '-h --help --json'; fi ;;
    'weir help') if [[ $word == -* ]]; then _weir_words '-h --help'; fi ;;
  esac
  return 0
}

complete -F _weir weir
