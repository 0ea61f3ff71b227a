#!/bin/sh
# Stands in for busybox's `adduser`, `addgroup`, `deluser`, `delgroup` and `chpasswd`, which Debian's busybox is built without, as
# Alpine's are: the same options, and the same files.
set -e
replace() { cat >"$1.new"; cat "$1.new" >"$1"; rm "$1.new"; }
free() { number=$2; while grep -q "^[^:]*:[^:]*:$number:" "$1"; do number=$((number + 1)); done; echo "$number"; }
to_group() {
	grep -q "^$2:" /etc/group || { echo "addgroup: unknown group $2" >&2; exit 1; }
	awk -F: -v OFS=: -v u="$1" -v g="$2" '$1 == g { $4 = $4 == "" ? u : $4 "," u } { print }' /etc/group | replace /etc/group
}
from_group() {
	awk -F: -v OFS=: -v u="$1" -v g="$2" '$1 == g || g == "" { n = split($4, m, ","); $4 = ""; for (i = 1; i <= n; i++)
		if (m[i] != u) $4 = $4 == "" ? m[i] : $4 "," m[i] } { print }' /etc/group | replace /etc/group
}
program=${0##*/}
home=; gecos=; shell=/bin/sh; main=; system=; bare=; number=; skeleton=/etc/skel; remove=
first=1000
[ "$1" != --remove-home ] || { remove=1; shift; }
while getopts h:g:s:G:SDHu:k:e option; do
	case $option in
	h) home=$OPTARG ;; g) if [ "$program" = addgroup ]; then number=$OPTARG; else gecos=$OPTARG; fi ;; s) shell=$OPTARG ;;
	G) main=$OPTARG ;; S) system=1; first=100 ;; D) ;; H) bare=1 ;; e) ;; u) number=$OPTARG ;; k) skeleton=$OPTARG ;;
	*) exit 1 ;;
	esac
done
shift $((OPTIND - 1))
case $program-$# in
addgroup-1)
	! grep -q "^$1:" /etc/group || { echo "addgroup: group '$1' in use" >&2; exit 1; }
	echo "$1:x:${number:-$(free /etc/group $first)}:" >>/etc/group ;;
addgroup-2 | adduser-2) to_group "$1" "$2" ;;
delgroup-1) grep -v "^$1:" /etc/group | replace /etc/group ;;
delgroup-2) from_group "$1" "$2" ;;
adduser-1)
	! grep -q "^$1:" /etc/passwd || { echo "adduser: user '$1' in use" >&2; exit 1; }
	number=${number:-$(free /etc/passwd $first)}
	if [ -z "$main" ]; then
		if [ -n "$system" ]; then main=nogroup; else main=$1; echo "$1:x:$(free /etc/group "$number"):" >>/etc/group; fi
	fi
	gid=$(awk -F: -v g="$main" '$1 == g || $3 == g { print $3 }' /etc/group)
	home=${home:-/home/$1}
	echo "$1:x:$number:$gid:${gecos:-Linux User,,,}:$home:$shell" >>/etc/passwd
	echo "$1:!:19000:0:99999:7:::" >>/etc/shadow
	[ -n "$bare" ] || [ -d "$home" ] || {
		mkdir -p "$home"
		[ ! -d "$skeleton" ] || cp -a "$skeleton/." "$home/"
		chown -R "$number:$gid" "$home"
		chmod 2755 "$home"
	} ;;
deluser-1)
	[ -z "$remove" ] || rm -rf "$(awk -F: -v u="$1" '$1 == u { print $6 }' /etc/passwd)"
	for file in passwd shadow group; do grep -v "^$1:" /etc/$file | replace /etc/$file; done
	from_group "$1" "" ;;
chpasswd-*)
	IFS=: read -r user hash
	awk -F: -v OFS=: -v u="$user" -v h="$hash" '$1 == u { $2 = h } { print }' /etc/shadow | replace /etc/shadow ;;
*) echo "$program: $# arguments" >&2; exit 1 ;;
esac
