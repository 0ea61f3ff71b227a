# systemd, by plain systemctl. As root it needs no message bus.
[ -z "$scope" ] || export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
systemd_here() { [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; }

systemd_has() {
	loaded=$(systemctl $scope show -p LoadState "$name" 2>/dev/null)
	case $loaded in LoadState=not-found | '') return 1 ;; esac
}

systemd_look() {
	state=$(systemctl $scope show -p ActiveState -p SubState -p MainPID -p Type "$name" 2>/dev/null)
	# A oneshot service has done its work when its start returns.
	case $state in *Type=oneshot*) once=yes ;; esac
	pid=$(echo "$state" | sed -n 's/^MainPID=//p')
	[ "$pid" != 0 ] || pid=
	case $(echo "$state" | sed -n 's/^ActiveState=//p') in
	active | reloading) running=yes ;;
	activating) running=starting ;;
	deactivating) running=stopping ;;
	failed) running=failed ;;
	inactive) running=no ;;
	esac
	# Between two tries: dead now, and it comes back.
	case $state in *SubState=auto-restart*) running=dead ;; esac
}

systemd_more() {
	systemctl $scope show "$name" 2>/dev/null | sed 's/^/show /'
	echo "enabled $(systemctl $scope is-enabled "$name" 2>/dev/null | tail -n 1)"
}

systemd_start() { systemctl $scope $flags start "$name"; }
systemd_stop() { systemctl $scope $flags stop "$name"; }
systemd_restart() { systemctl $scope $flags restart "$name"; }
systemd_reload() { systemctl $scope $flags reload "$name"; }
systemd_enable() { systemctl $scope $flags enable "$name"; }
systemd_disable() { systemctl $scope $flags disable "$name"; }

systemd_log() {
	if said=$(journalctl ${scope:+--user} -u "$name" -n 150 --no-pager -o cat 2>/dev/null); then
		printf '%s\n' "$said" | cut -c 1-500
	else
		systemctl $scope status --no-pager -l -n 15 "$name" 2>/dev/null | tail -n 15
	fi
}
