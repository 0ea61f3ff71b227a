# Restarts schedulers by the user's command, and waits until none has an old library and one has the new.
# Set before: restart, within (seconds), targets (the new files, a line each).
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
# A daemon that the command leaves behind must not hold our own output.
sh -c "$restart" >"$out" 2>&1 </dev/null
status=$?
if [ "$status" -ne 0 ]; then
	printf '`restart` ended with status %s: ' "$status" >&2
	tail -n 5 "$out" >&2
	exit 1
fi
clock() { read -r up rest </proc/uptime; echo "${up%%.*}"; }
is_new() { printf '%s\n' "$targets" | grep -qxF -- "$1"; }
tab='	'
end=$(($(clock) + within))
held=0
while :; do
	old='' new=''
	while IFS=$tab read -r who path; do
		case $who in 'M user '*) ;; *) continue ;; esac
		if is_new "$path"; then new="$new ${who#M user }"; else old="$old ${who#M user } ($path)"; fi
	done <<-LIST
		$(tell)
	LIST
	# Twice in a row: one that ends at once has not been restarted.
	if [ -z "$old" ] && [ -n "$new" ]; then held=$((held + 1)); else held=0; fi
	[ "$held" -lt 2 ] || break
	if [ "$(clock)" -ge "$end" ]; then
		if [ -n "$old" ]; then
			printf '%s s after `restart` the old library is still in use by%s. A program that was linked with it when it was built must be built again; another may need its own restart\n' "$within" "$old" >&2
		else
			printf '%s s after `restart` no process has the new library: did the scheduler start? %s\n' "$within" "$(tail -n 3 "$out")" >&2
		fi
		exit 1
	fi
	sleep 1
done
tell
