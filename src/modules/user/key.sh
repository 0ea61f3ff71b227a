PATH=$PATH:/usr/sbin:/sbin
entry=$(if command -v getent >/dev/null 2>&1; then getent passwd "$name"; else while IFS= read -r line; do case $line in "$name:"*) printf '%s\n' "$line";; esac; done </etc/passwd; fi)
rest=${entry#*:*:}; uid=${rest%%:*}; rest=${rest#*:}; gid=${rest%%:*}; rest=${entry%:*}; home=${rest##*:}
[ -n "$uid" ] || { printf 'there is no user %s\n' "$name" >&2; exit 1; }
case $key in /*) ;; *) key=$home/$key; [ -d "$home" ] || { printf 'User %s home directory does not exist\n' "$name" >&2; exit 1; };; esac
folder=${key%/*}
[ -d "$folder" ] || { mkdir -m 700 "$folder" && chown "$uid:$gid" "$folder" || exit 1; }
umask 077
made=$key.stagger-$$
trap 'rm -f -- "$made" "$made.pub"' EXIT
trap 'exit 129' HUP INT TERM PIPE
set -- -q -t "$kind" -N '' -f "$made"
[ -z "$bits" ] || set -- "$@" -b "$bits"
[ -n "$comment" ] || comment="ansible-generated on $(hostname 2>/dev/null || cat /proc/sys/kernel/hostname)"
ssh-keygen "$@" -C "$comment" </dev/null >&2 || exit 1
chown "$uid:$gid" "$made" "$made.pub" && chmod 600 "$made" && chmod 644 "$made.pub" || exit 1
sync "$made" "$made.pub" 2>/dev/null || :
mv -f "$made" "$key" && mv -f "$made.pub" "$key.pub"
