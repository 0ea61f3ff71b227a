# A daemon without any init system: a pid file says which process it is. Beside it stands when that process was born, so
# that a later process with the same number (after a reboot, say) is not taken for it.
# Set before: pidfile, program, user, signal, log.
daemon_here() { :; }
daemon_has() { :; }

daemon_look() {
	running=no
	pid=$(head -n 1 "$pidfile" 2>/dev/null | tr -cd 0-9)
	alive "$pid" || { pid=; return 0; }
	if { read -r boot number ticks <"$pidfile.born"; } 2>/dev/null && [ "$number" = "$pid" ]; then
		[ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && [ "$ticks" = "$(born "$pid")" ] || { pid=; return 0; }
	fi
	running=yes
}
daemon_more() { echo 'enabled unknown'; }

daemon_start() {
	mkdir -p "${pidfile%/*}" "${log%/*}" || return 1
	rm -f "$pidfile" "$pidfile.born"
	: >>"$log" || return 1
	# The pid is written by the process that becomes the daemon, into a file that is open already: a user that may not
	# write there can be become in between.
	inner='echo $$ >&3; exec 3>&-; exec '$program
	cd / || return 1
	if [ -n "$user" ]; then
		chown "$user" "$log" 2>/dev/null
		setsid su -s /bin/sh "$user" -c "$inner" </dev/null >>"$log" 2>&1 3>"$pidfile.new" &
	else
		setsid sh -c "$inner" </dev/null >>"$log" 2>&1 3>"$pidfile.new" &
	fi
	end=$(($(now) + start_limit))
	until [ -s "$pidfile.new" ]; do
		[ "$(now)" -lt "$end" ] || { echo "no process was made from: $program"; return 1; }
		nap
	done
	new=$(tr -cd 0-9 <"$pidfile.new")
	echo "$(cat /proc/sys/kernel/random/boot_id) $new $(born "$new")" >"$pidfile.born"
	# A program that goes to the background by itself may have written the file meanwhile: then its word counts.
	if [ -e "$pidfile" ]; then rm -f "$pidfile.new"; else mv -f "$pidfile.new" "$pidfile"; fi
}

daemon_stop() {
	[ -n "$old" ] || return 0
	kill -s "$signal" "$old" || return 1
	gone "$old" "$since" || return 0
	rm -f "$pidfile" "$pidfile.born"
}

daemon_reload() {
	look
	[ -n "$pid" ] && kill -s HUP "$pid"
}
daemon_log() { log_end "$log"; }
