# The far end of a session: takes the lock, then runs one step after another, each a line on stdin.
# $1 the lock, empty for a session that only reads · $2 a random word that marks our own lines · $3 seconds without a
# word from the controller after which it is given up · $4 seconds to wait for the lock · $5 runner.sh · $6 a first line
unset CDPATH ENV BASH_ENV
LOCALE=${LC_ALL-} LC_ALL=C SESSION=$$
export LOCALE LC_ALL SESSION
umask 022
cd / || exit 70
# A line of our own, even behind what a profile printed without an end, like the title of a window.
say() { printf '\n%s\n' "$*"; }
# busy LOCK WORD: tells who holds the lock, and at what.
busy() { say "BUSY $2 $(cat "$1.info" 2>/dev/null) $(tail -n 1 "$private/journal.jsonl" 2>/dev/null)"; }
# queued SECONDS: gets the lock behind those who came earlier: the kernel lets go on in that order who waits. Whoever is
# told now and then that we are here is gone when that fails. An older flock cannot wait with a limit.
queued() {
  case $(flock --help 2>&1) in *-w*) ;; *) sleep 1; return 1 ;; esac
  flock -w "$1" 9 &
  asks=$!
  (trap '' PIPE; exec 9>&- 2>/dev/null; while sleep 2; do echo || break; done; kill "$asks") &
  tells=$!
  code=0
  wait "$asks" || code=$?
  kill "$tells"
  return $code
}
for tool in setsid timeout ${1:+flock}; do
  command -v $tool >/dev/null || { say "FAIL $2 69 it has no $tool"; exit 69; }
done
if [ -n "$1" ]; then
  private=${1%/*}
  root=${private%/*}
  [ -e "$root" ] || { say "FAIL $2 66 $root does not exist"; exit 66; }
  [ -d "$root" ] || { say "FAIL $2 65 $root is a file, not a directory"; exit 65; }
  problem=$({ { [ -d "$private" ] || mkdir -m 0700 "$private" || [ -d "$private" ]; } && : >>"$1"; } 2>&1) || {
    case $problem in *"ermission denied") code=77 ;; *) code=73 ;; esac
    say "FAIL $2 $code $(id -un 2>/dev/null || id -u) cannot write $1: ${problem##*: }"
    exit $code
  }
  exec 9>>"$1"
  tries=0 most=8
  [ "$4" = 0 ] || most=1  # or who came later would be there first
  # Somebody may have asked just now whether it is taken, or busybox's timeout may not have let go of it yet.
  until flock -n 9; do
    tries=$((tries + 1))
    [ $tries -le $most ] || {
      busy "$1" "$2"
      [ "$4" = 0 ] || ! queued "$4" || break
      [ "$4" = 0 ] || busy "$1" "$2"
      exit 75
    }
    sleep 0.25
  done
fi
say "READY $2"
say "READY $2" >&2
# running: does the runner of the last step still run? Not one that has ended and was not waited for, nor a stranger.
running() {
  case $(cut -d ' ' -f 3,4 "/proc/$step/stat" 2>/dev/null) in Z* | '') return 1 ;; *" $$") return 0 ;; esac
  return 1
}
step='' line=$6
# The reader runs beside the step, so that the end of the line is the end of the step, too, and frees the lock. It keeps
# none of our streams: when we are killed, their end tells the controller.
while [ -n "$line" ] || line=$(exec 9>&- 2>/dev/null; exec timeout "$3" /bin/sh -c 'IFS= read -r line && printf %s "$line"'); do
  case $line in
    '')  # a beat: a runner that was killed has said nothing, and would be waited for
      [ -z "$step" ] || running || { wait "$step" && step=; } || break
      continue ;;
    bye) break ;;
  esac
  [ -z "$step" ] || wait "$step"
  /bin/sh -c "$5" step "$2" "$line" </dev/null &
  step=$! line=''
done
exec 9>&-
[ -n "$step" ] && running || exit 0
kill "$step"
tries=0
while running && [ $tries -lt 20 ]; do
  sleep 0.05
  tries=$((tries + 1))
done
if running; then
  left=$(cat "/proc/$step/task/$step/children" 2>/dev/null)
  kill -9 "$step" 2>/dev/null
  for child in $left; do kill -9 "-$child" 2>/dev/null || kill -9 "$child" 2>/dev/null; done
fi
