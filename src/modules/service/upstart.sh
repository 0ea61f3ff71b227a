# upstart. Its own restart does not read the job's file again, so a restart is a stop and a start.
upstart_here() { initctl version 2>/dev/null | grep -q upstart; }
upstart_has() { [ -e "$root/etc/init/$name.conf" ]; }

upstart_look() {
	state=$(initctl status "$name" 2>&1)
	pid=$(echo "$state" | sed -n 's/.*, process \([0-9][0-9]*\).*/\1/p' | head -n 1)
	case $state in
	*' start/running'*) running=yes ;;
	*' stop/waiting'*) running=no ;;
	*' start/'*) running=starting ;;
	*' stop/'*) running=stopping ;;
	esac
}

upstart_more() {
	if grep -q '^[[:space:]]*manual' "$root/etc/init/$name.override" 2>/dev/null; then
		echo 'enabled disabled'
	elif grep -q '^[[:space:]]*start on' "$root/etc/init/$name.override" "$root/etc/init/$name.conf" 2>/dev/null; then
		echo 'enabled enabled'
	else
		echo 'enabled disabled'
	fi
}

upstart_start() { initctl start "$name"; }
upstart_stop() { initctl stop "$name"; }
upstart_reload() { initctl reload "$name"; }

upstart_override() {
	override=$root/etc/init/$name.override
	beside=$override.$$.new
	{
		[ ! -e "$override" ] || grep -v '^[[:space:]]*manual' "$override"
		[ "$1" = enable ] || echo manual
	} >"$beside"
	chmod 644 "$beside" && mv -f "$beside" "$override"
}

upstart_enable() {
	grep -q '^[[:space:]]*start on' "$root/etc/init/$name.conf" ||
		{ echo "$root/etc/init/$name.conf has no \"start on\""; return 1; }
	upstart_override enable
}
upstart_disable() { upstart_override disable; }
upstart_log() { log_end "/var/log/upstart/$name.log"; }
