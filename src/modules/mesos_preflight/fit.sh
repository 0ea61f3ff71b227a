# What a release needs of its host. Set before: root, to, secrets (the credentials file, or empty); the parameters are the programs.
near=$root
until [ -d "$near" ]; do
	near=${near%/*}
	[ -n "$near" ] || near=/
done
df -P "$near" 2>/dev/null | awk 'END { if ($4 ~ /^[0-9]+$/) printf "D %.0f\n", $4 * 1024 }'
for program in "$@"; do
	binary=$root/$program/$to/$program
	if [ ! -f "$binary" ]; then
		echo "N $program $binary"
		continue
	fi
	echo "B $program $binary"
	# As ldd does it, which busybox has not; a static program only prints its help.
	LD_TRACE_LOADED_OBJECTS=1 "$binary" --help 2>/dev/null </dev/null | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/X \1/p'
	said=$(env -i PATH="$PATH" "$binary" --help 2>&1 </dev/null)
	echo "E $?"
	printf '%s\n' "$said" | head -n 1000 | cut -c 1-200 | sed 's/^/H /'
done
if [ -n "$secrets" ]; then
	# The secrets themselves stay here.
	if [ ! -e "$secrets" ]; then
		echo 'C missing'
	elif [ ! -r "$secrets" ]; then
		echo 'C closed'
	else
		echo "C mode $(stat -L -c %a "$secrets")"
		awk '
			NR == 1 && /^[ \t]*[{]/ { print "C json"; json = 1; exit }
			/^$/ { next }
			/\r/ { print "C line", NR, "windows"; next }
			/^#/ { print "C line", NR, "comment"; next }
			/\t/ { print "C line", NR, "tab"; next }
			NF != 2 { print "C line", NR, "words"; next }
			$1 in seen { print "C line", NR, "twice" }
			{ seen[$1] = 1; count++ }
			END { if (!json) print "C count", count + 0 }
		' "$secrets"
	fi
fi
echo Z
