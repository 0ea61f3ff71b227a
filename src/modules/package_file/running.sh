# Whether a service runs: by systemd, upstart, its init script, or a process of that name. Set before: prefix (empty but in tests).
running() {
	if [ -d "$prefix/run/systemd/system" ] && command -v systemctl >/dev/null 2>&1; then
		! systemctl is-active -q "$1" 2>/dev/null || return 0
	elif [ -f "$prefix/etc/init/$1.conf" ]; then
		status "$1" 2>/dev/null | grep -q 'start/' && return 0
	elif [ -x "$prefix/etc/init.d/$1" ]; then
		! "$prefix/etc/init.d/$1" status >/dev/null 2>&1 </dev/null || return 0
	fi
	short=$(printf %.15s "$1")
	for comm in /proc/[0-9]*/comm; do
		named=
		read -r named 2>/dev/null <"$comm" || continue
		[ "$named" != "$short" ] || return 0
	done
	return 1
}
