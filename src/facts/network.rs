//! Interfaces, addresses and default routes.

use std::net::Ipv4Addr;

use serde_json::json;

use super::addresses::{self, Address};
use super::answer::Answer;
use super::put;
use crate::base::{Map, Value};

/// Puts the facts in.
pub(super) fn parse(answer: &Answer, facts: &mut Map) {
    let addresses = addresses::of(answer);
    let of = |v6: bool| -> Value {
        let local = |a: &&Address| a.v6 == v6 && !a.address.starts_with("127.") && a.address != "::1";
        addresses.iter().filter(local).map(|a| Value::from(a.address.as_str())).collect()
    };
    put(facts, "all_ipv4_addresses", of(false));
    put(facts, "all_ipv6_addresses", of(true));
    let links: Vec<Vec<&str>> = answer.text("links").lines().map(|line| line.split(' ').collect()).collect();
    let mut names: Vec<&str> = links.iter().filter_map(|link| link.first().copied()).collect();
    names.sort_unstable();
    put(facts, "interfaces", names.iter().map(|name| Value::from(*name)).collect::<Value>());
    for link in &links {
        if let Some(name) = link.first() {
            // A fact's name is a variable's: other characters become underscores.
            let variable: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            put(facts, &variable, interface(link, &addresses));
        }
    }
    put(facts, "default_ipv4", default_v4(answer, &addresses, facts));
    put(facts, "default_ipv6", default_v6(answer, &addresses, facts));
}

fn v4(address: &Address) -> Value {
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(address.prefix)).unwrap_or(0);
    let network = address.address.parse::<Ipv4Addr>().map(|ip| Ipv4Addr::from(u32::from(ip) & mask));
    json!({
        "address": address.address,
        "broadcast": address.broadcast,
        "netmask": Ipv4Addr::from(mask).to_string(),
        "network": network.map(|ip| ip.to_string()).unwrap_or_default(),
        "prefix": address.prefix.to_string(),
    })
}

/// `name address mtu operstate type flags`, as the probe joins them from `/sys/class/net`.
fn interface(link: &[&str], addresses: &[Address]) -> Value {
    let [name, mac, mtu, _state, kind, flags] = link else { return json!({"device": link.first()}) };
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
    let kind = match *kind {
        "772" => "loopback",
        "1" => "ether",
        _ => "unknown",
    };
    // IFF_UP and IFF_PROMISC.
    let mut fact = json!({"device": name, "active": flags & 1 != 0, "promisc": flags & 0x100 != 0, "type": kind});
    if let Value::Object(map) = &mut fact {
        if kind == "ether" {
            map.insert("macaddress".to_owned(), (*mac).into());
        }
        map.insert("mtu".to_owned(), mtu.parse::<u64>().map_or(Value::Null, Value::from));
        let mut fours = addresses.iter().filter(|a| a.interface == *name && !a.v6);
        if let Some(first) = fours.next() {
            map.insert("ipv4".to_owned(), v4(first));
        }
        let others: Vec<Value> = fours.map(v4).collect();
        if !others.is_empty() {
            map.insert("ipv4_secondaries".to_owned(), Value::Array(others));
        }
        let sixes: Vec<Value> = addresses
            .iter()
            .filter(|a| a.interface == *name && a.v6)
            .map(|a| json!({"address": a.address, "prefix": a.prefix.to_string(), "scope": a.scope}))
            .collect();
        if !sixes.is_empty() {
            map.insert("ipv6".to_owned(), Value::Array(sixes));
        }
    }
    fact
}

fn link_part(facts: &Map, interface: &str, key: &str) -> Value {
    let name: String = interface.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    facts.get(&format!("ansible_{name}")).and_then(|fact| fact.get(key)).cloned().unwrap_or(Value::Null)
}

/// The route to everywhere with the lowest metric in `/proc/net/route`, whose numbers are little-endian hex.
fn default_v4(answer: &Answer, addresses: &[Address], facts: &Map) -> Value {
    let mut best: Option<(u32, &str, Ipv4Addr)> = None;
    for line in answer.text("route").lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [interface, "00000000", gateway, _, _, _, metric, "00000000", ..] = fields.as_slice() else { continue };
        let (Ok(gateway), Ok(metric)) = (u32::from_str_radix(gateway, 16), metric.parse::<u32>()) else { continue };
        if best.is_none_or(|(known, ..)| metric < known) {
            best = Some((metric, interface, Ipv4Addr::from(gateway.swap_bytes())));
        }
    }
    let Some((_, interface, gateway)) = best else { return json!({}) };
    let address = addresses.iter().find(|a| a.interface == interface && !a.v6 && a.scope != "host");
    let Some(address) = address else { return json!({"interface": interface, "gateway": gateway.to_string()}) };
    let mut fact = v4(address);
    if let Value::Object(map) = &mut fact {
        map.insert("gateway".to_owned(), gateway.to_string().into());
        map.insert("interface".to_owned(), interface.into());
        map.insert("alias".to_owned(), address.label.clone().into());
        for key in ["macaddress", "mtu", "type"] {
            map.insert(key.to_owned(), link_part(facts, interface, key));
        }
    }
    fact
}

fn default_v6(answer: &Answer, addresses: &[Address], facts: &Map) -> Value {
    for line in answer.text("route6").lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [to, "00", _, _, gateway, .., interface] = fields.as_slice() else { continue };
        let nowhere = |hex: &str| hex.bytes().all(|digit| digit == b'0');
        if !nowhere(to) || nowhere(gateway) || *interface == "lo" {
            continue;
        }
        let Ok(gateway) = u128::from_str_radix(gateway, 16) else { continue };
        let mut fact = json!({"interface": interface, "gateway": std::net::Ipv6Addr::from(gateway).to_string()});
        let address = addresses.iter().find(|a| a.interface == *interface && a.v6 && a.scope == "global");
        if let (Value::Object(map), Some(address)) = (&mut fact, address) {
            map.insert("address".to_owned(), address.address.clone().into());
            map.insert("prefix".to_owned(), address.prefix.to_string().into());
            map.insert("scope".to_owned(), address.scope.clone().into());
            for key in ["macaddress", "mtu", "type"] {
                map.insert(key.to_owned(), link_part(facts, interface, key));
            }
        }
        return fact;
    }
    json!({})
}
