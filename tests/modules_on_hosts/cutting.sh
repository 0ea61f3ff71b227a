#!/bin/sh
# A shell that cuts the connection which it serves, when the file `plan` beside it says so: `N HOW [PROGRAM]`. At the Nth command
# from then on: `look` cuts in the middle of a look; `before` cuts and does nothing; `middle` cuts where the command calls
# PROGRAM, and kills it there (for `cat` half-way through what is sent); `beside` cuts there too and lets it go on; `linger` lets
# it go on after four seconds, of which it leaves a note; `after` does it all and cuts before the answer.
folder=${0%/*}
cut='stagger_cut() {
	pid=$$
	while [ "$pid" -gt 1 ]; do
		read -r stat <"/proc/$pid/stat"
		parent=${stat##*\) }; parent=${parent#* }; parent=${parent%% *}
		case "$stat" in *"(sshd"*) echo "$pid" >>'"$folder"'/cuts; kill -9 "$pid"; break ;; esac
		pid=$parent
	done
}'
if [ $# -eq 0 ]; then
	# A persistent shell looks by itself.
	look='stat() {
		if [ -f '"$folder"'/plan ] && read -r number how program <'"$folder"'/plan && [ "$how" = look ]; then
			rm -f '"$folder"'/plan; stagger_cut
		fi
		command stat "$@"
	}'
	{ printf '%s\n' "$cut" "$look"; exec cat; } | /bin/sh
	exit
fi
case "$#:$2" in 2:*'eval "unset'*) ;; *) exec /bin/sh "$@" ;; esac
[ -f "$folder/plan" ] || exec /bin/sh "$@"
count=$(($(cat "$folder/count" 2>/dev/null) + 1))
read -r number how program <"$folder/plan"
if [ "$count" -lt "$number" ]; then
	echo "$count" >"$folder/count"
	exec /bin/sh "$@"
fi
rm -f "$folder/plan" "$folder/count"
case "$how" in
look | before) eval "$cut"; stagger_cut; exit 1 ;;
after) /bin/sh "$@"; eval "$cut"; stagger_cut; exit 1 ;;
middle)
	case "$program" in
	cat) body='head -c 100000; stagger_cut; kill -9 0' ;;
	*) body='stagger_cut; kill -9 0' ;;
	esac ;;
linger) body='stagger_cut; sleep 4; echo "$0" >>'"$folder"'/late; unset -f '"$program"'; '"$program"' "$@"' ;;
beside) body='stagger_cut; unset -f '"$program"'; '"$program"' "$@"' ;;
esac
exec /bin/sh -c "$cut
$program() { $body; }
$2"
