# What has a library (or jar) in its memory. Set before: stem (libmesos), jar (mesos, or empty for none).
# A line `M KIND PID NAME<tab>PATH` each: KIND is daemon, executor or user.
tell() {
	{
		LC_ALL=C grep -H "/$stem[^/]*\$" /proc/[0-9]*/maps 2>/dev/null |
			sed -n 's|^/proc/\([0-9]*\)/maps:[^/]*\(/.*\)$|\1 \2|p'
		[ -z "$jar" ] || ls -l /proc/[0-9]*/fd 2>/dev/null | sed -n \
			-e 's|^/proc/\([0-9]*\)/fd:$|\1|' -e '/^[0-9]*$/h' \
			-e "\\|-> /.*/$jar[^/]*\\.jar\\( (deleted)\\)*\$|b found" -e "\\|-> /.*/$jar-jar\\( (deleted)\\)*\$|b found" -e d \
			-e ':found' -e 's|.*-> ||' -e 'G' -e 's|^\(.*\)\n\(.*\)$|\2 \1|p'
	} | sort -u | while read -r pid path; do
		name=
		read -r name 2>/dev/null <"/proc/$pid/comm" || continue
		kind=user
		case $name in
		mesos-master | mesos-slave | mesos-agent | lt-mesos-master | lt-mesos-slave) kind=daemon ;;
		mesos-executor | mesos-docker-ex* | mesos-default-e* | lt-mesos-exec*) kind=executor ;;
		*) if tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -q '^MESOS_EXECUTOR_ID='; then kind=executor; fi ;;
		esac
		printf 'M %s %s %s\t%s\n' "$kind" "$pid" "$name" "$path"
	done
}
