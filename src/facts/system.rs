//! Who we are there, what runs the host, its clock, its environment and its protections.

use base64::Engine as _;
use serde_json::json;

use super::answer::Answer;
use super::put;
use crate::base::{Map, Value};

/// Puts the facts in.
pub(super) fn parse(answer: &Answer, facts: &mut Map) {
    user(answer, facts);
    environment(answer, facts);
    clock(answer, facts);
    put(facts, "service_mgr", service_manager(answer));
    put(facts, "apparmor", json!({"status": if answer.has("apparmor") { "enabled" } else { "disabled" }}));
    let selinux = match answer.line("selinux") {
        Some("1") => json!({"status": "enabled", "mode": "enforcing"}),
        Some(_) => json!({"status": "enabled", "mode": "permissive"}),
        None => json!({"status": "disabled"}),
    };
    put(facts, "selinux", selinux);
    put(facts, "fips", answer.line("fips") == Some("1"));
    put(facts, "local", json!({}));
    put(facts, "dns", dns(answer.text("resolv")));
    let words = command_line(answer.text("cmdline"));
    put(facts, "cmdline", words.clone());
    put(facts, "proc_cmdline", words);
    let averages: Vec<f64> = answer.text("loadavg").split_whitespace().take(3).filter_map(|n| n.parse().ok()).collect();
    if let [one, five, fifteen] = averages.as_slice() {
        put(facts, "loadavg", json!({"1m": one, "5m": five, "15m": fifteen}));
    }
    virtualization(answer, facts);
}

fn user(answer: &Answer, facts: &mut Map) {
    let lines: Vec<&str> = answer.text("ids").lines().map(str::trim).collect();
    if let [uid, name, gid, real_uid, real_gid, ..] = lines.as_slice() {
        let number = |text: &str| text.parse::<u32>().map_or(Value::Null, Value::from);
        put(facts, "user_id", *name);
        put(facts, "user_uid", number(uid));
        put(facts, "user_gid", number(gid));
        put(facts, "effective_user_id", number(uid));
        put(facts, "effective_group_id", number(gid));
        put(facts, "real_user_id", number(real_uid));
        put(facts, "real_group_id", number(real_gid));
    }
    let fields: Vec<&str> = answer.line("passwd").unwrap_or_default().split(':').collect();
    if let [_, _, _, _, gecos, home, shell, ..] = fields.as_slice() {
        put(facts, "user_gecos", *gecos);
        put(facts, "user_dir", *home);
        put(facts, "user_shell", *shell);
    }
}

fn environment(answer: &Answer, facts: &mut Map) {
    let encoded = answer.text("env").trim();
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(encoded) else { return };
    let mut environment = Map::new();
    for entry in bytes.split(|byte| *byte == 0) {
        let text = String::from_utf8_lossy(entry);
        if let Some((name, value)) = text.split_once('=') {
            environment.insert(name.to_owned(), value.into());
        }
    }
    put(facts, "env", Value::Object(environment));
}

fn clock(answer: &Answer, facts: &mut Map) {
    let mut lines = answer.text("date").lines();
    let local: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let utc = lines.next().unwrap_or_default().split(' ').next().unwrap_or_default().to_owned();
    let [year, month, day, hour, minute, second, offset, zone, epoch, weekday_number, weekday, week, ..] =
        local.as_slice()
    else {
        return;
    };
    let basic = format!("{year}{month}{day}T{hour}{minute}{second}");
    put(
        facts,
        "date_time",
        json!({
            "year": year, "month": month, "day": day, "hour": hour, "minute": minute, "second": second,
            "date": format!("{year}-{month}-{day}"), "time": format!("{hour}:{minute}:{second}"),
            "epoch": epoch, "epoch_int": epoch, "tz": zone, "tz_dst": zone, "tz_offset": offset,
            "weekday": weekday, "weekday_number": weekday_number.trim_start_matches('7').to_owned()
                + if *weekday_number == "7" { "0" } else { "" },
            "weeknumber": week,
            "iso8601": format!("{utc}Z"), "iso8601_micro": format!("{utc}.000000Z"),
            "iso8601_basic": format!("{basic}000000"), "iso8601_basic_short": basic,
        }),
    );
}

fn service_manager(answer: &Answer) -> String {
    let init: Vec<&str> = answer.text("init").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tools = answer.text("init_tools");
    if init.contains(&"systemd") {
        return "systemd".to_owned();
    }
    let first = init.first().copied().unwrap_or_default();
    let link = init.get(1).copied().unwrap_or_default();
    if tools.contains("openrc") || tools.contains("rc-service") {
        return "openrc".to_owned();
    }
    if tools.contains("initctl") && (first == "init" || first == "upstart") {
        return "upstart".to_owned();
    }
    match first {
        "" => "unknown".to_owned(),
        "init" if link.ends_with("busybox") => "busybox".to_owned(),
        "init" => "sysvinit".to_owned(),
        "runit" | "runit-init" => "runit".to_owned(),
        other => other.to_owned(),
    }
}

fn dns(text: &str) -> Value {
    let mut dns = Map::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                let list = dns.entry("nameservers").or_insert_with(|| json!([]));
                if let (Value::Array(list), Some(address)) = (list, words.next()) {
                    list.push(address.into());
                }
            }
            Some("domain") => {
                if let Some(domain) = words.next() {
                    dns.insert("domain".to_owned(), domain.into());
                }
            }
            Some("search") => {
                dns.insert("search".to_owned(), words.map(Value::from).collect());
            }
            _ => {}
        }
    }
    Value::Object(dns)
}

fn command_line(text: &str) -> Value {
    let mut words = Map::new();
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some((key, value)) => words.insert(key.to_owned(), value.into()),
            None => words.insert(word.to_owned(), true.into()),
        };
    }
    Value::Object(words)
}

fn virtualization(answer: &Answer, facts: &mut Map) {
    let lines: Vec<&str> = answer.text("container").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let container = lines.iter().find(|line| !line.starts_with(|c: char| c.is_ascii_digit()));
    let hypervisor = lines.iter().any(|line| line.parse::<u32>().is_ok_and(|count| count > 0));
    let product = answer.shell_value("dmi", "product_name").unwrap_or_default();
    let vendor = answer.shell_value("dmi", "sys_vendor").unwrap_or_default();
    let kind = match container {
        Some(name) => (*name).to_owned(),
        None if product.contains("VMware") || vendor.contains("VMware") => "VMware".to_owned(),
        None if product == "VirtualBox" => "virtualbox".to_owned(),
        None if vendor.contains("Microsoft") && product.contains("Virtual") => "VirtualPC".to_owned(),
        None if vendor.contains("QEMU") || product.contains("KVM") || vendor.contains("Amazon") => "kvm".to_owned(),
        None if vendor.contains("Xen") => "xen".to_owned(),
        None if hypervisor => "kvm".to_owned(),
        None => "NA".to_owned(),
    };
    put(facts, "virtualization_role", if kind == "NA" { "NA" } else { "guest" });
    put(facts, "virtualization_type", kind);
}
