PATH=$PATH:/usr/sbin:/sbin
entry_of() {
if command -v getent >/dev/null 2>&1; then getent passwd "$1" 2>/dev/null; return; fi
while IFS= read -r line || [ -n "$line" ]; do case $line in "$1:"*) printf '%s\n' "$line"; return;; esac; done </etc/passwd
}
groups_of_host() { if command -v getent >/dev/null 2>&1; then getent group 2>/dev/null; else cat /etc/group; fi; }
entry=$(entry_of "$name")
case $entry in "$name:"*) ;; *) entry=;; esac
[ -z "$entry" ] || printf 'passwd %s\n' "$entry"
sum() { if [ -n "$1" ]; then sha=$(printf %s "$1" | sha256sum); sha=${sha%% *}; else sha=-; fi; }
if [ -n "$entry" ]; then
rest=${entry#*:}; shown=${rest%%:*}; rest=${rest#*:}; rest=${rest#*:}; main=${rest%%:*}
if [ -r /etc/shadow ]; then
while IFS=: read -r who hash changed least most warn idle expires more; do
[ "$who" = "$name" ] || continue
shown=$hash
printf 'ages %s:%s:%s:%s:%s\n' "$least" "$most" "$warn" "$idle" "$expires"
break
done </etc/shadow
fi
case $shown in '!'*) echo locked;; esac
while :; do case $shown in '!'*) shown=${shown#'!'};; *) break;; esac; done
sum "$shown"
printf 'hash %s\n' "$sha"
fi
wanted() { for one in "$@"; do
[ "$one" = "$group_name" ] || [ "$one" = "$group_number" ] || continue
printf 'group %s:%s:%s\n' "$one" "$group_name" "$group_number"
done; }
groups_of_host | while IFS=: read -r group_name group_hidden group_number group_members; do
case ",$group_members," in *",$name,"*) printf 'member %s:%s\n' "$group_name" "$group_number";; esac
wanted "$name" "$@"
done
[ -n "$home" ] || { rest=${entry%:*}; home=${rest##*:}; }
if [ -n "$home" ]; then
[ -d "$home" ] && echo home_there
case $key in ''|/*) ;; *) key=$home/$key;; esac
fi
if [ -n "$key" ]; then
printf 'key_path %s\n' "$key"
if [ -e "$key" ]; then
echo key_there
print=$(ssh-keygen -l -f "$key" 2>&1) || :
printf 'fingerprint %s\n' "$print"
fi
if [ -e "$key.pub" ]; then public=$(cat "$key.pub"); printf 'public %s\n' "$public"; fi
fi
for program in useradd adduser chage chpasswd ssh-keygen; do
command -v "$program" >/dev/null 2>&1 && printf 'program %s\n' "$program"
done
echo end
