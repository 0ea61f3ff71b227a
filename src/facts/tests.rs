use serde_json::json;

use super::*;

#[expect(clippy::disallowed_methods, reason = "a test reads what hosts answered")]
fn facts(name: &str) -> Map {
    let path = format!("{}/tests/facts/hosts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let stdout = std::fs::read(path).expect("a recorded answer");
    parse(&Output { stdout, ..Output::default() })
}

#[track_caller]
fn has(facts: &Map, name: &str, value: impl Into<Value>) {
    assert_eq!(facts.get(&format!("ansible_{name}")), Some(&value.into()), "{name}");
}

#[test]
fn a_debian_host() {
    let facts = facts("debian-12");
    for (name, value) in [
        ("hostname", "m1"),
        ("nodename", "m1.example.org"),
        ("domain", "example.org"),
        ("distribution", "Debian"),
        ("distribution_version", "12.11"),
        ("distribution_major_version", "12"),
        ("distribution_release", "bookworm"),
        ("os_family", "Debian"),
        ("pkg_mgr", "apt"),
        ("service_mgr", "systemd"),
        ("architecture", "x86_64"),
        ("user_shell", "/bin/bash"),
    ] {
        has(&facts, name, value);
    }
    has(&facts, "env", json!({"HOME": "/root", "A": "b\nc"}));
    has(&facts, "memtotal_mb", 24105);
    has(
        &facts,
        "memory_mb",
        json!({
            "real": {"total": 24105, "used": 13210, "free": 10894},
            "nocache": {"free": 20172, "used": 3933},
            "swap": {"total": 0, "free": 0, "used": 0, "cached": 0},
        }),
    );
    has(&facts, "processor_count", 1);
    has(&facts, "processor_cores", 2);
    has(&facts, "processor_threads_per_core", 2);
    has(&facts, "processor_vcpus", 4);
    has(&facts, "uptime_seconds", 3274);
    has(&facts, "all_ipv4_addresses", json!(["192.0.2.2", "192.0.2.9"]));
    has(
        &facts,
        "default_ipv4",
        json!({
            "address": "192.0.2.2", "broadcast": "192.0.2.255", "netmask": "255.255.255.0", "network": "192.0.2.0",
            "prefix": "24", "gateway": "192.0.2.1", "interface": "eth0", "alias": "eth0",
            "macaddress": "02:fc:00:00:00:01", "mtu": 1400, "type": "ether",
        }),
    );
    let date = &facts["ansible_date_time"];
    assert_eq!((&date["iso8601"], &date["weekday_number"]), (&json!("2026-11-22T23:43:30Z"), &json!("0")));
    let mounts = facts["ansible_mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 2);
    assert_eq!((&mounts[0]["size_available"], &mounts[1]["mount"]), (&json!(1_638_400), &json!("/mnt/with space")));
}

#[test]
fn hosts_from_before_os_release() {
    let facts = facts("centos-6");
    has(&facts, "distribution", "CentOS");
    has(&facts, "distribution_version", "6.10");
    has(&facts, "distribution_release", "Final");
    has(&facts, "os_family", "RedHat");
    has(&facts, "service_mgr", "upstart");
    has(&facts, "hostname", "s7");
    has(&facts, "fqdn", "s7.example.org");
}

#[test]
fn a_host_with_nothing_but_busybox() {
    let facts = facts("alpine");
    has(&facts, "distribution", "Alpine");
    has(&facts, "service_mgr", "openrc");
    has(&facts, "fqdn", "edge");
    has(&facts, "processor_vcpus", 2);
    assert!(!facts.contains_key("ansible_memtotal_mb"), "what is not known is left out");
    assert!(!facts.contains_key("ansible_date_time"));
}

#[test]
fn an_answer_of_rubbish_gives_no_facts_and_does_not_fail() {
    for rubbish in [
        "",
        "@@stagger ",
        "@@stagger uname\n\n\n",
        "@@stagger env\n!!!!\n@@stagger date\n\n@@stagger route\nx\n",
        "\u{0}\u{7f}",
    ] {
        let facts = parse(&Output { stdout: rubbish.into(), ..Output::default() });
        assert!(!facts.contains_key("ansible_hostname"), "{rubbish:?}");
    }
}
