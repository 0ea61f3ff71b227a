case $home in /*) ;; *) printf 'the home %s is no absolute path\n' "$home" >&2; exit 1;; esac
mkdir -p "${home%/*}/" || exit 1
bits=755
if [ -n "$umask" ]; then bits=$(printf %o $((0777 & ~0$umask)))
elif [ -r /etc/login.defs ]; then
mask=; own=
while read -r key value more; do case $key in HOME_MODE) own=$value;; UMASK) mask=$value;; esac; done </etc/login.defs
[ -z "$mask" ] || bits=$(printf %o $((0777 & ~0${mask#0})))
[ -z "$own" ] || bits=$own
fi
made=$home.stagger-$$
trap 'rm -rf -- "$made"' EXIT
trap 'exit 129' HUP INT TERM PIPE
mkdir -m 700 "$made" || exit 1
if [ -d "$skeleton" ]; then cp -a "$skeleton/." "$made/" || exit 1; fi
entry=$(if command -v getent >/dev/null 2>&1; then getent passwd "$name"; else while IFS= read -r line; do case $line in "$name:"*) printf '%s\n' "$line";; esac; done </etc/passwd; fi)
rest=${entry#*:*:}; uid=${rest%%:*}; rest=${rest#*:}; gid=${rest%%:*}
[ -n "$uid" ] || { printf 'there is no user %s\n' "$name" >&2; exit 1; }
chown -R "$uid:$gid" "$made" && chmod "$bits" "$made" || exit 1
[ ! -e "$home" ] || { printf '%s came into being meanwhile\n' "$home" >&2; exit 1; }
mv "$made" "$home"
