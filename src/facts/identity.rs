//! Who the host is: kernel, names, distribution, package manager.

use serde_json::json;

use super::answer::Answer;
use super::put;
use crate::base::Map;

/// Puts the facts in.
pub(super) fn parse(answer: &Answer, facts: &mut Map) {
    let mut uname = answer.text("uname").lines();
    let mut next = || uname.next().unwrap_or_default().to_owned();
    let (system, node, release, version, machine) = (next(), next(), next(), next(), next());
    if system.is_empty() {
        return;
    }
    let architecture = match machine.as_str() {
        "i386" | "i486" | "i586" | "i686" => "i386".to_owned(),
        other => other.to_owned(),
    };
    put(facts, "system", system);
    put(facts, "kernel", release);
    put(facts, "kernel_version", version);
    put(facts, "machine", machine.clone());
    put(facts, "userspace_architecture", architecture.clone());
    put(facts, "architecture", architecture);
    let bits = answer.line("bits").unwrap_or(if machine.contains("64") || machine == "s390x" { "64" } else { "32" });
    put(facts, "userspace_bits", bits);
    let fqdn = answer.line("fqdn").unwrap_or(&node);
    put(facts, "hostname", node.split('.').next().unwrap_or_default());
    put(facts, "domain", fqdn.split_once('.').map_or("", |(_, domain)| domain));
    put(facts, "fqdn", fqdn);
    put(facts, "nodename", node);
    distribution(answer, facts);
    package_manager(answer, facts);
    if let Some(id) = answer.line("machine_id") {
        put(facts, "machine_id", id);
    }
    for (section, kind) in [("key_rsa", "rsa"), ("key_ed25519", "ed25519"), ("key_ecdsa", "ecdsa")] {
        let mut words = answer.text(section).split_whitespace();
        if let (Some(algorithm), Some(key)) = (words.next(), words.next()) {
            put(facts, &format!("ssh_host_key_{kind}_public"), key);
            put(facts, &format!("ssh_host_key_{kind}_public_keytype"), algorithm);
        }
    }
}

/// `ID` of os-release → Ansible's name and family.
const NAMES: &[(&str, &str, &str)] = &[
    ("debian", "Debian", "Debian"),
    ("ubuntu", "Ubuntu", "Debian"),
    ("raspbian", "Debian", "Debian"),
    ("linuxmint", "Linux Mint", "Debian"),
    ("kali", "Kali", "Debian"),
    ("devuan", "Devuan", "Debian"),
    ("rhel", "RedHat", "RedHat"),
    ("centos", "CentOS", "RedHat"),
    ("rocky", "Rocky", "RedHat"),
    ("almalinux", "AlmaLinux", "RedHat"),
    ("ol", "OracleLinux", "RedHat"),
    ("fedora", "Fedora", "RedHat"),
    ("amzn", "Amazon", "RedHat"),
    ("scientific", "Scientific", "RedHat"),
    ("opensuse-leap", "openSUSE Leap", "Suse"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed", "Suse"),
    ("opensuse", "openSUSE", "Suse"),
    ("sles", "SLES", "Suse"),
    ("alpine", "Alpine", "Alpine"),
    ("arch", "Archlinux", "Archlinux"),
    ("manjaro", "Manjaro", "Archlinux"),
    ("gentoo", "Gentoo", "Gentoo"),
    ("void", "Void", "Void"),
    ("flatcar", "Flatcar", "Flatcar"),
    ("coreos", "Coreos", "Coreos"),
];

fn distribution(answer: &Answer, facts: &mut Map) {
    let id = answer.shell_value("os_release", "ID").unwrap_or_default().to_lowercase();
    let old_redhat = answer.line("redhat_release").filter(|_| id.is_empty());
    if let Some(line) = old_redhat {
        return old_red_hat(line, facts);
    }
    if id.is_empty() && answer.has("debian_version") {
        let version = answer.line("debian_version").unwrap_or_default();
        return put_distribution(facts, "Debian", "Debian", version, "NA", "/etc/debian_version");
    }
    if id.is_empty() {
        let system = answer.line("uname").unwrap_or("Linux").to_owned();
        put(facts, "distribution", system.clone());
        put(facts, "os_family", system);
        return;
    }
    let (name, family) = NAMES
        .iter()
        .find(|(known, ..)| *known == id)
        .map(|(_, name, family)| ((*name).to_owned(), (*family).to_owned()))
        .unwrap_or_else(|| {
            let name = answer.shell_value("os_release", "NAME").unwrap_or_else(|| id.clone());
            let like = answer.shell_value("os_release", "ID_LIKE").unwrap_or_default();
            let family = NAMES.iter().find(|(known, ..)| like.split(' ').any(|word| word == *known));
            let family = family.map_or_else(|| name.clone(), |(.., family)| (*family).to_owned());
            (name, family)
        });
    let mut version = answer.shell_value("os_release", "VERSION_ID").unwrap_or_default();
    // Debian's and CentOS' os-release leave the minor version out; Ansible takes it from the older file.
    if name == "Debian" {
        if let Some(full) = answer.line("debian_version").filter(|full| full.starts_with(|c: char| c.is_ascii_digit()))
        {
            version = full.to_owned();
        }
    } else if name == "CentOS"
        && let Some(full) = answer.line("redhat_release").and_then(release_number)
    {
        version = full;
    }
    let release = answer
        .shell_value("os_release", "VERSION_CODENAME")
        .or_else(|| answer.shell_value("os_release", "UBUNTU_CODENAME"))
        .or_else(|| in_brackets(&answer.shell_value("os_release", "VERSION").unwrap_or_default()))
        .unwrap_or_else(|| "NA".to_owned());
    put_distribution(facts, &name, &family, &version, &release, "/etc/os-release");
    lsb(answer, facts);
}

fn put_distribution(facts: &mut Map, name: &str, family: &str, version: &str, release: &str, file: &str) {
    put(facts, "distribution", name);
    put(facts, "distribution_version", version);
    let mut parts = version.split('.');
    put(facts, "distribution_major_version", parts.next().unwrap_or_default());
    if let Some(minor) = parts.next() {
        put(facts, "distribution_minor_version", minor);
    }
    put(facts, "distribution_release", release);
    put(facts, "distribution_file_path", file);
    put(facts, "distribution_file_variety", name.split(' ').next().unwrap_or_default());
    put(facts, "distribution_file_parsed", true);
    put(facts, "os_family", family);
}

/// `CentOS release 6.10 (Final)`: from before os-release.
fn old_red_hat(line: &str, facts: &mut Map) {
    let name = match line {
        _ if line.starts_with("CentOS") => "CentOS",
        _ if line.starts_with("Fedora") => "Fedora",
        _ if line.starts_with("Scientific") => "Scientific",
        _ if line.starts_with("Oracle") => "OracleLinux",
        _ => "RedHat",
    };
    let version = release_number(line).unwrap_or_default();
    let release = in_brackets(line).unwrap_or_else(|| "NA".to_owned());
    put_distribution(facts, name, "RedHat", &version, &release, "/etc/redhat-release");
}

fn release_number(line: &str) -> Option<String> {
    let word = line.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(word.to_owned())
}

fn in_brackets(text: &str) -> Option<String> {
    let inside = text.split_once('(')?.1.split_once(')')?.0;
    Some(inside.split(' ').next().unwrap_or(inside).to_owned())
}

fn lsb(answer: &Answer, facts: &mut Map) {
    let Some(id) = answer.shell_value("lsb_release", "DISTRIB_ID") else { return };
    let value = |key| answer.shell_value("lsb_release", key).unwrap_or_default();
    let release = value("DISTRIB_RELEASE");
    let major = release.split('.').next().unwrap_or_default().to_owned();
    put(
        facts,
        "lsb",
        json!({"id": id, "codename": value("DISTRIB_CODENAME"), "description": value("DISTRIB_DESCRIPTION"),
               "major_release": major, "release": release}),
    );
}

fn package_manager(answer: &Answer, facts: &mut Map) {
    let found = answer.text("packages").lines().map(str::trim).find_map(|tool| {
        Some(match tool {
            "apt-get" => "apt",
            "dnf5" => "dnf5",
            "dnf" => "dnf",
            "yum" => "yum",
            "zypper" => "zypper",
            "apk" => "apk",
            "pacman" => "pacman",
            "opkg" => "opkg",
            "xbps-install" => "xbps",
            "emerge" => "portage",
            _ => return None,
        })
    });
    put(facts, "pkg_mgr", found.unwrap_or("unknown"));
}
