# What all managers share. POSIX sh, dash and busybox alike; nothing beyond busybox's applets.
# Set before: name, pattern, manager, extra, wait (yes or no), pause, stop_limit, start_limit,
# settle (seconds each); root is empty but in tests.
LC_ALL=C
export LC_ALL
unset SYSTEMD_PAGER SYSTEMD_COLORS

# Seconds since boot: the wall clock may be set meanwhile.
now() {
	uptime=$(cat /proc/uptime)
	echo "${uptime%%.*}"
}

# Ten looks a second where sleep takes fractions, one where it does not.
nap() { sleep 0.1 2>/dev/null || sleep 1; }

# Whether a process lives. A zombie does not: only its parent's wait is missing.
alive() {
	case $1 in '' | 0 | *[!0-9]*) return 1 ;; esac
	fields=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	case ${fields##*) } in [ZX]*) return 1 ;; esac
}

# When a process was born, in ticks since boot: tells it from a later one with its number.
born() {
	fields=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	set -- ${fields##*) }
	echo "${20}"
}

# Waits until that very process is gone: number, birth.
gone() {
	end=$(($(now) + stop_limit))
	while alive "$1" && [ "$(born "$1")" = "$2" ]; do
		[ "$(now)" -lt "$end" ] || return 1
		nap
	done
}

# This shell and its ancestors: their command lines may have the pattern in them.
family() {
	own=$$
	while [ "${own:-0}" -gt 1 ]; do
		printf ' %s' "$own"
		fields=$(cat "/proc/$own/stat" 2>/dev/null) || return 0
		set -- ${fields##*) }
		own=$2
	done
}

session() {
	fields=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	set -- ${fields##*) }
	echo "$4"
}

# The first process with the pattern in its command line; without a pattern, whose program has the service's name.
by_command() {
	relatives="$(family) "
	ours=$(session $$)
	for entry in /proc/[0-9]*; do
		found=${entry#/proc/}
		case $relatives in *" $found "*) continue ;; esac
		words=$({ tr '\0' ' ' <"$entry/cmdline"; } 2>/dev/null) || continue
		[ -n "$words" ] || continue
		if [ -n "$pattern" ]; then
			case $words in *"$pattern"*) ;; *) continue ;; esac
		else
			first=${words%% *}
			[ "${first##*/}" = "$name" ] || continue
		fi
		[ "$(session "$found")" != "$ours" ] && alive "$found" && echo "$found" && return 0
	done
	return 1
}

look() {
	running=unknown pid='' once=no
	"${manager}_look"
}

# Runs a verb with its output in a file: a daemon that keeps its output open must not keep us.
captured() {
	said=$(mktemp "${TMPDIR:-/tmp}/.stagger-service.XXXXXX") || exit 1
	"$@" </dev/null >"$said" 2>&1
	code=$?
	words=$(tail -n 20 "$said")
	rm -f "$said"
	return $code
}

# The end of a log: far enough back that a help text after the reason does not hide it.
log_end() { tail -n 150 "$1" | cut -c 1-500; }

# Ends with a message, what the verb said, and the end of the daemon's own log.
fail() {
	echo "$1" >&2
	[ -z "$words" ] || echo "$words" >&2
	lines=$("${manager}_log" 2>/dev/null)
	[ -z "$lines" ] || printf 'its log ends with:\n%s\n' "$lines" >&2
	exit 1
}

# After a start: up, and a moment later still the same process.
stays() {
	look
	[ "$once" = no ] || [ "$running" = failed ] || return 0
	end=$(($(now) + start_limit))
	while look && [ "$running" != yes ]; do
		# systemd says by itself when a process is dead; an init script's pid file may only come late.
		case $running in
		failed) break ;;
		dead) [ "$manager" != systemd ] || break ;;
		esac
		[ "$(now)" -lt "$end" ] || break
		nap
	done
	[ "$running" = yes ] || fail "$name was started, but is not running"
	first=$pid
	sleep "$settle"
	look
	[ "$running" = yes ] || fail "$name died within ${settle} s of its start${first:+ (it was process $first)}"
	[ "$pid" = "$first" ] ||
		fail "$name died within ${settle} s of its start: process $first is gone, and $pid was started in its place"
	echo "pid $pid"
}

start() {
	words=
	captured "${manager}_start" || fail "$name could not be started (status $code)"
	[ "$wait" = no ] || stays
}

stop() {
	words=
	look
	old=$pid since=$(born "${pid:-0}")
	captured "${manager}_stop" || fail "$name could not be stopped (status $code)"
	[ "$wait" = yes ] || return 0
	gone "$old" "$since" || fail "process $old of $name still runs ${stop_limit} s after it was told to stop"
	nap
	end=$(($(now) + stop_limit))
	while look && [ "$running" = yes ]; do
		[ -z "$old" ] || [ "$pid" = "$old" ] || fail "$name was stopped, but process $pid runs: something starts it again"
		[ "$(now)" -lt "$end" ] || fail "$name still runs ${stop_limit} s after it was told to stop"
		nap
	done
}

restart() {
	look
	before=$pid since=$(born "${pid:-0}")
	if [ "$manager" = systemd ]; then
		# Its own restart takes along what depends on the unit; a stop and a start would leave that down.
		words=
		captured systemd_restart || fail "$name could not be restarted (status $code)"
		[ "$wait" = yes ] || return 0
		gone "$before" "$since" || fail "process $before of $name still runs ${stop_limit} s after the restart"
		stays
	else
		stop
		[ -z "$pause" ] || sleep "$pause"
		start
	fi
	[ -z "$before" ] || [ "$pid" != "$before" ] || [ "$(born "$pid")" != "$since" ] ||
		fail "$name was restarted, but is still process $before"
}

reload() {
	words=
	captured "${manager}_reload" || fail "$name could not be reloaded (status $code)"
	look
	[ "$running" = yes ] || fail "$name is not running after its reload"
	echo "pid $pid"
}
