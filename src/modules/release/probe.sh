# What is known here of a release: a fact a line, its fields separated by tabs.
# Set before: name, version, root, verify (yes or no); the positional parameters are the links that were asked for.
LC_ALL=C
export LC_ALL
tab='	'
base=$root/$name

size_of() { stat -c %s "$1" 2>/dev/null || echo -1; }

# The nearest folder that is there already: where the space is.
near=$base
until [ -d "$near" ]; do
	near=${near%/*}
	[ -n "$near" ] || near=/
done
df -P "$near" 2>/dev/null | awk -v tab="$tab" 'END { if ($4 ~ /^[0-9]+$/) printf "free%s%.0f\n", tab, $4 * 1024 }'

# Everything below the base that a process executes, maps, has open or stands in; deleted files too.
used=
if [ -d "$base" ]; then
	real=$(readlink -f "$base")
	used=$({
		cat /proc/[0-9]*/maps
		ls -l /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/fd
	} 2>/dev/null | grep -F "$real/" | sed "s|.*$(printf %s "$real" | sed 's/[][\.*^$|]/\\&/g')/||" | sed -e 's|/.*||' -e 's| (deleted)$||' | sort -u)
fi

for record in "$base"/*.release; do
	[ -f "$record" ] || continue
	had=${record##*/}
	had=${had%.release}
	read -r sha size kind count <"$record"
	payload=$base/$had
	whole=broken
	if [ "$kind" = file ]; then
		payload=$payload/$name
		[ ! -f "$payload" ] || [ "$(size_of "$payload")" != "$size" ] || whole=whole
	elif [ -d "$payload" ]; then
		[ "$(find "$payload" -type f | wc -l | tr -cd 0-9)" != "$count" ] || whole=whole
	fi
	if [ "$verify" = yes ] && [ "$had" = "$version" ] && [ "$whole" = whole ]; then
		(cd "$base/$had" && sha256sum -c "$base/$had.sha256sums") >/dev/null 2>&1 || whole=broken
	fi
	use=free
	case "
$used
" in *"
$had
"*) use=used ;; esac
	# shellcheck disable=SC2046
	printf 'have\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$had" "$(stat -c %Y "$record")" "$sha" "$size" "$kind" "$whole" "$use" \
		"$(stat -c '%a	%U	%G	%u	%g' "$payload" 2>/dev/null || printf '\t\t\t\t')"
done

for part in "$base/$version"@*.partial; do
	[ -f "$part" ] || continue
	mark=${part%.partial}
	printf 'partial\t%s\t%s\n' "${mark##*@}" "$(size_of "$part")"
done
for parts in "$base/$version"@*.parts; do
	[ -d "$parts" ] || continue
	mark=${parts%.parts}
	find "$parts" -type f -exec stat -c '%s	%n' {} + | while IFS=$tab read -r size path; do
		printf 'part\t%s\t%s\t%s\n' "${mark##*@}" "$size" "${path#"$parts"/}"
	done
done

tell_link() {
	if [ -L "$1" ]; then
		printf 'link\t%s\tlink\t%s\n' "$1" "$(readlink "$1")"
	elif [ -f "$1" ]; then
		printf 'link\t%s\tfile\t%s\n' "$1" "$(sha256sum "$1" | cut -c 1-64)"
	elif [ -e "$1" ]; then
		printf 'link\t%s\tdirectory\t\n' "$1"
	else
		printf 'link\t%s\tabsent\t\n' "$1"
	fi
}
for path; do tell_link "$path"; done
if [ $# = 0 ]; then
	for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
		if [ -L "$folder/$name" ] || [ -f "$folder/$name" ]; then
			printf 'found\t%s\n' "$folder/$name"
			tell_link "$folder/$name"
			break
		fi
	done
fi
# Links that were put in force before, and what was there before them: path, now, before, version.
if [ -f "$base/links" ]; then
	while IFS=$tab read -r path put before; do
		printf 'before\t%s\t%s\t%s\t%s\n' "$path" "$(readlink "$path")" "$before" "$put"
	done <"$base/links"
fi
