#!/bin/sh
# service NAME VERB, for a host that has no other.
if [ $# -lt 2 ] || [ ! -x "/etc/init.d/$1" ]; then
	echo "${1:-service}: unrecognized service" >&2
	exit 1
fi
name=$1
shift
exec "/etc/init.d/$name" "$@"
