//! Every module on both kinds of host over real SSH: previewed, done, done again; as root, and by sudo as somebody else.
//! The cases are the playbooks in `tests/modules_on_hosts`; that no module is forgotten there is tested in `src/modules`.
//! Gates and looks at Mesos need a cluster: their tests are those of the rehearsal.

#![expect(clippy::disallowed_methods, reason = "a test looks at files of its own")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::lab::Lab;

pub(crate) const HOSTS: &str = "
all:
  hosts:
    d1: {ansible_host: NET.1}
    b1: {ansible_host: NET.2, lab_kind: busybox}
";

/// The same hosts as who works on them sees them, with a folder for each.
const SEEN: &str = "    debian: {ansible_host: NET.1, base: /srv/root}
    busybox: {ansible_host: NET.2, base: /srv/root}
    other_user: {ansible_host: NET.1, base: /srv/deputy, ansible_user: operator, ansible_become: true, ansible_become_user: deputy}
    other_on_busybox: {ansible_host: NET.2, base: /srv/deputy, ansible_become: true, ansible_become_user: deputy, ansible_become_method: su}
";

/// What is on a host beforehand, in the folder `$1`.
const PREPARE: &str = r#"
mkdir -p $1/given/below $1/flags
cd $1
echo given > given/file; chmod 604 given/file
echo below > given/below/file
printf 'first\nsecond\nthird\n' > edited
echo old > old
mkdir gone; echo x > gone/x
printf drf > flags/user_sorter
mkdir unpacked; tar czf packed.tar.gz -C given below
yes fetched | head -c 300000 > large
"#;

/// Everything that people could miss if it changed: names, kinds, owners, sizes, times and contents.
const DIGEST: &str = "for f in /srv /etc /root /tmp /opt /home /usr/local; do find $f -exec stat -c '%n %f %u %g %s %Y' {} +; \
     find $f -type f -exec sha1sum {} +; done 2>/dev/null | sort | sha1sum";

/// What stands in a folder, by names in it: kind and mode, what links point at, contents. No owners, times or process numbers.
const LISTING: &str = r#"cd $1 && find . | sort | while read -r f; do
    case $f in *.pid|*.born|*/links|*/old.*|*/packed.tar.gz) continue;; esac
    if [ -h "$f" ]; then echo "$f -> $(readlink "$f")" | sed "s,$1,BASE,"
    else echo "$f $(stat -c %A "$f") $([ -f "$f" ] && sha1sum <"$f")"; fi
done"#;

/// Among the words for `run`: the mode for hosts without persistent shells.
const ONE_CHANNEL: &str = "one channel a command";

/// How a task ended on a host: its status, its steps and its message.
pub(crate) type Ends = BTreeMap<(String, String), (String, Vec<String>, String)>;

/// Changes over connections that break: (what, how the cutting shell cuts, the task). The first command is the look, the second
/// the change.
const CUTS: &[(&str, &str, &str)] = &[
    ("text_look", "1 look", "copy: {content: new, dest: BASE/old}"),
    ("text_looked", "2 before", "copy: {content: new, dest: BASE/old}"),
    ("text_middle", "2 middle mv", "copy: {content: new, dest: BASE/old, backup: false}"),
    ("text_beside", "2 beside mv", "copy: {content: new, dest: BASE/old}"),
    ("text_after", "2 after", "copy: {content: new, dest: BASE/old}"),
    ("line_lingers", "2 linger mv", "lineinfile: {path: BASE/edited, regexp: '^second', line: 2nd}"),
    ("archive_lingers", "2 linger tar", "unarchive: {src: HERE/archive.tar.gz, dest: BASE/given}"),
    (
        "release_lingers",
        "2 linger mv",
        "release: {name: d, version: '2', src: HERE/binary, root: BASE/v, link: BASE/d}",
    ),
    ("binary_half", "2 middle cat", "copy: {src: HERE/binary, dest: BASE/old}"),
    ("binary_middle", "2 middle mv", "copy: {src: HERE/binary, dest: BASE/old}"),
    ("binary_after", "2 after", "copy: {src: HERE/binary, dest: BASE/old}"),
    ("tree_middle", "2 middle mv", "copy: {src: tree, dest: BASE}"),
    ("tree_after", "2 after", "copy: {src: tree, dest: BASE}"),
    ("remote_middle", "2 middle mv", "copy: {src: BASE/edited, dest: BASE/old, remote_src: true}"),
    ("template_middle", "2 middle mv", "template: {src: greeting.j2, dest: BASE/old}"),
    ("template_after", "2 after", "template: {src: greeting.j2, dest: BASE/old}"),
    ("modes_middle", "2 middle chmod", "file: {path: BASE/given, state: directory, mode: 'u=rwX,go=', recurse: true}"),
    ("folder_middle", "2 middle mkdir", "file: {path: BASE/made/for/this, state: directory}"),
    ("link_middle", "2 middle ln", "file: {path: BASE/link, src: given/file, state: link}"),
    ("gone_middle", "2 middle rm", "file: {path: BASE/gone, state: absent}"),
    ("gone_after", "2 after", "file: {path: BASE/gone, state: absent}"),
    ("line_middle", "2 middle mv", "lineinfile: {path: BASE/edited, regexp: '^second', line: 2nd}"),
    ("line_after", "2 after", "lineinfile: {path: BASE/edited, line: fourth}"),
    ("replace_after", "2 after", "replace: {path: BASE/edited, regexp: third, replace: 3rd}"),
    ("block_middle", "2 middle mv", "blockinfile: {path: BASE/edited, block: new, insertbefore: BOF}"),
    ("archive_looked", "2 before", "unarchive: {src: HERE/archive.tar.gz, dest: BASE/given}"),
    ("archive_middle", "2 middle tar", "unarchive: {src: HERE/archive.tar.gz, dest: BASE/given}"),
    ("archive_after", "2 after", "unarchive: {src: HERE/archive.tar.gz, dest: BASE/given}"),
    ("zip_middle", "2 middle tar", "unarchive: {src: HERE/archive.zip, dest: BASE/unpacked}"),
    ("packed_middle", "2 middle mv", "unarchive: {src: BASE/packed.tar.gz, dest: BASE/unpacked, remote_src: true}"),
    ("packed_after", "2 after", "unarchive: {src: BASE/packed.tar.gz, dest: BASE/unpacked, remote_src: true}"),
    ("folders_middle", "2 middle mv", "copy: {src: BASE/given, dest: BASE/unpacked, remote_src: true}"),
    ("fetch_look", "1 look", "fetch: {src: BASE/large, dest: HERE/fetched}"),
    ("fetch_looked", "2 before", "fetch: {src: BASE/large, dest: HERE/fetched}"),
    ("fetch_half", "2 middle cat", "fetch: {src: BASE/large, dest: HERE/fetched}"),
    ("fetch_after", "2 after", "fetch: {src: BASE/large, dest: HERE/fetched}"),
    ("release_half", "2 middle cat", "release: {name: d, version: '2', src: HERE/binary, root: BASE/v, link: BASE/d}"),
    ("release_middle", "2 middle mv", "release: {name: d, version: '2', src: HERE/binary, root: BASE/v, link: BASE/d}"),
    ("release_after", "2 after", "release: {name: d, version: '2', src: HERE/binary, root: BASE/v, link: BASE/d}"),
    (
        "flags_middle",
        "2 middle mv",
        "mesos_flags: {daemon: master, version: 0.14.2, folder: BASE/flags, convention: files, set: {cluster: x}}",
    ),
    (
        "flags_after",
        "2 after",
        "mesos_flags: {daemon: master, version: 0.14.2, folder: BASE/flags, convention: files, set: {cluster: x}}",
    ),
    ("folder_look", "1 look", "file: {path: BASE/made/for/this, state: directory}"),
];

/// What can't be seen through, or must not be done twice: (what, how it is cut, the task, what it left in `count`).
const NEVER_AGAIN: &[(&str, &str, &str, &str)] = &[
    ("command", "1 after", "command: sh -c 'echo done >>BASE/count'", "done\n"),
    ("shell", "1 after", "shell: echo done >>BASE/count", "done\n"),
    // Where it is asked for on a channel of its own, it is known that it did not begin, and it is done.
    ("shell_before", "1 before", "shell: echo done >>BASE/count", ""),
    ("script", "1 after", "script: HERE/report done BASE/count", "done\n"),
    ("raw", "1 after", "raw: echo done >>BASE/count", "done\n"),
    (
        "restart",
        "2 after",
        "service: {name: counted, pidfile: BASE/pid, command: BASE/daemon, log: BASE/log, settle: 0.1, state: restarted}",
        "done\n",
    ),
];

/// Where the playbooks work, and as whom.
const FOLDERS: [(&str, &str, &str); 4] = [
    ("d1", "/srv/root", "root"),
    ("b1", "/srv/root", "root"),
    ("d1", "/srv/deputy", "deputy"),
    ("b1", "/srv/deputy", "deputy"),
];

struct Bench {
    lab: Lab,
    here: tempfile::TempDir,
    port: u16,
}

impl Bench {
    fn up(number: u32) -> Bench {
        let lab = Lab::up(number, "1", HOSTS);
        let here = tempfile::tempdir().expect("a folder");
        let write = |name: &str, content: &[u8]| std::fs::write(here.path().join(name), content).expect("a file");
        let variables = format!("    here: {0}\n    out: {0}/out\n", here.path().display());
        let inventory = lab.as_seen(&variables, SEEN);
        write("hosts.yml", inventory.as_bytes());
        // Longer than what is sent along with a script, and not text.
        let binary: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(n) >> 5) as u8).collect();
        write("binary", &binary);
        write("report", b"#!/bin/sh\necho \"$1\" >>\"$2\"\n");
        let archived = here.path().join("archived/inner");
        std::fs::create_dir_all(&archived).expect("a folder");
        std::fs::write(archived.join("file"), "archived\n").expect("a file");
        let packed = Command::new("tar")
            .args(["-czf", "archive.tar.gz", "-C", "archived", "inner"])
            .current_dir(here.path())
            .status();
        assert!(packed.expect("tar runs").success());
        for command in ["tar -cJf archive.tar.xz -C archived inner", "cd archived && zip -qr ../archive.zip inner"] {
            let done = Command::new("sh").args(["-c", command]).current_dir(here.path()).status();
            assert!(done.expect("a shell runs").success(), "{command}");
        }
        for (host, folder, owner) in FOLDERS {
            lab.run(host, &format!("set -- {folder}; set -e; {PREPARE} chown -R {owner} {folder}"));
        }
        Bench { lab, here, port: 9 }
    }

    fn play(&self, name: &str, words: &[&str]) -> (i32, Ends) {
        let playbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules_on_hosts").join(name);
        let port = format!("port={}", self.port);
        play(self.here.path(), &playbook, &[words, &["-e", &port]].concat())
    }

    fn digests(&self) -> [String; 2] {
        ["d1", "b1"].map(|host| self.lab.run(host, DIGEST))
    }

    /// What stands in the folders.
    fn listings(&self) -> [String; 4] {
        FOLDERS.map(|(host, folder, _)| self.lab.run(host, &format!("set -- {folder}; {LISTING}")))
    }
}

/// Runs a playbook on the hosts of `hosts.yml` in a folder; gives the exit code and how each task ended on each host.
#[track_caller]
pub(crate) fn play(here: &Path, playbook: &Path, words: &[&str]) -> (i32, Ends) {
    let one_channel = if words.contains(&ONE_CHANNEL) { "1" } else { "" };
    let done = Command::new(env!("CARGO_BIN_EXE_stagger"))
        .args(["run", "--output", "json", "-i"])
        .arg(here.join("hosts.yml"))
        .arg("--state")
        .arg(here.join("state"))
        .args(words.iter().filter(|word| **word != ONE_CHANNEL))
        .arg(playbook)
        .env_clear()
        .env("STAGGER_ONE_CHANNEL", one_channel)
        // The tests share these hosts, at the same time.
        .env("STAGGER_LEASE", "off")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", here)
        .output()
        .expect("stagger runs");
    let text = String::from_utf8_lossy(&done.stdout);
    let mut names = BTreeMap::new();
    let mut ends = Ends::new();
    for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let key = event["key"].to_string();
        match event["event"].as_str() {
            Some("task_started") => {
                names.insert(key, format!("{} ({})", event["name"].as_str().unwrap_or_default(), event["key"]["task"]));
            }
            Some("host_finished") => {
                let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                let steps = event["steps"].as_array().into_iter().flatten();
                let steps = steps.map(|step| step["summary"].as_str().unwrap_or_default().to_owned()).collect();
                let task = names.get(&key).cloned().unwrap_or_default();
                ends.insert((task, word("host")), (word("status"), steps, word("message")));
            }
            _ => {}
        }
    }
    let code = done.status.code().unwrap_or(-1);
    let playbook = playbook.display();
    assert!(!ends.is_empty(), "{playbook}: {code}\n{text}\n{}", String::from_utf8_lossy(&done.stderr));
    (code, ends)
}

/// A server that counts requests by their method.
fn server() -> (u16, Arc<[AtomicUsize; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let counted = Arc::clone(&counts);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut text = Vec::new();
            let mut piece = [0; 4096];
            // The whole request: closing on unread bytes would reset the connection.
            while !text.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => text.extend_from_slice(&piece[..count]),
                }
            }
            counted[usize::from(text.starts_with(b"POST"))].fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nlooked");
        }
    });
    (port, counts)
}

#[track_caller]
pub(crate) fn all(ends: &Ends, wanted: &[&str]) {
    let wrong: Vec<_> = ends.iter().filter(|(_, (status, ..))| !wanted.contains(&status.as_str())).collect();
    assert!(wrong.is_empty(), "not {wanted:?}: {wrong:#?}");
}

/// Shows the lines that differ.
#[track_caller]
fn same(one: &str, other: &str, what: &str) {
    let without = |these: &str, those: &str, sign: &str| -> Vec<String> {
        these.lines().filter(|line| !those.lines().any(|l| l == *line)).map(|line| format!("{sign}{line}")).collect()
    };
    let differ = [without(one, other, "-"), without(other, one, "+")].concat();
    assert!(differ.is_empty(), "{what}: {differ:#?}");
}

#[test]
fn every_module_is_previewed_done_and_not_done_again_on_both_kinds_of_host() {
    let mut bench = Bench::up(13);
    let (port, counts) = server();
    bench.port = port;
    let before = bench.digests();

    let (code, previewed) = bench.play("changes.yml", &["--check", "--diff"]);
    all(&previewed, &["changed", "unpredictable"]);
    assert_eq!(code, 0);
    assert_eq!(bench.digests(), before, "a preview changes nothing");
    assert!(!bench.here.path().join("out").exists(), "a preview writes nothing here");

    let (code, done) = bench.play("changes.yml", &["--diff"]);
    all(&done, &["changed"]);
    assert_eq!(code, 0);
    // What a program would do can't be known.
    let unknown = ["a program", "a line for a shell"];
    for (place, (status, steps, _)) in &previewed {
        if status == "changed" {
            assert_eq!(steps, &done[place].1, "{place:?}: as the preview said");
        } else {
            assert!(unknown.iter().any(|name| place.0.starts_with(name)), "{place:?} should be known beforehand");
        }
    }
    let [debian, busybox, other, other_busybox] = bench.listings();
    same(&debian, &busybox, "both kinds of host end alike");
    same(&debian, &other, "as another user it ends alike");
    same(&debian, &other_busybox, "as another user it ends alike on busybox");
    assert!(debian.contains("./new/inner/file ") && debian.contains("./link -> given/file"), "{debian}");
    assert!(!debian.contains(".stagger"), "nothing is left over: {debian}");
    for host in ["debian", "busybox", "other_user", "other_on_busybox"] {
        let base = if host.starts_with("other") { "srv/deputy" } else { "srv/root" };
        let fetched = bench.here.path().join("out").join(host).join(base).join("given/file");
        assert_eq!(std::fs::read_to_string(&fetched).unwrap_or_default(), "given\n", "{}", fetched.display());
    }
    for host in ["d1", "b1"] {
        let owners = bench.lab.run(host, "find /srv/deputy ! -user deputy; find /srv/root ! -user root");
        assert_eq!(owners, "", "owners are who did it on {host}");
    }

    let after = bench.digests();
    let (code, again) = bench.play("changes.yml", &["--diff"]);
    all(&again, &["ok"]);
    assert_eq!((code, bench.digests()), (0, after.clone()), "the second time changes nothing");

    let (code, looked) = bench.play("looks.yml", &[]);
    all(&looked, &["ok", "changed", "ignored"]);
    assert_eq!((code, bench.digests()), (0, after.clone()), "looking changes nothing");
    let (_, looked) = bench.play("looks.yml", &["--check"]);
    all(&looked, &["ok", "changed", "ignored"]);

    let (_, previewed) = bench.play("once.yml", &["--check"]);
    all(&previewed, &["changed", "unpredictable"]);
    assert_eq!(bench.digests(), after);
    assert_eq!(counts[1].load(Ordering::SeqCst), 0, "a preview sends nothing");
    for times in 1..=2 {
        let (code, acted) = bench.play("once.yml", &[]);
        all(&acted, &["changed", "ok"]);
        assert_eq!(code, 0);
        assert_eq!(counts[1].load(Ordering::SeqCst), FOLDERS.len() * times);
        let shell = bench.lab.run("b1", "cat /srv/root/by-raw /srv/root/by-shell-again /srv/root/by-script");
        let script = "with words\n".repeat(times);
        assert_eq!(shell, format!("{}{}{script}", "raw\n".repeat(times), "shell\n".repeat(times)));
    }
}

/// A playbook with a task for each case, each with its own folder of what is on a host beforehand; `cutting` also
/// plans the cuts, and says whether there is one channel a command: a persistent shell looks by itself, and its first command that
/// the cutting shell sees is the change.
fn cut_playbook<'a>(
    cases: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
    here: &str,
    below: &str,
    cutting: Option<bool>,
) -> String {
    let mut text = String::from("- hosts: debian:busybox\n  gather_facts: false\n  tasks:\n");
    for (name, how, task) in cases {
        let base = format!("/srv/{below}/{name}");
        if let Some(one_channel) = cutting {
            let how = if one_channel { how.to_owned() } else { how.replacen("2 ", "1 ", 1) };
            let _ = writeln!(text, "    - {{name: plan, copy: {{content: \"{how}\\n\", dest: /srv/cutting/plan}}}}");
        }
        let task = task.replace("BASE", &base).replace("HERE", here);
        let _ = writeln!(text, "    - name: {name}\n      {task}");
    }
    text
}

/// Both ways to run commands: in persistent shells, and on a channel each.
fn cut_and_compare(number: u32, one_channel: bool) {
    let bench = Bench::up(number);
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules_on_hosts");
    for folder in ["files", "templates"] {
        std::os::unix::fs::symlink(files.join(folder), bench.here.path().join(folder)).expect("a link");
    }
    let shell = std::fs::read_to_string(files.join("cutting.sh")).expect("the cutting shell");
    let names: Vec<&str> = CUTS.iter().map(|case| case.0).chain(NEVER_AGAIN.iter().map(|case| case.0)).collect();
    let names = names.join(" ");
    let daemon = "printf '#!/bin/sh\\necho done >>${0%%/*}/count\\nexec sleep 1000\\n' >daemon; chmod 755 daemon";
    for host in ["d1", "b1"] {
        let prepare = format!(
            "mkdir /srv/cutting; cat >/srv/cutting/sh <<'END'\n{shell}END\nchmod 755 /srv/cutting/sh\n\
             for where in cut whole; do for name in {names}; do set -- /srv/$where/$name; mkdir -p $1\n{PREPARE}\n{daemon}\n\
             done; done"
        );
        bench.lab.run(host, &prepare);
    }
    let here = bench.here.path().to_str().expect("a path");
    let write = |name: &str, text: String| {
        let path = bench.here.path().join(name);
        std::fs::write(&path, text).expect("a playbook");
        path.display().to_string()
    };
    let mut words = vec!["-D"];
    let cut = ["-e", "ansible_shell_executable=/srv/cutting/sh"];
    let cases = || CUTS.iter().map(|(name, how, task)| (*name, *how, *task));
    let whole = write("whole.yml", cut_playbook(cases(), here, "whole", None));
    let (code, ends) = bench.play(&whole, &words);
    all(&ends, &["changed"]);
    assert_eq!(code, 0);
    words.extend(cut);
    if one_channel {
        words.push(ONE_CHANNEL);
    }
    let playbook = write("cut.yml", cut_playbook(cases(), here, "cut", Some(one_channel)));
    let (code, ends) = bench.play(&playbook, &words);
    all(&ends, &["changed"]);
    assert_eq!(code, 0);
    for host in ["d1", "b1"] {
        let cuts = bench.lab.run(host, "wc -l </srv/cutting/cuts");
        assert_eq!(cuts.trim(), CUTS.len().to_string(), "{host}: every connection was cut where it was to be");
        let listing = |below: &str| bench.lab.run(host, &format!("set -- /srv/{below}; {LISTING}"));
        let (cut, whole) = (listing("cut"), listing("whole"));
        same(&cut, &whole, "with cuts it ends as without");
        for (name, ..) in CUTS.iter().filter(|case| case.0.starts_with("fetch")) {
            let host = if host == "d1" { "debian" } else { "busybox" };
            let file = bench.here.path().join(format!("fetched/{host}/srv/cut/{name}/large"));
            let large = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(large.len() == 300_000 && large.starts_with(b"fetched\nfetched\n"), "{name} on {host}");
            let folder = file.parent().expect("a folder");
            assert_eq!(
                std::fs::read_dir(folder).expect("a folder").count(),
                1,
                "nothing is left over: {name} on {host}"
            );
        }
        let late =
            bench.lab.run(host, "cat /srv/cutting/late 2>/dev/null; ps -ef 2>/dev/null | grep '[s]leep 4$' || :");
        assert_eq!(late, "", "{host}: a try that was cut off went on beside the next one");
    }
    let again = write("again.yml", cut_playbook(cases(), here, "cut", None));
    let (_, ends) = bench.play(&again, &["-D"]);
    all(&ends, &["ok"]);

    for (name, how, task, count) in NEVER_AGAIN {
        let playbook =
            write("never.yml", cut_playbook([(*name, *how, *task)].into_iter(), here, "cut", Some(one_channel)));
        let (code, ends) = bench.play(&playbook, &words);
        let begun = !(one_channel && how.ends_with("before"));
        assert_eq!(code, if begun { 4 } else { 0 }, "{name}: {ends:#?}");
        for ((task, host), (status, _, message)) in &ends {
            if task.starts_with(name) {
                assert_eq!(status, if begun { "unknown" } else { "changed" }, "{name} on {host}: {message}");
                assert!(!begun || message.contains("the connection broke while the command ran"), "{message}");
            }
        }
        for host in ["d1", "b1"] {
            let script = format!("[ ! -e /srv/cut/{name}/count ] || cat /srv/cut/{name}/count");
            let wanted = if begun { count } else { "done\n" };
            assert_eq!(bench.lab.run(host, &script), wanted, "{name} on {host} was done once");
        }
    }
}

#[test]
fn changes_over_connections_that_break_end_as_without_a_break() {
    cut_and_compare(14, false);
}

#[test]
fn changes_over_connections_that_break_end_as_without_a_break_with_one_channel_a_command() {
    cut_and_compare(15, true);
}
