# Runs one step: $1 is the random word, $2 the step's limit in seconds, a space, and its script with backslash and newline
# escaped. The step leads a process group, and what it leaves there goes with it; what has a session of its own stays.
trap 'kill -9 "-$!" 2>/dev/null || kill -9 "$!"; exit 70' TERM  # by its number while it does not lead a group yet
setsid timeout -k 5 "${2%% *}" /bin/sh -c "$(printf %b "${2#* }")" &
group=$!
wait "$group"
code=$?
trap '' TERM  # its number may be a stranger's from now on
kill -TERM "-$group" 2>/dev/null
# The end is told on both streams, so that each is known to be whole without closing it.
printf '\nEND %s %s\n' "$1" "$code"
printf '\nEND %s %s\n' "$1" "$code" >&2
