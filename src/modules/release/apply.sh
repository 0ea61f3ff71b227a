# Changes releases here. Every function may be cut off at any point: what is in force is replaced by one rename, and a
# version counts only once its record is written, which is last.
# Set before: name, version, root, mark, sha, size, kind, mode, owner.
LC_ALL=C
export LC_ALL
umask 022
tab='	'
base=$root/$name
new=$base/$version@$mark.partial
parts=$base/$version@$mark.parts

fail() {
	echo "$1" >&2
	exit 1
}

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

# To the disk: a file or a folder's own entries; where sync takes no argument, everything.
settle() { sync "$1" 2>/dev/null || sync; }

# To the disk: everything below a folder.
settle_tree() { sync -f "$1" 2>/dev/null || sync; }

in_place() { mv -f "$1" "$2" || fail "$2 can't be replaced"; }

# Takes the file from standard input, from an offset on.
receive() {
	mkdir -p "${2%/*}" || fail "${2%/*} can't be made"
	if [ "$1" = 0 ]; then
		cat >"$2"
	else
		[ "$(size_of "$2")" = "$1" ] || fail "$2 has changed since it was looked at: run again"
		cat >>"$2"
	fi || {
		rm -f "$2"
		fail "$2 can't be written (is the disk full?)"
	}
	# A broken connection ends the input early. What came stays: the next run goes on from there.
	[ "$(size_of "$2")" = "$3" ] || fail "only $(size_of "$2") of $3 bytes of $2 arrived: run again to go on from there"
}

# Its whole content, not only what was sent now.
verified() {
	got=$(sha256sum "$1" | cut -c 1-64)
	[ "$got" = "$2" ] || {
		rm -f "$1"
		fail "the checksum of what arrived is wrong: $1 has $got, and $2 was sent; it was removed, nothing was put in force"
	}
}

owned() { [ -z "$owner" ] || chown -R "$owner" "$1" || fail "$1 can't be given to $owner"; }

# Makes a prepared folder the version: folder, its checksums. The record comes last.
seal() {
	count=$(find "$1" -type f | wc -l | tr -cd 0-9)
	owned "$1"
	settle_tree "$1"
	rm -f "$base/$version.release"
	# Only ever what is not in force: that was looked at before.
	[ ! -e "$base/$version" ] || { mv "$base/$version" "$base/$version.$$.trash" && rm -rf "$base/$version.$$.trash"; } ||
		fail "$base/$version can't be moved away"
	mv "$1" "$base/$version" || fail "$base/$version can't be made"
	in_place "$2" "$base/$version.sha256sums"
	echo "$sha $size $kind $count" >"$base/$version.record" || fail "the record of $base/$version can't be written"
	settle "$base/$version.record"
	in_place "$base/$version.record" "$base/$version.release"
	settle "$base"
	rm -rf "$base/$version"@*.partial "$base/$version"@*.parts
}

# A folder of its own for what is being prepared.
prepare() {
	ready=$base/$version@$mark.ready
	rm -rf "$ready"
	mkdir -p "$ready" || fail "$ready can't be made"
}

stage_file() {
	receive "$1" "$new" "$size"
	verified "$new" "$sha"
	prepare
	chmod "$mode" "$new" || fail "the mode of $new can't be set"
	mv "$new" "$ready/$name" || fail "$ready/$name can't be made"
	echo "$sha  $name" >"$base/$version.sums"
	seal "$ready" "$base/$version.sums"
}

sums_of() {
	(cd "$1" && find . -type f -exec sha256sum {} +) >"$base/$version.sums" || fail "what is in $1 can't be read"
}

# Archive on standard input: offset, tar's letter for its compression, leading folders to leave out.
stage_archive() {
	receive "$1" "$new" "$size"
	verified "$new" "$sha"
	prepare
	tar -x -o ${2:+-$2} -f "$new" -C "$ready" || { rm -rf "$ready"; fail "$new can't be unpacked into $ready (is the disk full?)"; }
	strip=$3
	while [ "$strip" -gt 0 ]; do
		only=$(ls -A "$ready")
		[ -d "$ready/$only" ] && [ -n "$only" ] || { rm -rf "$ready"; fail "the archive has not one folder at its top: \`strip\` can't be done"; }
		mv "$ready/$only" "$ready.inner" && rmdir "$ready" && mv "$ready.inner" "$ready" || fail "$ready can't be made"
		strip=$((strip - 1))
	done
	sums_of "$ready"
	seal "$ready" "$base/$version.sums"
}

# One file of a folder: offset, path below it, size.
stage_part() { receive "$1" "$parts/$2" "$3"; }

# The folder is complete: its checksums are on standard input, its folders and modes in the positional parameters.
stage_folder() {
	mkdir -p "$parts" || fail "$parts can't be made"
	cat >"$base/$version.sums" || fail "$base/$version.sums can't be written"
	while [ $# -gt 1 ]; do
		case $1 in
		folder) mkdir -p "$parts/$2" ;;
		*) chmod "$1" "$parts/$2" ;;
		esac || fail "$parts/$2 can't be set to $1"
		shift 2
	done
	(cd "$parts" && sha256sum -c "$base/$version.sums") >/dev/null 2>&1 || {
		wrong=$(cd "$parts" && sha256sum -c "$base/$version.sums" 2>/dev/null | sed -n 's/: FAILED.*//p' | head -n 3 | tr '\n' ' ')
		rm -rf "$parts"
		fail "the checksum of what arrived is wrong: ${wrong}of $parts; it was removed, nothing was put in force"
	}
	seal "$parts" "$base/$version.sums"
}

attributes() {
	[ -z "$mode" ] || [ "$kind" != file ] || chmod "$mode" "$base/$version/$name" || fail "the mode can't be set"
	owned "$base/$version"
}

# Writes down what was in force before: path, version that replaced it, target. The target is last: it may be empty, and
# `read` takes two tabs for one.
remember() {
	{
		[ ! -f "$base/links" ] || while IFS=$tab read -r path put before; do
			[ "$path" = "$1" ] || printf '%s\t%s\t%s\n' "$path" "$put" "$before"
		done <"$base/links"
		printf '%s\t%s\t%s\n' "$1" "$3" "$2"
	} >"$base/links.new" || fail "$base/links can't be written"
	settle "$base/links.new"
	in_place "$base/links.new" "$base/links"
}

# Puts a target in force: link, target, version. One rename: there is always something at the link's path.
swap() {
	[ -e "$2" ] || fail "$2 is not there: nothing was put in force"
	mkdir -p "$base" "${1%/*}" || fail "${1%/*} can't be made"
	if [ -L "$1" ]; then
		before=$(readlink "$1")
	elif [ -f "$1" ]; then
		aside=$base/original-$(sha256sum "$1" | cut -c 1-12)
		before=$aside/${1##*/}
		mkdir -p "$aside" && cp -p "$1" "$before.new" && mv -f "$before.new" "$before" || fail "$1 can't be kept as $before"
		settle "$before"
	else
		[ ! -e "$1" ] || fail "$1 is a folder: move it away first, then a link can take its place"
		before=
	fi
	[ "$before" = "$2" ] && return 0
	remember "$1" "$before" "$3"
	fresh=$1.$$.new
	rm -f "$fresh"
	ln -s "$2" "$fresh" || fail "$fresh can't be made"
	if [ -d "$1" ]; then
		mv -T -f "$fresh" "$1"
	else
		mv -f "$fresh" "$1"
	fi || { rm -f "$fresh"; fail "$1 can't be replaced"; }
	settle "${1%/*}"
}

# The version in force: pairs of link and file below it (`.` for all of it).
activate() {
	[ -f "$base/$version.release" ] || fail "version $version of $name is not staged here"
	(cd "$base/$version" && sha256sum -c "$base/$version.sha256sums") >/dev/null 2>&1 ||
		fail "version $version of $name is damaged: $base/$version is not what was staged; nothing was put in force"
	while [ $# -gt 1 ]; do
		case $2 in .) target=$base/$version ;; *) target=$base/$version/$2 ;; esac
		swap "$1" "$target" "$version"
		shift 2
	done
}

# What was there before: pairs of link and target.
revert() {
	while [ $# -gt 1 ]; do
		swap "$1" "$2" -
		shift 2
	done
}

# Whether a process executes, maps, has open or stands in a version.
in_use() {
	real=$(readlink -f "$base/$1")
	{
		cat /proc/[0-9]*/maps
		ls -l /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/fd
	} 2>/dev/null | grep -F "$real" | grep -q -e "$(printf %s "$real" | sed 's/[][\.*^$]/\\&/g')\(/\|$\| (deleted)\)"
}

# Removes versions that nothing uses at this moment. The record goes first: half a version is none.
discard() {
	for old; do
		if in_use "$old"; then
			echo "kept $old: a process uses it"
			continue
		fi
		rm -f "$base/$old.release" || fail "$base/$old.release can't be removed"
		rm -rf "$base/$old" "$base/$old.sha256sums" || fail "$base/$old can't be removed"
		echo "removed $old"
	done
}
