//! The addresses of a host: from `ip`; where that is missing from `ifconfig` (busybox's and net-tools', old and new), and
//! without either from `/proc/net`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::answer::Answer;

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// The interface; empty when it could not be found out.
    pub(super) interface: String,
    /// The address as text.
    pub(super) address: String,
    /// Bits of the network.
    pub(super) prefix: u32,
    /// Broadcast address; empty when there is none.
    pub(super) broadcast: String,
    /// `global`, `link`, `site` or `host`.
    pub(super) scope: String,
    /// Whether it is an IPv6 one.
    pub(super) v6: bool,
    /// The name under which it was set: `eth0:1`.
    pub(super) label: String,
}

/// All addresses, from the best source that answered.
pub(super) fn of(answer: &Answer) -> Vec<Address> {
    let told = from_ip(answer.text("addresses"));
    if !told.is_empty() {
        return told;
    }
    let mut told = from_ifconfig(answer.text("ifconfig"));
    if told.iter().all(|address| address.v6) {
        told.extend(from_trie(answer.text("fib_trie"), answer.text("route")));
    }
    if !told.iter().any(|address| address.v6) {
        told.extend(from_inet6(answer.text("inet6")));
    }
    told
}

/// `2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\ …`
fn from_ip(text: &str) -> Vec<Address> {
    let mut found = Vec::new();
    for line in text.lines() {
        // What comes after the backslash was a line of its own: how long the address lasts.
        let words: Vec<&str> = line.split('\\').next().unwrap_or(line).split_whitespace().collect();
        let [_, interface, family @ ("inet" | "inet6"), cidr, rest @ ..] = words.as_slice() else { continue };
        let (address, prefix) = cidr.split_once('/').unwrap_or((cidr, if *family == "inet" { "32" } else { "128" }));
        let scope = after(rest, &["scope"]).unwrap_or_default();
        let label =
            rest.iter().position(|word| *word == "scope").map_or(&[][..], |at| rest.get(at + 2..).unwrap_or_default());
        found.push(Address {
            interface: interface.split('@').next().unwrap_or(interface).trim_end_matches(':').to_owned(),
            address: address.to_owned(),
            prefix: prefix.parse().unwrap_or(0),
            broadcast: after(rest, &["brd"]).unwrap_or_default().to_owned(),
            scope: scope.to_owned(),
            v6: *family == "inet6",
            label: label
                .iter()
                .find(|word| !matches!(**word, "dynamic" | "secondary" | "noprefixroute" | "valid_lft" | "nodad"))
                .map_or_else(|| (*interface).to_owned(), |word| (*word).to_owned()),
        });
    }
    found
}

/// The word after one of these.
fn after<'a>(words: &[&'a str], keys: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|word| keys.contains(word))?;
    words.get(at + 1).copied()
}

/// A block an interface, whose first line begins at the margin: `inet addr:192.0.2.2  Bcast:192.0.2.255  Mask:255.255.255.0` and
/// `inet6 addr: fe80::1/64 Scope:Link`, or in newer ones `inet 192.0.2.2  netmask 255.255.255.0  broadcast 192.0.2.255` and
/// `inet6 fe80::1  prefixlen 64  scopeid 0x20<link>`.
fn from_ifconfig(text: &str) -> Vec<Address> {
    let mut found = Vec::new();
    let mut label = "";
    for line in text.lines() {
        // `eth0:1` is a label of `eth0`; the newer ones put one more `:` behind the name.
        if let Some(first) = line.split([' ', '\t']).next().filter(|first| !first.is_empty()) {
            label = first.trim_end_matches(':');
        }
        // `addr:1`, `addr: 1` and `addr 1` are one.
        let spaced = line.replace("addr:", "addr ").replace("Bcast:", "Bcast ").replace("Mask:", "Mask ");
        let spaced = spaced.replace("Scope:", "scope ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let interface = label.split(':').next().unwrap_or(label).to_owned();
        let label = label.to_owned();
        let Some(at) = words.iter().position(|word| matches!(*word, "inet" | "inet6")) else { continue };
        let rest = words.get(at + 1..).unwrap_or_default();
        let Some(first) = rest.iter().find(|word| **word != "addr") else { continue };
        if words.get(at) == Some(&"inet") {
            let mask = after(rest, &["Mask", "netmask"]).and_then(mask_bits).unwrap_or(32);
            let scope = if first.starts_with("127.") { "host" } else { "global" };
            found.push(Address {
                interface,
                address: (*first).to_owned(),
                prefix: mask,
                broadcast: after(rest, &["Bcast", "broadcast"]).unwrap_or_default().to_owned(),
                scope: scope.to_owned(),
                v6: false,
                label,
            });
        } else {
            let (address, prefix) = first.split_once('/').unwrap_or((first, after(rest, &["prefixlen"]).unwrap_or("")));
            let scope = after(rest, &["scope"]).or_else(|| after(rest, &["scopeid"])).unwrap_or("global");
            let scope = scope.rsplit('<').next().unwrap_or(scope).trim_end_matches('>').to_ascii_lowercase();
            found.push(Address {
                interface,
                address: address.split('%').next().unwrap_or(address).to_owned(),
                prefix: prefix.parse().unwrap_or(128),
                broadcast: String::new(),
                scope,
                v6: true,
                label,
            });
        }
    }
    found
}

/// `255.255.255.0` or `0xffffff00` as bits.
fn mask_bits(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok().map(u32::count_ones),
        None => text.parse::<Ipv4Addr>().ok().map(|mask| u32::from(mask).count_ones()),
    }
}

/// A route to a network that an interface is in.
struct Network {
    interface: String,
    base: u32,
    mask: u32,
}

/// The kernel's tree of routes has each address of the host as `/32 host LOCAL`; which interface it is of tells the network of
/// `/proc/net/route` that it is in.
fn from_trie(trie: &str, route: &str) -> Vec<Address> {
    let number = |hex: &str| u32::from_str_radix(hex, 16).ok().map(u32::swap_bytes);
    let networks: Vec<Network> = route
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [interface, base, "00000000", _, _, _, _, mask, ..] = fields.as_slice() else { return None };
            let (base, mask) = (number(base)?, number(mask)?);
            (mask != 0).then(|| Network { interface: (*interface).to_owned(), base, mask })
        })
        .collect();
    let mut found: Vec<Address> = Vec::new();
    let mut last = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
            continue;
        }
        let Some(address) = last.filter(|_| line == "/32 host LOCAL") else { continue };
        if found.iter().any(|known| known.address == address.to_string()) {
            continue;
        }
        let near = networks.iter().filter(|network| u32::from(address) & network.mask == network.base);
        let near = near.max_by_key(|network| network.mask);
        let (interface, prefix, broadcast) = match near {
            _ if address.is_loopback() => ("lo", 8, String::new()),
            Some(network) => {
                let broadcast = Ipv4Addr::from(network.base | !network.mask).to_string();
                (network.interface.as_str(), network.mask.count_ones(), broadcast)
            }
            None => ("", 32, String::new()),
        };
        found.push(Address {
            interface: interface.to_owned(),
            address: address.to_string(),
            prefix,
            broadcast,
            scope: if address.is_loopback() { "host" } else { "global" }.to_owned(),
            v6: false,
            label: interface.to_owned(),
        });
    }
    found
}

/// `fe80…01 04 40 20 80     eth0`: address, index, prefix, scope, flags (all hex) and name.
fn from_inet6(text: &str) -> Vec<Address> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, _, prefix, scope, _, interface] = fields.as_slice() else { return None };
        let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
        let scope = match *scope {
            "10" => "host",
            "20" => "link",
            "40" => "site",
            _ => "global",
        };
        Some(Address {
            interface: (*interface).to_owned(),
            address: address.to_string(),
            prefix: u32::from_str_radix(prefix, 16).ok()?,
            broadcast: String::new(),
            scope: scope.to_owned(),
            v6: true,
            label: (*interface).to_owned(),
        })
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(addresses: &[Address]) -> Vec<String> {
        let line =
            |a: &Address| format!("{} {}/{} {} {} {}", a.interface, a.address, a.prefix, a.broadcast, a.scope, a.label);
        addresses.iter().map(line).collect()
    }

    const IP: &str = "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n\
        4: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever\n\
        4: eth0    inet6 fe80::1/64 scope link \\       valid_lft forever\n";

    #[test]
    fn ifconfig_of_busybox_and_of_net_tools_says_what_ip_says() {
        let busybox = "eth0      Link encap:Ethernet  HWaddr 02:FC:00:00:00:01  \n\
            \x20         inet addr:192.0.2.2  Bcast:192.0.2.255  Mask:255.255.255.0\n\
            \x20         inet6 addr: fe80::1/64 Scope:Link\n\
            \x20         UP BROADCAST RUNNING MULTICAST  MTU:1400  Metric:1\n\nlo        Link encap:Local Loopback  \n\
            \x20         inet addr:127.0.0.1  Mask:255.0.0.0\n";
        let newer = "eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1400\n\
            \x20       inet 192.0.2.2  netmask 255.255.255.0  broadcast 192.0.2.255\n\
            \x20       inet6 fe80::1  prefixlen 64  scopeid 0x20<link>\n\
            \x20       ether 02:fc:00:00:00:01  txqueuelen 1000  (Ethernet)\n\n\
            eth0:1: flags=4163<UP>  mtu 1400\n        inet 192.0.2.9  netmask 255.255.255.0  broadcast 192.0.2.255\n\n\
            lo: flags=73<UP,LOOPBACK,RUNNING>  mtu 65536\n        inet 127.0.0.1  netmask 255.0.0.0\n";
        let by_ip = short(&from_ip(IP));
        let mut old = short(&from_ifconfig(busybox));
        let mut new = short(&from_ifconfig(newer));
        assert!(new.contains(&"eth0 192.0.2.9/24 192.0.2.255 global eth0:1".to_owned()), "{new:?}");
        new.retain(|line| !line.ends_with("eth0:1"));
        let mut wanted = by_ip;
        wanted.sort();
        old.sort();
        new.sort();
        assert_eq!((&old, &new), (&wanted, &wanted));
    }

    #[test]
    fn without_programs_the_kernels_tables_tell() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 127.0.0.0\n\
            \x20       /8 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.0\n        /24 link UNICAST\n\
            \x20    |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n\
            Local:\n     |-- 192.0.2.2\n        /32 host LOCAL\n";
        let route = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\neth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n";
        assert_eq!(
            short(&from_trie(trie, route)),
            ["lo 127.0.0.1/8  host lo", "eth0 192.0.2.2/24 192.0.2.255 global eth0"]
        );
        let six = "00000000000000000000000000000001 01 80 10 80       lo\n\
                   fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n";
        assert_eq!(short(&from_inet6(six)), ["lo ::1/128  host lo", "eth0 fe80::fc:ff:fe00:1/64  link eth0"]);
        assert!(from_trie("x\n|-- y\n/32 host LOCAL", "z").is_empty() && from_inet6("x y").is_empty());
    }
}
