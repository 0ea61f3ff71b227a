//! The questions: one script for all facts, since asking costs a round trip and reading `/proc` costs nothing.

use crate::base::Script;

// Every command may be missing: what it would have said is then missing too. `stat -f` is asked for mounted devices only,
// since it hangs on a dead network file system.
const ASK: &str = r#"at() { printf '@@stagger %s\n' "$1"; }
from() { at "$1"; [ -r "$2" ] && cat "$2" 2>/dev/null; echo; }
at env; cat /proc/self/environ 2>/dev/null | base64 | tr -d '\n'; echo
LC_ALL=C; export LC_ALL
at uname; uname -s; uname -n; uname -r; uname -v; uname -m
at fqdn; hostname -f 2>/dev/null
from hosts /etc/hosts
from os_release /etc/os-release
[ -r /etc/os-release ] || from os_release /usr/lib/os-release
from debian_version /etc/debian_version
from redhat_release /etc/redhat-release
from alpine_release /etc/alpine-release
from lsb_release /etc/lsb-release
at ids; id -u; id -un; id -g; id -ru 2>/dev/null || id -u; id -rg 2>/dev/null || id -g
at passwd; me=$(id -un); getent passwd "$me" 2>/dev/null || { while IFS= read -r line; do case $line in "$me":*) printf '%s\n' "$line";; esac; done </etc/passwd; }
at date; date '+%Y %m %d %H %M %S %z %Z %s %u %A %W %j'; date -u '+%Y-%m-%dT%H:%M:%S %s'
at init; cat /proc/1/comm 2>/dev/null; [ -d /run/systemd/system ] && echo systemd; readlink /sbin/init 2>/dev/null
at init_tools; for tool in openrc initctl rc-service; do command -v "$tool" 2>/dev/null; done
at packages; for tool in apt-get dnf5 dnf yum zypper apk pacman opkg xbps-install emerge; do command -v "$tool" >/dev/null 2>&1 && echo "$tool"; done
from meminfo /proc/meminfo
at cpuinfo; grep -E '^(processor|vendor_id|model name|physical id|core id|cpu cores|siblings|Processor|cpu|CPU implementer|flags)[[:space:]]*:' /proc/cpuinfo 2>/dev/null
at nproc; nproc 2>/dev/null
from uptime /proc/uptime
from loadavg /proc/loadavg
from cmdline /proc/cmdline
from machine_id /etc/machine-id
from resolv /etc/resolv.conf
at apparmor; [ -d /sys/kernel/security/apparmor ] && echo enabled
at selinux; cat /sys/fs/selinux/enforce 2>/dev/null
from fips /proc/sys/crypto/fips_enabled
at dmi; for name in bios_date bios_vendor bios_version board_name board_vendor board_version chassis_vendor chassis_version product_name product_version product_serial product_uuid sys_vendor; do
if [ -r "/sys/class/dmi/id/$name" ]; then printf '%s=%s\n' "$name" "$(cat "/sys/class/dmi/id/$name" 2>/dev/null)"; fi; done
at container; cat /run/systemd/container 2>/dev/null; [ -e /.dockerenv ] && echo docker; [ -e /run/.containerenv ] && echo podman; grep -c '^flags.*hypervisor' /proc/cpuinfo 2>/dev/null
at bits; getconf LONG_BIT 2>/dev/null
at addresses; ip_said=$(ip -o addr 2>/dev/null || /sbin/ip -o addr 2>/dev/null); printf '%s\n' "$ip_said"
if [ -z "$ip_said" ]; then
at ifconfig; ifconfig -a 2>/dev/null || /sbin/ifconfig -a 2>/dev/null
from fib_trie /proc/net/fib_trie
from inet6 /proc/net/if_inet6
fi
at links; for link in /sys/class/net/*; do [ -e "$link/address" ] && printf '%s %s %s %s %s %s\n' "${link##*/}" "$(cat "$link/address" 2>/dev/null)" "$(cat "$link/mtu")" "$(cat "$link/operstate")" "$(cat "$link/type")" "$(cat "$link/flags")"; done
from route /proc/net/route
from route6 /proc/net/ipv6_route
from mounts /proc/mounts
at sizes
while read -r device mount rest; do
case $device in /dev/*) ;; *) continue;; esac
case $mount in *\\*) continue;; esac
said=$(stat -f -c '%b %a %S %c %d' "$mount" 2>/dev/null) && printf '%s %s\n' "$said" "$mount"
done </proc/mounts
for key in rsa ed25519 ecdsa; do [ -r "/etc/ssh/ssh_host_${key}_key.pub" ] && { at "key_$key"; cat "/etc/ssh/ssh_host_${key}_key.pub"; }; done
at end"#;

/// The script that asks for all facts. It changes nothing and its status means nothing.
pub(crate) fn probe() -> Script {
    Script::new().line(ASK)
}
