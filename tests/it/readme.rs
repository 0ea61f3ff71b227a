//! Every command of the README, and of the one beside the playbooks for Mesos, is run here, on hosts with the names that they give them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const README: &str = include_str!("../../README.md");
const MESOS: &str = include_str!("../../playbooks/mesos/README.md");

/// Fenced blocks of a language, in order.
fn blocks(language: &str) -> Vec<String> {
    blocks_of(README, language)
}

fn blocks_of(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in text.lines() {
        match &mut open {
            None if line == format!("```{language}") => open = Some(Vec::new()),
            Some(lines) if line == "```" => {
                found.push(lines.join("\n") + "\n");
                open = None;
            }
            Some(lines) => lines.push(line),
            None => {}
        }
    }
    found
}

/// Hosts that are gone when it is dropped.
struct Hosts {
    folder: tempfile::TempDir,
}

impl Hosts {
    fn up() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let net = 20 + (std::process::id() * 7 + 11) % 220;
        let host = |name: &str, last: u32| {
            format!("        {name}: {{ansible_host: 127.0.{net}.{last}, ansible_port: 2222}}\n")
        };
        let inventory = format!(
            "all:\n  vars: {{lab_release: 0.13.0, lab_releases: [0.13.0, 0.14.2]}}\n  children:\n    masters:\n      vars: {{lab_daemons: [mesos-master], lab_zookeeper: true}}\n      hosts:\n{}{}{}    slaves:\n      vars: {{lab_daemons: [mesos-slave]}}\n      hosts:\n{}{}{}",
            host("m1", 1),
            host("m2", 2),
            host("m3", 3),
            host("s01", 11),
            host("s02", 12),
            host("s03", 13),
        );
        let file = folder.path().join("lab.yml");
        fs::write(&file, inventory).expect("an inventory");
        let hosts = Self { folder };
        let up = hosts.lab(&["up", "-i", file.to_str().expect("a path")]);
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        // The README's names stay, with the addresses, key and host keys of these hosts.
        let lab = hosts.folder.path().join("lab");
        let overlay = format!(
            "all:\n  vars:\n    ansible_port: 2222\n    ansible_ssh_private_key_file: {}\n    ansible_ssh_common_args: -o UserKnownHostsFile={}\n  hosts:\n{}",
            lab.join("id_ed25519").display(),
            lab.join("known_hosts").display(),
            [("m1", 1), ("m2", 2), ("m3", 3), ("s01", 11), ("s02", 12), ("s03", 13)]
                .iter()
                .map(|(name, last)| format!("    {name}: {{ansible_host: 127.0.{net}.{last}}}\n"))
                .collect::<String>()
        );
        fs::write(hosts.folder.path().join("overlay.yml"), overlay).expect("an inventory");
        hosts
    }

    fn lab(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_stagger"))
            .arg("lab")
            .arg("--dir")
            .arg(self.folder.path().join("lab"))
            .args(words)
            .output()
            .expect("stagger runs")
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let down = self.lab(&["down"]);
        if !down.status.success() {
            let _ = std::io::stderr().write_all(&down.stderr);
        }
    }
}

/// Runs one line of the README in a folder where `stagger` is in the path.
fn run(line: &str, folder: &Path) -> Output {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut words = shlex::split(line).expect("words");
    let program = folder.join("bin").join(words.remove(0));
    let mut more: Vec<String> = Vec::new();
    if words.iter().any(|word| word == "hosts.ini") {
        more = vec!["-i".to_owned(), "overlay.yml".to_owned()];
    }
    for word in &mut words {
        if word.starts_with("playbooks/") {
            *word = root.join(&*word).display().to_string();
            // The main job has tests of its own; here its line is checked against the program.
            more.push("--syntax-check".to_owned());
        }
    }
    Command::new(program)
        .args(words)
        .args(more)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("HOME", folder)
        .output()
        .expect("the program runs")
}

#[test]
fn every_command_of_the_readme_runs() {
    let hosts = Hosts::up();
    let folder = hosts.folder.path();
    fs::create_dir(folder.join("bin")).expect("a folder");
    symlink(env!("CARGO_BIN_EXE_stagger"), folder.join("bin/stagger")).expect("a link");
    for text in blocks("ini").into_iter().chain(blocks("yaml")) {
        let name =
            text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a file's name in its first line");
        fs::write(folder.join(name), &text).expect("a file");
    }
    let makefile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Makefile")).expect("the Makefile");
    fs::write(folder.join("vault.key"), "a vault password\n").expect("a file");
    let mut changed = 0;
    let commands = [blocks("console"), blocks_of(MESOS, "console")].concat();
    for line in commands.iter().flat_map(|block| block.lines()) {
        let line = line.strip_prefix("$ ").unwrap_or_else(|| panic!("`{line}` is no command"));
        let words = shlex::split(line).expect("words");
        match words.first().map(String::as_str) {
            Some("make") => assert!(makefile.contains(&format!("\n{}:", words[1])), "{line}"),
            Some("cargo" | "install") => {}
            Some("ln") => symlink("stagger", folder.join("bin/ansible-playbook")).expect("a link"),
            Some("stagger" | "ansible-playbook") => {
                let done = run(line, folder);
                let said = [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text)).join("\n");
                assert!(done.status.success(), "`{line}` ended with {}:\n{said}", done.status);
                changed += usize::from(said.contains("changed"));
            }
            _ => panic!("`{line}` is not known to this test"),
        }
    }
    assert!(changed >= 2, "the run changed the hosts");
    let flag = Command::new("ssh")
        .arg("-F")
        .arg(folder.join("lab/ssh_config"))
        .args(["-o", "BatchMode=yes", "s03", "tr '\\0' ' ' </proc/$(cat /var/run/mesos-slave.pid)/cmdline"])
        .output()
        .expect("ssh runs");
    let words = String::from_utf8_lossy(&flag.stdout);
    assert!(words.contains("--log_dir=/srv/log/mesos"), "the slave runs with: {words}");
}

/// Each row of the guide's table names plays that its playbook has, and tests that are there.
#[test]
fn the_table_of_the_guide_names_plays_and_tests_that_there_are() {
    let tests: String = ["mesos.rs", "mesos_hops.rs", "mesos_faults.rs", "lab.rs"]
        .iter()
        .filter_map(|name| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name)).ok())
        .collect();
    let table = MESOS.split("## Each line of the guide").nth(1).expect("the table");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| 0."))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    // Lines of the guide: to 0.12, 0.13, 0.14 and 0.15.
    let count = |hop: &str| rows.iter().filter(|row| row[0] == hop).count();
    assert_eq!(["0.12", "0.13", "0.14", "0.15"].map(count), [3, 7, 10, 11]);
    let mut last = String::new();
    for row in rows {
        let [hop, line, steps, _, shown] = row[..] else { panic!("a row with other columns: {row:?}") };
        let before = format!("0.{}", hop[2..].parse::<u32>().expect("a minor") - 1);
        let playbook = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("playbooks/mesos/upgrade-{before}-to-{hop}.yml")),
        )
        .expect("a playbook");
        let plays: Vec<&str> = playbook.lines().filter_map(|line| line.strip_prefix("- name: ")).collect();
        for step in steps.split(&[',', ';'][..]).map(str::trim).filter_map(|word| word.parse::<u32>().ok()) {
            let numbers = |play: &str| {
                let all: Vec<u32> = play
                    .split(' ')
                    .filter_map(|word| word.trim_start_matches('"').strip_suffix('.')?.parse().ok())
                    .collect();
                (all.first().copied().unwrap_or(0), all.last().copied().unwrap_or(0))
            };
            assert!(
                plays.iter().any(|play| (numbers(play).0..=numbers(play).1).contains(&step)),
                "{hop}: no play has step {step}: {plays:?}"
            );
        }
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).filter(|name| !name.contains(' ')).collect();
        for name in &named {
            assert!(tests.contains(&format!("fn {name}(")), "{hop}: {line}: there is no test {name}");
        }
        assert!(!named.is_empty() || shown.contains("the same") && !last.is_empty() || shown == "–", "{line}: {shown}");
        last = named.first().map_or(last, |name| (*name).to_owned());
    }
}

#[test]
fn the_mistake_that_the_readme_shows_looks_like_that() {
    let folder = tempfile::tempdir().expect("a folder");
    let playbook = blocks("yaml").into_iter().find(|text| text.starts_with("# flags.yml")).expect("the playbook");
    fs::write(folder.path().join("flags.yml"), playbook.replace("state: restarted", "stat: restarted"))
        .expect("a file");
    fs::write(folder.path().join("hosts.ini"), blocks("ini").concat()).expect("a file");
    let done = Command::new(env!("CARGO_BIN_EXE_stagger"))
        .args(["run", "flags.yml", "-i", "hosts.ini", "--syntax-check"])
        .current_dir(folder.path())
        .output()
        .expect("stagger runs");
    let shown = blocks("text").into_iter().find(|text| text.starts_with("error: ")).expect("the mistake");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains(shown.trim_end()), "the README shows\n{shown}\nand this is said\n{said}");
}
