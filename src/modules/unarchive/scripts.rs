//! What is asked of a host about an archive, and how it is unpacked there.

/// Where it is to go, and what is there; [`END_LOOK`] after the calls of `member`.
pub(super) const ASK: &str = r#"expand "$dest"; root=$path
say root "$root"
tell_ids
if [ -n "$creates" ]; then
expand "$creates"; IFS=; set -- $path; unset IFS
if [ -e "$1" ] || [ -L "$1" ]; then say created "$path"; look dest "$root" -L || :; echo end; exit 0; fi
fi
seen_above=
member() {
above=$1
while :; do
case $above in */*) above=${above%/*};; *) break;; esac
[ "$above" = "$seen_above" ] && break
[ ! -L "${root%/}/$above" ] || say linked "$above"
done
case $1 in */*) seen_above=${1%/*};; esac
look "m $1" "${root%/}/$1" || :
}"#;

/// Lists an archive that lies on the host (`$source`), and looks at each member without its first `$strip` parts.
pub(super) const LIST: &str = r#"expand "$source"; archive=$path
say archive "$archive"
if [ ! -f "$archive" ] || [ ! -r "$archive" ]; then [ -e "$archive" ] && say unread "$archive" || say none "$archive"; echo end; exit 0; fi
kind_of
say kind "$kind"
if [ -n "$program" ] && ! command -v "$program" >/dev/null 2>&1; then say lacking "$program"; echo end; exit 0; fi
if [ "$kind" = zip ]; then
listed=$(unzip -l "$archive" 2>&1) || { say damaged "$listed"; echo end; exit 0; }
listed=$(printf '%s\n' "$listed" | sed -n '/^ *-----/,/^ *-----/p' | sed '/^ *-----/d')
names() { printf '%s\n' "$listed" | while read -r _ _ _ name; do printf '%s\n' "$name"; done; }
else
words=
case $(tar --version 2>/dev/null) in *GNU*) words='--numeric-owner --quoting-style=literal'; tar --help 2>/dev/null | grep -q full-time && words="$words --full-time";; esac
listed=$(unpacked 2>/dev/null | TZ=UTC0 tar -tvf - $words 2>/dev/null) || {
say damaged "$({ unpacked 2>&1 >/dev/null; unpacked 2>/dev/null | tar -tf - 2>&1 >/dev/null; } | tail -n 3)"; echo end; exit 0; }
case $words in '') words=;; *) words=--quoting-style=literal;; esac
names() { unpacked 2>/dev/null | tar -tf - $words 2>/dev/null; }
fi
[ -z "$listed" ] || printf '%s\n' "$listed" | while IFS= read -r line; do printf 'list %s\n' "$line"; done
names | while IFS= read -r name; do
while :; do case $name in ?*/) name=${name%/};; *) break;; esac; done
gone=0
while [ "$gone" -lt "$strip" ]; do case $name in */*) name=${name#*/};; *) name=;; esac; gone=$((gone + 1)); done
while :; do case $name in ./*) name=${name#./};; *) break;; esac; done
case $name in ''|.) ;; *) member "$name";; esac
done"#;

/// What kind of archive `$archive` is by its first bytes, which program unpacks it, and `unpacked`, which prints it as tar.
pub(super) const KIND: &str = r#"kind_of() {
case $(head -c 6 "$archive" | od -An -tx1 | tr -d ' \n') in
1f8b*) kind=gzip program=gzip;;
425a68*) kind=bzip2 program=bzip2;;
fd377a585a00) kind=xz program=xz;;
28b52ffd*) kind=zstd program=zstd;;
504b0304*|504b0506*) kind=zip program=unzip;;
*) kind=tar program=;;
esac
}
unpacked() { if [ -n "$program" ]; then "$program" -dc <"$archive"; else cat "$archive"; fi; }"#;

/// Makes the place beside in which it is unpacked; `refuse` and what cleans up.
pub(super) const STAGE: &str = r#"refuse() { printf '%s\n' "$1" >&2; exit 1; }
[ -d "$root" ] || refuse "dest '$root' must be an existing dir"
trap '[ -z "$stage" ] || rm -rf -- "$stage"' EXIT
trap 'exit 129' HUP INT TERM PIPE
for left in "$root"/.stagger-unpack-*; do
[ -d "$left" ] && [ ! -L "$left" ] || continue
pid=${left#"$root"/.stagger-unpack-}; pid=${pid%%-*}
case $pid in ''|*[!0-9]*) continue;; esac
[ -d "/proc/$pid" ] || rm -rf -- "$left"
done
mask=$(umask); umask 077
stage=; stage=$(mktemp -d "$root/.stagger-unpack-$$-XXXXXX") || { stage=; exit 1; }"#;

/// Receives the archive and unpacks it.
pub(super) const RECEIVE: &str = r#"why=$(cat 2>&1 >"$stage/archive") || refuse "cannot write the archive below $root: $why"
have=$(sha256sum <"$stage/archive")
[ "${have%% *}" = "$sha256" ] || refuse "the archive did not arrive whole: nothing was unpacked"
mkdir "$stage/tree" || exit 1
umask "$mask"
why=$(tar "$how" "$stage/archive" -C "$stage/tree" "$@" 2>&1) || refuse "tar could not unpack the archive: $why""#;

/// Unpacks an archive that lies on the host. `inside NAME` then refuses a link that leads out of the directory.
pub(super) const FROM_HOST: &str = r#"mkdir "$stage/tree" || exit 1
umask "$mask"
kind_of
if [ "$kind" = zip ]; then
why=$(cd "$stage/tree" && TZ=UTC0 unzip -q -o "$archive" 2>&1) || refuse "unzip could not unpack $archive: $why"
else
{ why=$(unpacked 2>"$stage/why" | tar -xf - -C "$stage/tree" "$@" 2>&1); } || refuse "tar could not unpack $archive: $why $(cat "$stage/why")"
fi
find "$stage/tree" -type l | while IFS= read -r link; do
to=$(readlink "$link"); left=${link#"$stage/tree/"}; depth=0
while :; do case $left in */*) left=${left#*/}; depth=$((depth + 1));; *) break;; esac; done
case $to in /*) depth=-1;; esac
left=$to/
while [ "$depth" -ge 0 ] && [ -n "$left" ]; do
case ${left%%/*} in ''|.) ;; ..) depth=$((depth - 1));; *) depth=$((depth + 1));; esac
left=${left#*/}
done
[ "$depth" -ge 0 ] || printf '%s\n' "${link#"$stage/tree/"}"
done >"$stage/outside"
inside() {
while IFS= read -r name; do
[ "$name" != "$1" ] || refuse "refusing the archive: its link $name leads outside of the directory (exclude leaves it out)"
done <"$stage/outside"
}"#;

/// `place FOLDER NAME [TIME]` puts one member in its place.
pub(super) const PLACE: &str = r#"owner=; group=; bits=
place() {
make "${root%/}${1:+/$1}"
[ ! -d "${root%/}/$2" ] || [ -L "${root%/}/$2" ] || refuse "$root/$2 is a directory, and no directory in the archive"
[ -z "$3" ] || [ -L "$stage/tree/$2" ] || TZ=UTC0 touch -d "$3" -- "$stage/tree/$2" || exit 1
mv -f -- "$stage/tree/$2" "${root%/}/$2" || exit 1
}"#;
