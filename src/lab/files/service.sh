#!/bin/sh
### BEGIN INIT INFO
# Provides:          @NAME@
# Required-Start:    $network $local_fs
# Required-Stop:     $network $local_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: @NAME@
### END INIT INFO
# The supervisor of a rehearsal host is its init; this script is how people speak with it.
# Exit codes are LSB's: status 0 running, 1 dead with a pid file, 3 stopped; others 0 done, 2 usage, 4 not root.
NAME=@NAME@
PIDFILE=/var/run/$NAME.pid
CONTROL=/run/lab/control

ask() {
	if [ ! -w "$CONTROL" ]; then
		echo "$NAME: needs root" >&2
		exit 4
	fi
	reply=/run/lab/reply.$$
	rm -f "$reply"
	mkfifo "$reply" || exit 1
	echo "$1 $NAME $reply" >"$CONTROL"
	read -r code text <"$reply"
	rm -f "$reply"
	[ -n "$text" ] && echo "$text"
	return "${code:-1}"
}

case "$1" in
run)
@RUN@
	;;
start | stop | restart)
	ask "$1"
	exit $?
	;;
reload | force-reload)
	ask restart
	exit $?
	;;
try-restart | condrestart)
	"$0" status >/dev/null || exit 0
	ask restart
	exit $?
	;;
status)
	pid=$(cat "$PIDFILE" 2>/dev/null)
	if [ -n "$pid" ] && [ -d "/proc/$pid" ]; then
		echo "$NAME is running, pid $pid"
		exit 0
	fi
	if [ -n "$pid" ]; then
		echo "$NAME is dead, and its pid file $PIDFILE is still there"
		exit 1
	fi
	echo "$NAME is stopped"
	exit 3
	;;
*)
	echo "Usage: $0 {start|stop|restart|try-restart|reload|status}" >&2
	exit 2
	;;
esac
