# Finds the manager that knows the service, and tells what it says of it, a fact a line.
if [ "$manager" = auto ]; then
	looked=
	for manager in systemd upstart openrc sysvinit none; do
		[ "$manager" != none ] || break
		"${manager}_here" || continue
		looked="$looked $manager"
		"${manager}_has" && break
	done
else
	looked=
	if "${manager}_here"; then
		looked=" $manager"
		"${manager}_has" || manager=none
	else
		manager=none
	fi
fi
echo "looked${looked}"
echo "manager $manager"
[ "$manager" = none ] || {
	look
	echo "running $running"
	echo "pid $pid"
	"${manager}_more"
}
