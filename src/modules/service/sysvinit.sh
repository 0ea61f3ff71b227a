# Scripts under /etc/init.d: LSB's verbs and exit codes where a script keeps them, its pid file or the process table where not.
sysvinit_here() { [ -d $root/etc/init.d ]; }
sysvinit_has() { [ -f "$root/etc/init.d/$name" ] && [ -x "$root/etc/init.d/$name" ]; }
sysvinit_verb() { "$root/etc/init.d/$name" "$1" $extra; }

openrc_here() { command -v rc-service >/dev/null 2>&1 && [ -d /run/openrc ]; }
openrc_has() { [ -x "$root/etc/init.d/$name" ]; }
openrc_verb() { rc-service "$name" "$1" $extra; }

# The first pid file that is there: the script's own word for it, then the usual places.
sysvinit_pidfile() {
	named=$(sed -n -e 's/^#[[:space:]]*pidfile:[[:space:]]*//p' \
		-e 's/^[[:space:]]*\(export \)\{0,1\}[Pp][Ii][Dd]_\{0,1\}[Ff][Ii][Ll][Ee]=//p' \
		"$root/etc/init.d/$name" 2>/dev/null | tr -d "\"'" | sed -e "s/\${\{0,1\}NAME}\{0,1\}/$name/g" -e 's/[[:space:]].*//')
	for file in $named "/run/$name.pid" "/var/run/$name.pid" "/run/$name/$name.pid" "/var/run/$name/$name.pid"; do
		case $file in *'$'*) continue ;; esac
		[ -f "$file" ] && echo "$file" && return 0
	done
	return 1
}

sysvinit_look() {
	answer=$("${manager}_verb" status 2>&1 </dev/null)
	code=$?
	file=$(sysvinit_pidfile) && pid=$(head -n 1 "$file" 2>/dev/null | tr -cd 0-9)
	alive "$pid" || pid=
	case $answer in
	*[Uu]sage:* | *'nrecognized'* | *'nknown '*) code=4 ;;
	*'not running'* | *'is stopped'* | *'not started'*) [ "$code" != 0 ] || code=3 ;;
	esac
	case $code in
	0)
		running=yes
		told=$(echo "$answer" | sed -n 's/.*[Pp][Ii][Dd][^0-9]\{0,4\}\([0-9]\{1,\}\).*/\1/p' | head -n 1)
		if alive "$told"; then pid=$told; fi
		;;
	# Dead with a pid file: a supervisor may be about to start it again. Without one it is just stopped.
	1 | 2 | 32) if [ -n "$file" ]; then running=dead; else running=no; fi ;;
	3) running=no ;;
	*)
		[ -n "$pid" ] || pid=$(by_command)
		if [ -n "$pid" ]; then running=yes; else running=no; fi
		;;
	esac
	if [ "$running" = yes ] && [ -z "$pid" ]; then pid=$(by_command); fi
	[ "$running" = yes ] || pid=
}
openrc_look() { sysvinit_look; }

sysvinit_links() { ls -d $root/etc/rc[2345].d/$1[0-9][0-9]"$name" $root/etc/rc.d/rc[2345].d/$1[0-9][0-9]"$name" 2>/dev/null; }

sysvinit_more() {
	if [ -n "$(sysvinit_links S)" ]; then echo 'enabled enabled'; else echo 'enabled disabled'; fi
}
openrc_more() {
	if rc-update show 2>/dev/null | grep -q "^[[:space:]]*$name[[:space:]]*|.*[a-z]"; then echo 'enabled enabled'
	else echo 'enabled disabled'; fi
}

sysvinit_start() { sysvinit_verb start; }
sysvinit_stop() { sysvinit_verb stop; }
sysvinit_reload() { sysvinit_verb reload; }
openrc_start() { openrc_verb start; }
openrc_stop() { openrc_verb stop; }
openrc_reload() { openrc_verb reload; }

sysvinit_enable() {
	if command -v update-rc.d >/dev/null 2>&1; then
		update-rc.d "$name" defaults && update-rc.d "$name" enable
	elif command -v chkconfig >/dev/null 2>&1; then
		chkconfig --add "$name" && chkconfig "$name" on
	else
		for folder in $root/etc/rc[2345].d; do
			[ -d "$folder" ] || { folder=$root/etc/rc2.d && mkdir -p "$folder"; } || return 1
			rm -f "$folder"/K[0-9][0-9]"$name"
			[ -e "$folder/S20$name" ] || ln -s "../init.d/$name" "$folder/S20$name" || return 1
		done
	fi
}
sysvinit_disable() {
	if command -v update-rc.d >/dev/null 2>&1; then
		update-rc.d "$name" disable
	elif command -v chkconfig >/dev/null 2>&1; then
		chkconfig "$name" off
	else
		for link in $(sysvinit_links S); do
			mv -f "$link" "${link%/*}/K80$name" || return 1
		done
	fi
}
openrc_enable() { rc-update add "$name" default; }
openrc_disable() { rc-update del "$name" default; }

sysvinit_log() {
	for file in "/var/log/$name.log" "/var/log/$name/$name.log" "/var/log/$name/stderr"; do
		[ -s "$file" ] && log_end "$file" && return 0
	done
}
openrc_log() { sysvinit_log; }
