# Installs a package while its services are stopped, and keeps its scripts from starting them.
# Set before: name, version, file, prefix; the parameters are services.
fail() {
	printf '%s\n' "$1" >&2
	exit 1
}
[ "$(dpkg-deb -f "$file" Package 2>/dev/null)" = "$name" ] || fail "$file is no package of $name"
is=$(dpkg-deb -f "$file" Version)
[ "$is" = "$version" ] || fail "$file is $name $is, not $version"
for service in "$@"; do
	! running "$service" || fail "$service runs: stop it first, a package is installed only while its services are stopped"
done
policy=$prefix/usr/sbin/policy-rc.d
kept=$policy.before-stagger
restore() {
	if grep -qs 'stagger holds services' "$policy"; then rm -f "$policy"; fi
	[ ! -e "$kept" ] || [ -e "$policy" ] || mv "$kept" "$policy"
}
restore # of one that was killed
out=$(mktemp) || exit 1
trap 'restore; rm -f "$out"' EXIT
trap 'exit 129' HUP INT TERM
[ ! -e "$policy" ] || mv "$policy" "$kept" || fail "$policy can't be moved aside"
# Holds only as long as this shell lives: if it is killed, services start as before.
born=$(cut -d ' ' -f 22 "/proc/$$/stat")
cat >"$policy.new" <<POLICY || fail "$policy can't be written"
#!/bin/sh
# stagger holds services while a package is installed
[ "\$(cut -d ' ' -f 22 /proc/$$/stat 2>/dev/null)" = "$born" ] && exit 101
[ -x '$kept' ] && exec '$kept' "\$@"
exit 0
POLICY
chmod 755 "$policy.new" && mv "$policy.new" "$policy" || fail "$policy can't be made"
export DEBIAN_FRONTEND=noninteractive
# Files that were changed here stay as they are.
set -- "$file" "$@"
if [ -n "$prefix" ]; then
	dpkg --root="$prefix" --force-script-chrootless --force-confdef --force-confold -i "$file" >"$out" 2>&1 </dev/null
else
	dpkg --force-confdef --force-confold -i "$file" >"$out" 2>&1 </dev/null
fi
status=$?
shift
now=$(dpkg-query --admindir="$prefix/var/lib/dpkg" -W -f='${db:Status-Abbrev}|${Version}' "$name" 2>/dev/null)
if [ "$status" -ne 0 ] || [ "$now" != "ii |$version" ]; then
	fail "dpkg ended with status $status, and $name is \`$now\`: $(tail -n 6 "$out")"
fi
for service in "$@"; do
	! running "$service" || fail "$name $version is installed, and its scripts have started $service in spite of policy-rc.d: stop it"
done
