# Runs steps: $1 is the random word, $2 what came on the line: for each step its limit in seconds, a space, and its
# script with a group separator for each newline, and a record separator between them. Behind one that fails none is
# begun. A step leads a process group, and what it leaves there goes with it; what has a session of its own stays. It
# is told whether it is $SWITCHOVER_FOLLOWED by another: what it journals reaches the disk with the next event that is
# flushed; and whether the journal is $SWITCHOVER_CLOSED by one before it: its last line is whole. The word "release"
# is no step: it lets the lock go before the session ends. The lock is that of what was opened, whichever of us says so.
word=$1 code=0 ended='' closed='' marks=$(printf '\036\035') newline='
'
set -f
IFS=${marks%?}
# shellcheck disable=SC2086  # one word for each step
set -- $2
unset IFS
# unfold STEP: sets $script, without starting a process for it.
unfold() {
  IFS=${marks#?}
  # shellcheck disable=SC2086  # one word for each of its lines
  set -- ${1#* }
  IFS=$newline
  script="$*"
  unset IFS
}
left=0
for step in "$@"; do [ "$step" = release ] || left=$((left + 1)); done
for step in "$@"; do
  left=$((left - 1))
  unfold "$step"
  [ -z "$ended" ] || exit 70
  if [ "$code" = 0 ] && [ "$step" = release ]; then
    flock -u 9 || code=$?
  elif [ "$code" = 0 ]; then
    trap 'kill -9 "-$!" 2>/dev/null || kill -9 "$!"; exit 70' TERM  # by its number while it does not lead a group yet
    SWITCHOVER_FOLLOWED=${left#0} SWITCHOVER_CLOSED=$closed setsid timeout -k 5 "${step%% *}" /bin/sh -c "$script" &
    group=$!
    wait "$group"
    code=$?
    trap 'ended=1' TERM  # its number may be a stranger's from now on
    kill -TERM "-$group" 2>/dev/null
    # The session was killed: say nothing, so that it is missed now, and not at the next step, when other hosts have gone on.
    kill -0 "$SESSION" 2>/dev/null || exit 70
    case $script in *"${newline}event='{"*) closed=1 ;; esac  # asked only by those behind one that went well
  else
    code=-
  fi
  # The end is told on both streams, so that each is known to be whole without closing it.
  printf '\nEND %s %s\n' "$word" "$code"
  printf '\nEND %s %s\n' "$word" "$code" >&2
done
