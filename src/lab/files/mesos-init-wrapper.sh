#!/bin/sh
# mesos-init-wrapper {master|slave}: makes the daemon's command line from /etc/default and /etc/mesos-*.
#  - /etc/default/mesos, then /etc/default/mesos-ROLE, with everything in them exported;
#  - ULIMIT, ZK, IP, PORT, CLUSTER, LOGS (master); ULIMIT, MASTER, IP, LOGS, ISOLATION (slave);
#  - each file in /etc/mesos-ROLE is --NAME=CONTENTS; a file `?NAME` is --NAME;
#  - the folders attributes/ and resources/ of /etc/mesos-slave are joined to k:v;k:v.
role=$1
case "$role" in
master | slave) ;;
*)
	echo "usage: $0 {master|slave}" >&2
	exit 2
	;;
esac
shift

set -a
[ ! -f /etc/default/mesos ] || . /etc/default/mesos
[ ! -f "/etc/default/mesos-$role" ] || . "/etc/default/mesos-$role"
set +a

[ -z "$ULIMIT" ] || ulimit $ULIMIT 2>/dev/null

set --
[ -z "$IP" ] || set -- "$@" "--ip=$IP"
[ -z "$LOGS" ] || set -- "$@" "--log_dir=$LOGS"
if [ "$role" = master ]; then
	[ -z "$ZK" ] || set -- "$@" "--zk=$ZK"
	[ -z "$PORT" ] || set -- "$@" "--port=$PORT"
	[ -z "$CLUSTER" ] || set -- "$@" "--cluster=$CLUSTER"
else
	[ -z "$MASTER" ] || set -- "$@" "--master=$MASTER"
	[ -z "$ISOLATION" ] || set -- "$@" "--isolation=$ISOLATION"
fi

for file in "/etc/mesos-$role"/*; do
	[ -f "$file" ] || continue
	name=${file##*/}
	case "$name" in
	'?'*) set -- "$@" "--${name#?}" ;;
	*) set -- "$@" "--$name=$(cat "$file")" ;;
	esac
done
for kind in attributes resources; do
	[ "$role" = slave ] && [ -d "/etc/mesos-slave/$kind" ] || continue
	joined=
	for file in "/etc/mesos-slave/$kind"/*; do
		[ -f "$file" ] || continue
		joined="$joined${joined:+;}${file##*/}:$(cat "$file")"
	done
	[ -z "$joined" ] || set -- "$@" "--$kind=$joined"
done

exec "/usr/local/sbin/mesos-$role" "$@"
