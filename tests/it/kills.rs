//! The main job, killed with SIGKILL at random moments and taken up again each time: it ends as it would have ended undisturbed,
//! and no daemon is restarted twice for one step.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::mesos::{Cluster, PLAYBOOK, top};

/// Moments from a seed (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

fn journal(state: &Path) -> Option<PathBuf> {
    let run = fs::read_dir(state.join("runs")).ok()?.next()?.ok()?;
    Some(run.path().join("journal.jsonl"))
}

fn lines(state: &Path) -> u64 {
    let text = journal(state).and_then(|path| fs::read(path).ok()).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Starts it; kills it once the journal has `after` further lines. Gives the exit code when it ended before.
fn live(command: &mut Command, state: &Path, after: Option<u64>, log: &Path) -> Option<i32> {
    let out = fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
    let err = out.try_clone().expect("a log");
    let before = lines(state);
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("stagger starts");
    let deadline = Instant::now() + Duration::from_secs(400);
    loop {
        if let Some(status) = child.try_wait().expect("its end") {
            return Some(status.code().unwrap_or(-1));
        }
        if after.is_some_and(|after| lines(state) >= before + after) {
            child.kill().expect("it can be killed");
            child.wait().expect("its end");
            return None;
        }
        assert!(
            Instant::now() < deadline,
            "it neither ends nor goes on:\n{}",
            fs::read_to_string(log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn killed(number: u32, slaves: u32, kills: u64) {
    let cluster = Cluster::up(number, slaves);
    let folder = tempfile::tempdir().expect("a folder");
    let (state, log) = (folder.path().join("state"), folder.path().join("log"));
    fs::copy(top().join(PLAYBOOK), folder.path().join("upgrade.yml")).expect("the playbook");
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64 | 1;
    let seed = std::env::var("STAGGER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
    let mut chance = Chance(seed);
    let stagger = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stagger"));
        command.current_dir(folder.path()).env("HOME", folder.path()).args(words);
        command.args(["--output", "plain", "--state"]).arg(&state);
        command
    };
    let watch = cluster.watch();
    let inventory = cluster.lab.inventory().display().to_string();
    // An undisturbed run of this size writes some hundreds of lines.
    let mut ended =
        live(&mut stagger(&["run", "upgrade.yml", "-i", &inventory]), &state, Some(5 + chance.below(160)), &log);
    let mut done = 1;
    while ended.is_none() {
        let after = (done < kills).then(|| 1 + chance.below(900 / kills));
        done += 1;
        // Each process takes the place of one that is gone; a scheduler's restart that was in flight is done again.
        ended = live(&mut stagger(&["resume", "--redo-unknown"]), &state, after, &log);
    }
    let told = || format!("STAGGER_SEED={seed}\n{}", fs::read_to_string(&log).unwrap_or_default());
    assert_eq!(ended, Some(0), "{}", told());
    assert!(done > 1, "it was never killed: {}", told());
    let wrong = cluster.wrongs(true);
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", told());
    // As in an undisturbed run: slaves in steps 4 and 9, the lead changes in steps 1 and 8.
    let wrong = watch.end().wrongs(2, 2);
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", told());
}

#[test]
fn an_upgrade_that_is_killed_again_and_again_ends_as_it_would_have() {
    killed(141, 2, 3);
}

#[test]
fn an_upgrade_that_is_killed_twenty_times_ends_as_it_would_have() {
    if std::env::var_os("STAGGER_TEST_LONG").is_some() {
        killed(142, 4, 20);
    }
}
