//! `mesos_authenticated`: every framework has authenticated, so that masters may refuse those that do not.
//!
//! No endpoint of 0.15 says it; the leading master's log does, and it counts only from the start of the process that leads. Without a
//! log that can be read there is no go, unless each framework is confirmed by its id. On a master that does not lead it looks whether
//! that one would let authenticated frameworks in, should it lead next.

use std::fmt::Write as _;
use std::time::Duration;

use super::mesos_look::{
    MASTERS, Masters, Process, ZK, ask_znodes, enumerate, look, read_local, read_znodes, zk_of, zk_option,
};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Script, Value};
use crate::cluster::mesos::{
    Authentication, Authentications, Daemon, MasterState, ZkUrl, agreed_leader, read_authentications,
};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_authenticated",
    aliases: &[],
    summary: "Waits until the leading master's log shows that every registered framework has authenticated",
    options: &[
        Opt::new(
            "confirmed",
            OptKind::List,
            "ids of frameworks of which you know by other means that they authenticate",
        ),
        Opt::new("log", OptKind::List, "files with what the master says, besides the usual ones"),
        Opt::new("within", OptKind::Duration, "for how long frameworks that come back are waited for").default("30s"),
        MASTERS,
        ZK,
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Authenticated {
    host: String,
    masters: Masters,
    zk: Option<ZkUrl>,
    confirmed: Vec<String>,
    logs: Vec<String>,
    within: Duration,
    at_work: Option<Vec<String>>,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::Gate(Box::new(Authenticated {
        host: here.host().to_owned(),
        masters: Masters::of(arguments, here)?,
        zk: zk_option(arguments)?,
        confirmed: arguments.list("confirmed"),
        logs: arguments.list("log"),
        within: arguments.duration("within").unwrap_or(Duration::from_secs(30)),
        at_work: here.variable("ansible_play_hosts_all").and_then(|value| serde_json::from_value(value).ok()),
    })))
}

/// Looks for what the process says about frameworks, in each place of its own: a line `S PLACE`, then its lines.
fn ask_log(process: Option<&Process>, logs: &[String], ids: &[&str]) -> Question {
    let flag = |name: &str| process.and_then(|process| process.flag(name)).unwrap_or_default();
    let mut files: Vec<&str> = logs.iter().map(String::as_str).collect();
    files.extend([
        "/var/log/mesos/mesos-master.log",
        "/var/log/mesos/mesos-master.err",
        "/var/log/mesos-master.log",
        "/var/log/upstart/mesos-master.log",
        "/var/log/syslog",
        "/var/log/messages",
    ]);
    // A rotation begins a new file of the same process; their names sort by time.
    Question::Script(
        Script::new()
            .set("dir", &flag("log_dir"))
            .set("pid", &process.map_or_else(String::new, |process| process.pid.to_string()))
            .set("ids", &ids.join("|"))
            .arguments(files)
            .line(
                r#"pick() { # of the leader's own start on; the first line is kept whatever follows
  tr -d '\000' | LC_ALL=C sed -nE "/(Master ID: |Master )($ids)( |\$)/,\$p" |
    LC_ALL=C grep -E 'Master ID: |] Master .* started on|Successfully authenticated |Failed to authenticate |egistering framework ' |
    cut -c 1-400 | sed 's/^/L /' | { IFS= read -r first && printf '%s\n' "$first"; tail -n 4000; }
}
[ -n "$ids" ] || { echo Z; exit 0; }
for folder in "$dir" /var/log/mesos; do
  [ -n "$folder" ] || continue
  set -- "$@" "$folder/mesos-master.INFO"
  for file in "$folder"/mesos-master.*.INFO.*."$pid"; do
    [ -r "$file" ] || continue
    printf 'S %s\n' "$folder/mesos-master.*.INFO.*.$pid"
    cat "$folder"/mesos-master.*.INFO.*."$pid" | pick
    break
  done
done
for file in "$@"; do
  [ -f "$file" ] || continue
  if [ -r "$file" ]; then printf 'S %s\n' "$file"; pick <"$file"; else printf 'U %s\n' "$file"; fi
done
if command -v journalctl >/dev/null 2>&1; then
  printf 'S the journal of mesos-master\n'
  journalctl -u mesos-master --no-pager -o cat 2>/dev/null | pick
fi
echo Z"#,
            ),
    )
}

/// What came of looking for the log: the proof, or why there is none.
fn read_log(answer: Option<&Answer>, id: &str) -> Result<(String, Authentications), String> {
    let output = match answer {
        Some(Answer::Script(Ok(output))) => output,
        Some(Answer::Script(Err(why))) => return Err(why.clone()),
        _ => return Err("was not asked".to_owned()),
    };
    let text = output.out();
    if text.lines().last() != Some("Z") {
        return Err(format!("the look at the log was cut off (status {})", output.status));
    }
    let mut places: Vec<(&str, String)> = Vec::new();
    let mut closed = Vec::new();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("S", place)) => places.push((place, String::new())),
            Some(("U", place)) => closed.push(place.to_owned()),
            Some(("L", said)) => {
                if let Some((_, log)) = places.last_mut() {
                    log.push_str(said);
                    log.push('\n');
                }
            }
            _ => {}
        }
    }
    for (place, log) in &places {
        if let Ok(found) = read_authentications(log, id) {
            return Ok(((*place).to_owned(), found));
        }
    }
    let looked: Vec<String> = places.iter().map(|(place, _)| (*place).to_owned()).collect();
    let mut why = match looked.is_empty() {
        true => "no log of the master is there".to_owned(),
        false => {
            format!("no log goes back to the start of the master that leads now; looked at {}", enumerate(&looked, 6))
        }
    };
    if !closed.is_empty() {
        let _ = write!(why, "; can't be read by the login user: {} (`become: true`)", enumerate(&closed, 6));
    }
    Err(why)
}

impl Authenticated {
    fn first_round(&self) -> usize {
        1 + self.masters.len()
    }

    fn url(&self, answers: &[Answer]) -> Option<ZkUrl> {
        self.zk.clone().or_else(|| read_local(answers.first()).ok().as_ref().and_then(zk_of))
    }

    /// Frameworks that are neither proven nor confirmed, each with why; and those that are proven.
    fn open(
        &self,
        leader: &MasterState,
        log: &Result<(String, Authentications), String>,
    ) -> (Vec<String>, Vec<String>) {
        let (mut open, mut proven) = (Vec::new(), Vec::new());
        for framework in &leader.frameworks {
            let name = format!("{} ({})", framework.id, framework.name);
            let why = match log.as_ref().map(|(_, found)| found.of(&framework.id)) {
                Ok(Authentication::Proven(_)) => {
                    proven.push(framework.id.clone());
                    continue;
                }
                _ if self.confirmed.contains(&framework.id) => continue,
                Ok(Authentication::Missing(pid)) => format!("{name} registered from {pid} without credentials"),
                Ok(Authentication::NotSaid) if !framework.active => {
                    format!("{name} is away, and has not authenticated")
                }
                Ok(Authentication::NotSaid) => format!("{name}: the log does not say that it registered"),
                Err(_) => name,
            };
            open.push(why);
        }
        (open, proven)
    }

    fn lead(&self, leader: &MasterState, log: &Result<(String, Authentications), String>) -> Verdict {
        let (open, proven) = self.open(leader, log);
        if !open.is_empty() {
            return match log {
                Ok((place, _)) => Verdict::NotYet(format!(
                    "{} of {} frameworks have not authenticated, by {place}: {}",
                    open.len(),
                    leader.frameworks.len(),
                    open.join("; ")
                )),
                Err(why) => Verdict::Never(Failure::new(format!(
                    "whether frameworks have authenticated is said by the log of {} alone, and {why}. Name it with `log`, or name under \
                     `confirmed` each framework that you know to authenticate: {}",
                    self.host,
                    enumerate(&open, 10)
                ))),
            };
        }
        let mut result = Map::new();
        let mut warnings = Vec::new();
        let strangers: Vec<String> =
            self.confirmed.iter().filter(|id| !leader.frameworks.iter().any(|one| one.id == **id)).cloned().collect();
        if !strangers.is_empty() {
            warnings.push(format!("confirmed, and not registered: {}", enumerate(&strangers, 5)));
        }
        if leader.frameworks.is_empty() {
            warnings.push("no framework is registered: those that come later must authenticate".to_owned());
        }
        let confirmed: Vec<String> =
            leader.frameworks.iter().map(|one| one.id.clone()).filter(|id| !proven.contains(id)).collect();
        result.insert("leader".to_owned(), true.into());
        result.insert("proven".to_owned(), proven.into());
        result.insert("confirmed".to_owned(), confirmed.into());
        result.insert("log".to_owned(), log.as_ref().map_or(Value::Null, |(place, _)| place.clone().into()));
        if !warnings.is_empty() {
            result.insert("warnings".to_owned(), warnings.into());
        }
        Verdict::Ready(result)
    }
}

impl Gate for Authenticated {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() {
            let mut round = vec![look(None, &[])];
            round.extend(self.masters.ask());
            return round;
        }
        if answers.len() != self.first_round() {
            return Vec::new();
        }
        let local = read_local(answers.first()).unwrap_or_default();
        let masters = self.masters.read(answers.get(1..).unwrap_or_default());
        let plain = |id: &&str| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let ids: Vec<&str> = masters
            .iter()
            .filter_map(|one| one.state.as_ref().ok())
            .map(|state| state.id.as_str())
            .filter(plain)
            .collect();
        let mut round = vec![ask_log(local.process(Daemon::Master), &self.logs, &ids)];
        round.extend(self.url(answers).map(|url| ask_znodes(&url, &self.host)));
        round
    }

    /// `memory`: the leader of the last look, when it held.
    fn judge(&self, answers: &[Answer], memory: &mut Value, _elapsed: Duration) -> Verdict {
        let last = std::mem::take(memory);
        let host = &self.host;
        let local = match read_local(answers.first()) {
            Ok(local) => local,
            Err(why) => return Verdict::NotYet(format!("{host} can't be looked at: {why}")),
        };
        let Some(process) = local.process(Daemon::Master) else {
            return Verdict::NotYet(format!("mesos-master does not run on {host}"));
        };
        if process.flag("credentials").is_none_or(|path| path.is_empty()) {
            return Verdict::Never(Failure::new(format!(
                "the master of {host} runs without `credentials`: it refuses every framework that authenticates. Give it the file and the flag, \
                 and restart it, before frameworks use them"
            )));
        }
        let masters = self.masters.read(answers.get(1..).unwrap_or_default());
        let znodes = self.url(answers).map(|_| read_znodes(answers.get(self.first_round() + 1)));
        let leader = match agreed_leader(&masters, znodes.as_ref()) {
            Ok(leader) => leader,
            Err(why) => return Verdict::NotYet(why),
        };
        let verdict = if leader.host == *host {
            self.lead(leader.state, &read_log(answers.get(self.first_round()), &leader.state.id))
        } else if self.at_work.as_ref().is_some_and(|hosts| !hosts.iter().any(|one| one == leader.host)) {
            Verdict::Never(Failure::new(format!(
                "the log of {}, which leads, is the only proof that frameworks authenticate, and it is not among the hosts of this play: let \
                 it take part",
                leader.host
            )))
        } else {
            let mut result = Map::new();
            result.insert("leader".to_owned(), false.into());
            result.insert("leader_host".to_owned(), leader.host.into());
            Verdict::Ready(result)
        };
        // Twice under the same leader: each host is looked at by itself, and a leader that changes in between must not be missed.
        match verdict {
            Verdict::Ready(_) if last.as_str() != Some(&leader.state.id) => {
                *memory = leader.state.id.clone().into();
                Verdict::NotYet(format!("{} leads: looking once more", leader.host))
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::{SHELLS, run_script};

    #[test]
    fn the_log_of_the_process_is_read_whole_over_its_rotations_on_every_shell() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &[u8]| std::fs::write(path(name), text).expect("written");
        write(
            "mesos-master.h.root.log.INFO.20131120-152717.42",
            b"I1 Master ID: 2026-m1-42\nI1 x] Successfully authenticated framework at s@h:1\n\xff\0 noise\n",
        );
        write("mesos-master.h.root.log.INFO.20131121-152717.42", b"I2 x] Re-registering framework F at s@h:1\n");
        write("mesos-master.INFO", b"I2 x] Re-registering framework F at s@h:1\n");
        write(
            "own",
            b"old\nI0 Master ID: 2025-m1-41\nI1 Master ID: 2026-m1-42\nI1 x] Registering framework G at s@h:2",
        );
        let mut process = Process::default();
        process.pid = 42;
        process.words = vec!["mesos-master".to_owned(), format!("--log_dir={}", folder.path().display())];
        for shell in SHELLS {
            let look = |process: Option<&Process>, logs: &[String]| {
                let Question::Script(script) = ask_log(process, logs, &["2026-m2-7", "2026-m1-42"]) else {
                    panic!("a script")
                };
                read_log(Some(&Answer::Script(Ok(run_script(shell, &script)))), "2026-m1-42")
            };
            let (place, found) = look(Some(&process), &[]).expect("proof");
            assert!(place.ends_with("/mesos-master.*.INFO.*.42"), "{place}");
            assert_eq!(found.of("F"), Authentication::Proven("s@h:1".to_owned()), "{shell:?}");
            let own = path("own").display().to_string();
            let (place, found) = look(None, std::slice::from_ref(&own)).expect("proof");
            assert_eq!((place, found.of("G")), (own, Authentication::Missing("s@h:2".to_owned())));
            let none = path("mesos-master.INFO").display().to_string();
            let why = look(None, std::slice::from_ref(&none)).expect_err("no start");
            assert!(why.contains(&none), "{why}");
        }
    }
}
