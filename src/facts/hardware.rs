//! Processors, memory, mounts, uptime and what the firmware says.

use std::collections::BTreeSet;

use serde_json::json;

use super::answer::Answer;
use super::put;
use crate::base::{Map, Value};

/// Puts the facts in.
pub(super) fn parse(answer: &Answer, facts: &mut Map) {
    memory(answer.text("meminfo"), facts);
    processors(answer, facts);
    put(facts, "mounts", mounts(answer));
    if let Some(seconds) = answer.text("uptime").split(['.', ' ']).next().and_then(|text| text.parse::<u64>().ok()) {
        put(facts, "uptime_seconds", seconds);
    }
    let names = [
        ("bios_date", "bios_date"),
        ("bios_vendor", "bios_vendor"),
        ("bios_version", "bios_version"),
        ("board_name", "board_name"),
        ("board_vendor", "board_vendor"),
        ("board_version", "board_version"),
        ("chassis_vendor", "chassis_vendor"),
        ("chassis_version", "chassis_version"),
        ("product_name", "product_name"),
        ("product_version", "product_version"),
        ("product_serial", "product_serial"),
        ("product_uuid", "product_uuid"),
        ("sys_vendor", "system_vendor"),
    ];
    for (file, name) in names {
        put(facts, name, answer.shell_value("dmi", file).unwrap_or_else(|| "NA".to_owned()));
    }
}

/// kB of `/proc/meminfo` as whole MiB.
fn memory(text: &str, facts: &mut Map) {
    let kib = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let (Some(total), Some(free)) = (kib("MemTotal"), kib("MemFree")) else { return };
    let cached = kib("Cached").unwrap_or(0) + kib("Buffers").unwrap_or(0);
    let (swap_total, swap_free) = (kib("SwapTotal").unwrap_or(0), kib("SwapFree").unwrap_or(0));
    let mb = |kib: u64| kib / 1024;
    put(facts, "memtotal_mb", mb(total));
    put(facts, "memfree_mb", mb(free));
    put(facts, "swaptotal_mb", mb(swap_total));
    put(facts, "swapfree_mb", mb(swap_free));
    let without = free + cached;
    put(
        facts,
        "memory_mb",
        json!({
            "real": {"total": mb(total), "used": mb(total.saturating_sub(free)), "free": mb(free)},
            "nocache": {"free": mb(without), "used": mb(total.saturating_sub(without))},
            "swap": {"total": mb(swap_total), "free": mb(swap_free), "used": mb(swap_total.saturating_sub(swap_free)),
                     "cached": mb(kib("SwapCached").unwrap_or(0))},
        }),
    );
}

fn processors(answer: &Answer, facts: &mut Map) {
    let mut list: Vec<Value> = Vec::new();
    let (mut sockets, mut cores) = (BTreeSet::new(), BTreeSet::new());
    let (mut threads, mut socket, mut siblings, mut cores_each) = (0_u64, String::new(), 0_u64, 0_u64);
    for line in answer.text("cpuinfo").lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "processor" => {
                threads += 1;
                list.push(value.into());
            }
            "vendor_id" | "model name" | "Processor" | "cpu" | "CPU implementer" => list.push(value.into()),
            "physical id" => {
                socket = value.to_owned();
                sockets.insert(value.to_owned());
            }
            "core id" => {
                cores.insert((socket.clone(), value.to_owned()));
            }
            "siblings" => siblings = value.parse().unwrap_or(0),
            "cpu cores" => cores_each = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let nproc = answer.line("nproc").and_then(|line| line.parse::<u64>().ok()).unwrap_or(threads);
    if threads == 0 {
        return;
    }
    // Without topology (arm, some virtual machines) each processor counts as one of its own, as in Ansible.
    let (count, each) = if sockets.is_empty() {
        (threads, 1)
    } else {
        (sockets.len() as u64, if cores_each > 0 { cores_each } else { (cores.len() / sockets.len()).max(1) as u64 })
    };
    let per_core = if sockets.is_empty() { 1 } else { (siblings / each.max(1)).max(1) };
    put(facts, "processor", Value::Array(list));
    put(facts, "processor_count", count);
    put(facts, "processor_cores", each);
    put(facts, "processor_threads_per_core", per_core);
    put(facts, "processor_vcpus", count * each * per_core);
    put(facts, "processor_nproc", nproc);
}

/// `\040` and the like in `/proc/mounts`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn mounts(answer: &Answer) -> Value {
    let mut list = Vec::new();
    for line in answer.text("mounts").lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [device, mount, kind, options, ..] = fields.as_slice() else { continue };
        let remote = device.contains(':') || device.starts_with("//");
        if !device.starts_with('/') && !remote {
            continue;
        }
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        put("mount", unescape(mount).into());
        put("device", unescape(device).into());
        put("fstype", (*kind).into());
        put("options", (*options).into());
        put("dump", 0.into());
        put("passno", 0.into());
        if let Some(sizes) = sizes(answer.text("sizes"), mount) {
            let [blocks, available, size, inodes, inodes_free] = sizes;
            put("size_total", blocks.saturating_mul(size).into());
            put("size_available", available.saturating_mul(size).into());
            put("block_size", size.into());
            put("block_total", blocks.into());
            put("block_available", available.into());
            put("block_used", blocks.saturating_sub(available).into());
            put("inode_total", inodes.into());
            put("inode_available", inodes_free.into());
            put("inode_used", inodes.saturating_sub(inodes_free).into());
        }
        list.push(Value::Object(entry));
    }
    Value::Array(list)
}

fn sizes(text: &str, mount: &str) -> Option<[u64; 5]> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(6, ' ');
        let mut numbers = [0; 5];
        for number in &mut numbers {
            *number = fields.next()?.parse().ok()?;
        }
        (fields.next()? == mount).then_some(numbers)
    })
}
