//! The scripts on this machine, by each shell, in a folder of their own.

use std::path::Path;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use super::*;
use crate::base::Content;
use crate::transport::fixture::{SHELLS, begin, end};

fn detached(text: &str) -> Detached {
    Detached {
        command: Command::new(Script::new().user_text(text)),
        shell: "/bin/sh".to_owned(),
        run: "7kq2".to_owned(),
        step: "0/1/2 web1".to_owned(),
        within: Duration::from_secs(60),
    }
}

fn started(detached: &Detached, shell: &[&str], roots: &Path, start: bool, wait: u64) -> std::process::Child {
    let script = detached.script(roots.to_str().unwrap(), start, Duration::from_secs(wait)).unwrap();
    begin(shell, &script)
}

fn found(child: std::process::Child) -> Found {
    let mut output = end(child);
    read(&mut output)
}

fn attach(detached: &Detached, shell: &[&str], roots: &Path, start: bool, wait: u64) -> Found {
    found(started(detached, shell, roots, start, wait))
}

fn finished(found: Found) -> (Output, bool) {
    match found {
        Found::Finished { output, late, times: (began, ended) } => {
            assert!(began > 1_600_000_000 && ended >= began);
            (output, late)
        }
        other => panic!("{other:?}"),
    }
}

fn folder(detached: &Detached, roots: &Path) -> std::path::PathBuf {
    let user = String::from_utf8(Process::new("id").arg("-u").output().unwrap().stdout).unwrap();
    roots.join(format!(".stagger-{}", user.trim())).join(detached.name())
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn it_runs_once_whoever_asks_and_its_end_is_told_to_all() {
    let umask = Process::new("sh").args(["-c", "umask"]).output().unwrap().stdout;
    let umask = String::from_utf8(umask).unwrap();
    for shell in SHELLS {
        let roots = tempfile::tempdir().unwrap();
        let note = roots.path().join("note");
        let text = format!(
            "umask >>{0}; printf '%s|' \"$stagger_s0$stagger_d\"; cat; printf err >&2; while [ -e {0}.wait ]; do sleep 0.1; done; exit 7",
            note.display()
        );
        let mut step = detached(&text);
        step.command.stdin = Some(Content::text("it's input\n"));
        std::fs::write(roots.path().join("note.wait"), "").unwrap();
        assert_eq!(attach(&step, shell, roots.path(), false, 0), Found::Absent, "{shell:?}");
        assert!(!note.exists());
        let racers: Vec<_> = (0..8).map(|_| started(&step, shell, roots.path(), true, 0)).collect();
        for racer in racers {
            assert!(matches!(found(racer), Found::Running { .. }), "{shell:?}");
        }
        std::fs::remove_file(roots.path().join("note.wait")).unwrap();
        for start in [true, false, true] {
            let (output, late) = finished(attach(&step, shell, roots.path(), start, 20));
            let said = (output.status, output.out(), output.err());
            assert_eq!(said, (7, "|it's input\n".to_owned(), "err".to_owned()), "{shell:?}");
            assert!(!late);
        }
        assert_eq!(std::fs::read_to_string(&note).unwrap(), umask, "{shell:?}: it ran once");
        let other = Detached { step: "another".to_owned(), ..step.clone() };
        assert_eq!(attach(&other, shell, roots.path(), false, 0), Found::Absent);
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(folder(&step, roots.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let script = step.folder(roots.path().to_str().unwrap()).line(CLEAN);
        assert!(Process::new(shell[0]).args(&shell[1..]).args(["-c", script.as_str()]).status().unwrap().success());
        assert!(!folder(&step, roots.path()).exists());
    }
}

#[test]
fn what_can_not_be_known_is_lost_and_never_failed() {
    for shell in SHELLS {
        let roots = tempfile::tempdir().unwrap();
        let step = detached("exec sleep 4321");
        assert!(matches!(attach(&step, shell, roots.path(), true, 0), Found::Running { .. }));
        let pid = folder(&step, roots.path()).join("pid");
        let facts = std::fs::read_to_string(&pid).unwrap();
        let words: Vec<&str> = facts.split_whitespace().collect();
        // Another start of the host, as the file would tell it.
        std::fs::write(&pid, facts.replace(words[2], "0000-another")).unwrap();
        assert_eq!(
            attach(&step, shell, roots.path(), true, 5),
            Found::Lost("the host was started anew while it ran".to_owned())
        );
        std::fs::write(&pid, &facts).unwrap();
        let kill = |group: &str| Process::new("kill").args(["-KILL", "--", group]).status().unwrap();
        // Without the supervisor it still runs.
        kill(words[3]);
        until("it is dead", || !Path::new(&format!("/proc/{}/cmdline", words[3])).exists() || zombie(words[3]));
        assert!(matches!(attach(&step, shell, roots.path(), true, 0), Found::Running { .. }), "{shell:?}");
        kill(&format!("-{}", words[0]));
        until("it is dead", || !Path::new(&format!("/proc/{}/cmdline", words[0])).exists() || zombie(words[0]));
        let lost = attach(&step, shell, roots.path(), true, 5);
        assert_eq!(lost, Found::Lost("it was killed together with what watched it".to_owned()), "{shell:?}");
    }
}

fn zombie(process: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|text| text.contains(") Z "))
}

#[test]
fn its_time_is_bounded_on_the_host_and_its_output_too() {
    for shell in SHELLS {
        let roots = tempfile::tempdir().unwrap();
        let mut step = detached("echo begun; (while :; do sleep 1; done) & sleep 4321");
        step.within = Duration::from_secs(1);
        let (output, late) = finished(attach(&step, shell, roots.path(), true, 20));
        assert_eq!((output.status, output.out(), late), (143, "begun\n".to_owned(), true), "{shell:?}");
        let mut step = detached("echo first; head -c 9000000 /dev/zero | tr '\\0' x; echo last; echo e >&2");
        step.step = "loud".to_owned();
        let (output, late) = finished(attach(&step, shell, roots.path(), true, 30));
        assert!(!late && output.out().starts_with("first\nxxx") && output.out().ends_with("xxxlast\n"), "{shell:?}");
        assert!(output.stdout.len() < 4_000_000, "{shell:?}: {}", output.stdout.len());
        assert_eq!(output.stdout.len() as u64 + output.stdout_cut, 9_000_011, "{shell:?}");
        assert_eq!(output.err(), "e\n");
        // A daemon that it leaves holds nobody up.
        let mut step = detached("sleep 30 & echo started");
        step.step = "daemon".to_owned();
        let began = Instant::now();
        assert_eq!(finished(attach(&step, shell, roots.path(), true, 20)).0.out(), "started\n");
        assert!(began.elapsed() < Duration::from_secs(6), "{shell:?}");
    }
}

#[test]
fn a_folder_that_others_prepared_is_refused() {
    let roots = tempfile::tempdir().unwrap();
    let step = detached("echo x");
    let base = folder(&step, roots.path()).parent().unwrap().to_owned();
    for shell in SHELLS {
        std::os::unix::fs::symlink("/etc", &base).unwrap();
        assert!(
            matches!(attach(&step, shell, roots.path(), true, 0), Found::Refused(why) if why.contains("not a folder of"))
        );
        std::fs::remove_file(&base).unwrap();
        std::fs::create_dir(&base).unwrap();
        std::os::unix::fs::chown(&base, Some(12345), None).unwrap();
        assert!(
            matches!(attach(&step, shell, roots.path(), true, 0), Found::Refused(why) if why.contains("not a folder of"))
        );
        std::fs::remove_dir(&base).unwrap();
        let nowhere = attach(&step, shell, Path::new("/proc/nowhere"), true, 0);
        assert!(matches!(nowhere, Found::Refused(why) if why.contains("no folder")));
    }
    assert!(!Path::new("/etc/7kq2").exists());
}

#[test]
fn a_time_limit_that_outlives_its_command_kills_no_stranger() {
    for shell in SHELLS {
        let roots = tempfile::tempdir().unwrap();
        let mut step = detached("exec sleep 4322");
        step.within = Duration::from_secs(4);
        assert!(matches!(attach(&step, shell, roots.path(), true, 0), Found::Running { .. }));
        let pid = folder(&step, roots.path()).join("pid");
        let facts = std::fs::read_to_string(&pid).unwrap();
        let words: Vec<&str> = facts.split_whitespace().collect();
        assert!(Process::new("kill").args(["-KILL", words[3]]).status().unwrap().success());
        until("it is dead", || !Path::new(&format!("/proc/{}/cmdline", words[3])).exists() || zombie(words[3]));
        // As if the number were another's by now: it began at another time.
        std::fs::write(&pid, facts.replacen(words[1], "7", 1)).unwrap();
        let watcher = |line: &str| line.contains("theirs") && line.contains(&*roots.path().to_string_lossy());
        let watched = || {
            std::fs::read_dir("/proc")
                .unwrap()
                .flatten()
                .any(|entry| std::fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|line| watcher(&line)))
        };
        assert!(watched(), "{shell:?}");
        until("the limit has passed", || !watched());
        let alive = Path::new(&format!("/proc/{}/cmdline", words[0])).exists() && !zombie(words[0]);
        let _ = Process::new("kill").args(["-KILL", words[0]]).status();
        assert!(alive, "{shell:?}: a stranger was killed");
    }
}
