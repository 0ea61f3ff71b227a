//! `elastic_wait`: a node that was started has joined with its new version, and (with `recovered`) every shard has its copies back.
//!
//! No answer is believed alone: the master has no pending task, counts all nodes, and says so twice in a row. A node that has ended is
//! not waited for: what it said is read from its output and its logs.

use std::time::Duration;

use super::elastic_look::{Ring, Seen, check_version, version_option, with_ring};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Script, Value, render_duration};
use crate::cluster::elastic::{Version, joined, recovered, why_it_ended};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "elastic_wait",
    aliases: &[],
    summary: "Waits until a started Elasticsearch node has joined, and until the cluster has recovered",
    options: with_ring![
        Opt::new("version", OptKind::Text, "the version that this host's node must have joined with").required(),
        Opt::new("recovered", OptKind::Bool, "whether every shard must have its copies back, too").default("false"),
        Opt::new("within", OptKind::Duration, "for how long").default("5m"),
        Opt::new("log", OptKind::List, "files with what the node says, besides the usual ones"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check_version),
    build,
};

#[derive(Debug)]
struct Wait {
    host: String,
    ring: Ring,
    to: Version,
    recovered: bool,
    within: Duration,
    logs: Vec<String>,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::Gate(Box::new(Wait {
        host: here.host().to_owned(),
        ring: Ring::of(arguments, here)?,
        to: version_option(arguments)?,
        recovered: arguments.flag("recovered"),
        within: arguments.duration("within").unwrap_or(Duration::from_secs(300)),
        logs: arguments.list("log"),
    })))
}

/// Looks without a process after which a node counts as ended: a launcher script is a shell for a moment.
const GONE: u64 = 3;

/// Whether an Elasticsearch runs here, and the end of what it said.
fn look(logs: &[String]) -> Script {
    Script::new()
        .arguments(logs.iter().map(String::as_str))
        .line(
            r#"for folder in /proc/[0-9]*; do
  words=$(tr '\0' ' ' 2>/dev/null <"$folder/cmdline") || continue
  case $words in
    *org.elasticsearch.bootstrap.Elasticsearch*|*org.elasticsearch.launcher.*|*org.elasticsearch.tools.launchers.*|*"/bin/elasticsearch "*)
      printf 'P %s\n' "${folder#/proc/}";;
  esac
done
now=$(date +%s)
for file in "$@" /var/log/elasticsearch/*.log; do
  [ -r "$file" ] || continue
  written=$(date -r "$file" +%s 2>/dev/null) || continue
  [ $((now - written)) -le 600 ] && tail -n 200 "$file" | grep -E 'ERROR|FATAL|Exception|xception:|WARN|check|VM|Java|plugin|fail' | tail -n 60 | cut -c 1-500 | sed 's/^/L /'
done
if command -v journalctl >/dev/null 2>&1; then
  journalctl -u elasticsearch -n 60 --since -600s --no-pager -o cat 2>/dev/null | cut -c 1-500 | sed 's/^/L /'
fi
printf 'Z\n'"#,
        )
}

/// Whether a process is there, and what was said; `None` when the look was cut off.
fn read_look(answer: Option<&Answer>) -> Option<(bool, String)> {
    let Some(Answer::Script(Ok(output))) = answer else { return None };
    let text = output.out();
    let lines = |mark: &str| text.lines().filter_map(|line| line.strip_prefix(mark)).collect::<Vec<_>>();
    text.lines().any(|line| line == "Z").then(|| (!lines("P ").is_empty(), lines("L ").join("\n")))
}

impl Wait {
    /// That this host's node ended, or runs what it must not: no use waiting.
    fn given_up(&self, answers: &[Answer], silent: u64) -> Option<Verdict> {
        if let Some(local) = self.ring.local(answers).filter(|local| local.version != self.to) {
            return Some(Verdict::Never(Failure::new(format!(
                "{} runs Elasticsearch {}, not {}: is the release in force that it is started from?",
                self.host, local.version, self.to
            ))));
        }
        let (runs, said) = read_look(answers.last()).filter(|_| silent >= GONE)?;
        if runs {
            return None;
        }
        let why = match why_it_ended(&said) {
            Some((line, meaning)) => format!("{meaning}; it said `{line}`"),
            None => "nothing that it said tells why: look at its log (`log` names more files)".to_owned(),
        };
        Some(Verdict::Never(
            Failure::new(format!("Elasticsearch does not run on {}: {why}", self.host)).with("said", said),
        ))
    }

    /// One good look: whether the cluster is yellow; `Err` says what is missing.
    fn good(&self, seen: &Seen) -> Result<bool, String> {
        let node = seen.own.as_deref().ok_or("which node is this host's can't be told: name it with `node`")?;
        joined(&seen.cluster(), node, self.to, self.ring.members.len())?;
        if self.recovered { recovered(&seen.cluster(), self.to) } else { Ok(false) }
    }
}

impl Gate for Wait {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        // The look at the host comes last, and only where its node does not answer.
        let next = self.ring.questions(answers);
        let looked = matches!(answers.last(), Some(Answer::Script(_)));
        if next.is_empty() && !looked && !answers.is_empty() && self.ring.local(answers).is_none() {
            return vec![Question::Script(look(&self.logs))];
        }
        if looked { Vec::new() } else { next }
    }

    fn judge(&self, answers: &[Answer], memory: &mut Value, _elapsed: Duration) -> Verdict {
        let count = |key: &str| memory.get(key).and_then(Value::as_u64).unwrap_or(0);
        let (good, silent) = (count("good"), count("silent"));
        let gone = read_look(answers.last()).is_some_and(|(runs, _)| !runs);
        let silent = if gone { silent + 1 } else { 0 };
        *memory = serde_json::json!({"silent": silent});
        if let Some(verdict) = self.given_up(answers, silent) {
            return verdict;
        }
        let seen = match self.ring.seen(answers) {
            Ok(seen) => seen,
            Err(why) => return Verdict::NotYet(why),
        };
        let yellow = match self.good(&seen) {
            Ok(yellow) => yellow,
            Err(why) => return Verdict::NotYet(why),
        };
        if good == 0 {
            *memory = serde_json::json!({"good": 1});
            let what = if self.recovered { "the cluster has recovered" } else { "the node is back" };
            return Verdict::NotYet(format!("{what}: looking once more"));
        }
        let mut result = Map::new();
        result.insert("node".to_owned(), seen.own.clone().map_or(Value::Null, Value::from));
        result.insert("status".to_owned(), seen.health.status.word().into());
        if yellow {
            let waiting: Vec<String> = seen
                .copies
                .iter()
                .filter(|copy| !copy.works())
                .map(|copy| format!("{}[{}]", copy.index, copy.shard))
                .collect();
            let text = format!(
                "yellow: replicas that no upgraded node can take yet (decider node_version): {}",
                waiting.join(", ")
            );
            result.insert("warnings".to_owned(), vec![text].into());
        }
        Verdict::Ready(result)
    }

    fn expired(&self, why: &str, elapsed: Duration) -> Failure {
        let meant = if why.contains("has not joined") {
            ". An old version can't join once every other node is on the next major: its log says so"
        } else {
            ""
        };
        let waited = render_duration(elapsed);
        Failure::new(format!("{}: {why} (waited {waited}){meant}", self.host)).with("elapsed", elapsed.as_secs())
    }
}
