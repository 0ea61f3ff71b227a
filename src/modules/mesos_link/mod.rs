//! `mesos_link`: the latest native library and jar for schedulers or executors, and a restart of those that use an old one.
//!
//! The library is a release of its own (`release`): beside the old one, put in force by a link, the old one kept as long as a process
//! maps it. Who uses an old one is read from the memory maps of the processes: where none does, nothing is restarted. Executors are
//! never restarted: they go on until their tasks end.
//!
//! It can't know what a scheduler is made of: what a hop asks of it (FrameworkInfo.checkpoint, Credential, reconcileTasks) must be
//! confirmed or declined in words. A program that was linked with the old library when it was built goes on using that after its
//! restart, and fails here.

mod seen;

use std::time::Duration;

use serde_json::json;

use super::mesos_look::enumerate;
use super::step::finish_by_status;
use super::{
    Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State, Step, release,
};
use crate::base::{Map, Output, Script, Value, to_text};
use crate::cluster::mesos::{Confirmation, Version, confirmations};
use crate::diag::did_you_mean;
use seen::{Kind, User};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_link",
    aliases: &[],
    summary: "Links the latest libmesos and jar, and restarts schedulers that have an old one in use",
    options: &[
        Opt::new("version", OptKind::Text, "the version of the library").required(),
        Opt::new("of", OptKind::Choice(&["schedulers", "executors"]), "who uses it; executors are never restarted")
            .default("schedulers"),
        Opt::new("src", OptKind::LocalPath, "the library on this machine; not needed where it is staged"),
        Opt::new("library", OptKind::Path, "the link that programs load").default("/usr/local/lib/libmesos.so"),
        Opt::new("jar_src", OptKind::LocalPath, "the jar on this machine"),
        Opt::new("jar", OptKind::Path, "the link to the jar on class paths; without it there is none"),
        Opt::new("root", OptKind::Path, "where versions are kept on the host").default("/opt/stagger"),
        Opt::new("restart", OptKind::Text, "what restarts the schedulers of this host, for a shell"),
        Opt::new("within", OptKind::Duration, "how long they may take to use the new library").default("60s"),
        Opt::new("confirm", OptKind::Mapping, "what this hop asks of a scheduler, true or false each"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::Needs("jar_src", "jar")],
    check: Some(check),
    build,
};

/// What needs no host: the version, and words under `confirm` that it does not ask for.
fn check(arguments: &Arguments) -> Result<(), String> {
    let Some(version) = arguments.text("version").filter(|text| !text.contains("{{")) else { return Ok(()) };
    let version = Version::parse(&version)?;
    let asked = confirmations(version);
    for word in arguments.mapping("confirm").keys() {
        if !asked.iter().any(|one| one.word == *word) {
            let words: Vec<&str> = asked.iter().map(|one| one.word).collect();
            let instead = match (did_you_mean(word, words.iter().copied()), words.as_slice()) {
                (Some(meant), _) => format!("did you mean `{meant}`?"),
                (None, []) => "nothing is to be confirmed for it".to_owned(),
                (None, words) => format!("it asks for {}", words.join(", ")),
            };
            return Err(format!("Mesos {version} asks for no confirmation of `{word}`: {instead}"));
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Link {
    executors: bool,
    /// The library's release, and the jar's.
    releases: Vec<Box<dyn State>>,
    /// The file that each puts in force, below the root.
    targets: Vec<String>,
    root: String,
    /// How the names of the library's files begin, and of the jar's.
    stem: String,
    jar: Option<String>,
    restart: Option<String>,
    within: Duration,
    declined: Vec<Confirmation>,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    check(arguments).map_err(Failure::new)?;
    let version = Version::parse(&arguments.required("version")).map_err(Failure::new)?;
    let executors = arguments.required("of") == "executors";
    if executors && arguments.has("restart") {
        return Err(Failure::new(
            "`restart` is for schedulers: executors go on with the old library until their tasks end, and new ones take the new",
        ));
    }
    let declined = if executors { Vec::new() } else { declined(version, &arguments.mapping("confirm"))? };
    let mut releases = Vec::new();
    let mut targets = Vec::new();
    let root = arguments.required("root");
    let stem = stem("library", &arguments.required("library"), ".so")?;
    let jar = arguments.text("jar").map(|link| self::stem("jar", &link, ".jar")).transpose()?;
    let jar_name = jar.as_ref().map(|jar| format!("{jar}-jar"));
    for (name, src, link, mode) in
        [(Some(&stem), "src", "library", "0755"), (jar_name.as_ref(), "jar_src", "jar", "0644")]
    {
        let (Some(name), Some(link)) = (name, arguments.text(link)) else { continue };
        let version = arguments.required("version");
        let mut given = Map::new();
        for (key, value) in [
            ("name", Some(name.clone())),
            ("version", Some(version.clone())),
            ("state", Some("active".to_owned())),
            ("src", arguments.text(src)),
            ("link", Some(link)),
            ("root", Some(root.clone())),
            ("mode", Some(mode.to_owned())),
            ("unpack", Some("false".to_owned())),
        ] {
            given.extend(value.map(|value| (key.to_owned(), Value::from(value))));
        }
        match (release::SPEC.build)(&Arguments::check(&release::SPEC, given)?, here)? {
            Bound::State(state) => releases.push(state),
            _ => return Err(Failure::new("a release is no state")),
        }
        targets.push(format!("{name}/{version}/{name}"));
    }
    Ok(Bound::State(Box::new(Link {
        executors,
        releases,
        targets,
        root,
        stem,
        jar,
        restart: arguments.text("restart").filter(|text| !text.trim().is_empty()),
        within: arguments.duration("within").unwrap_or(Duration::from_secs(60)),
        declined,
    })))
}

/// `libmesos` of `/usr/local/lib/libmesos.so` and of `libmesos-0.14.2.so`: how the names of all its versions begin.
fn stem(option: &str, link: &str, end: &str) -> Result<String, Failure> {
    let name = link.rsplit('/').next().unwrap_or_default();
    let before = name.split(end).next().unwrap_or_default();
    let stem = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches('-');
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.contains(end) && !stem.is_empty() && stem.chars().all(plain) {
        return Ok(stem.to_owned());
    }
    Err(Failure::new(format!("`{option}` is the path of a link whose name ends in `{end}`, not `{link}`")))
}

/// What is answered with no. Everything that the hop asks for must be answered.
fn declined(version: Version, answers: &Map) -> Result<Vec<Confirmation>, Failure> {
    let (mut open, mut wrong, mut declined) = (Vec::new(), Vec::new(), Vec::new());
    for one in confirmations(version) {
        match answers.get(one.word).map(super::to_bool) {
            None => open.push(format!("`{}` ({}; without it {})", one.word, one.what, one.without)),
            Some(Some(true)) => {}
            Some(Some(false)) => declined.push(one),
            Some(None) => wrong.push(format!(
                "`{}` is true or false, not `{}`",
                one.word,
                answers.get(one.word).map(to_text).unwrap_or_default()
            )),
        }
    }
    if !open.is_empty() {
        wrong.push(format!(
            "Mesos {version} asks something of schedulers that no host shows. Answer each under `confirm`, true when it is so and false \
             when you go without: {}",
            open.join(", ")
        ));
    }
    if wrong.is_empty() { Ok(declined) } else { Err(Failure::new(wrong.join("; "))) }
}

/// Stands between the parts of the look.
const MARK: &str = "=== next part of the look\n";

impl Link {
    /// The parts of what was seen: one for each release, then the processes.
    fn parts(&self, seen: &Output) -> Result<(Vec<Output>, String), Failure> {
        let text = seen.out();
        let mut parts: Vec<&str> = text.split(MARK).collect();
        let last = parts.pop().unwrap_or_default();
        if parts.len() != self.releases.len() || !last.ends_with("Z\n") {
            return Err(Failure::new(format!("the look at the host was cut off (status {})", seen.status)));
        }
        let output = |text: &&str| Output { stdout: text.as_bytes().to_vec(), ..Output::default() };
        Ok((parts.iter().map(output).collect(), last.to_owned()))
    }

    /// The new files, as a process's maps name them.
    fn files(&self, said: &str) -> Vec<String> {
        let root = said.lines().find_map(|line| line.strip_prefix("R ")).unwrap_or(&self.root);
        self.targets.iter().map(|target| format!("{root}/{target}")).collect()
    }

    fn restart(&self, command: &str, files: &[String]) -> Step {
        let script = seen::tell(Script::new(), &self.stem, self.jar.as_deref())
            .set("restart", command)
            .set("within", &self.within.as_secs().to_string())
            .set("targets", &files.join("\n"))
            .line(include_str!("restart.sh"));
        Step::script(format!("restart what uses the old library: {command}"), script).once().by_hand(command)
    }
}

impl State for Link {
    fn probe(&self) -> Script {
        let mut script = Script::new();
        for release in &self.releases {
            // Each in a shell of its own: they share names.
            script = script.line("(").then(&release.probe()).line(")").line("echo '=== next part of the look'");
        }
        seen::tell(script, &self.stem, self.jar.as_deref()).set("root", &self.root).line(
            r#"printf 'R %s\n' "$(readlink -f "$root" 2>/dev/null || printf %s "$root")"
[ "$(id -u)" = 0 ] || echo U
tell
echo Z"#,
        )
    }

    fn leaves(&self, seen: &Output, change: &Change) -> Vec<(String, Option<Output>)> {
        let mut left = vec![(self.subject(), None)];
        let Ok((parts, _)) = self.parts(seen) else { return left };
        for (release, part) in self.releases.iter().zip(&parts) {
            left.extend(release.leaves(part, change));
        }
        left
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let (parts, said) = self.parts(seen)?;
        let mut change = Change::default();
        for ((release, part), key) in self.releases.iter().zip(&parts).zip(["library", "jar"]) {
            let planned = release.steps(part)?;
            change.steps.extend(planned.steps);
            change.result.insert(key.to_owned(), planned.result.into());
        }
        let files = self.files(&said);
        let all = seen::read(&said);
        let old = |kind: Kind| -> Vec<&User> {
            all.iter().filter(|user| user.kind == kind && !files.contains(&user.path)).collect()
        };
        let (users, executors) = (old(Kind::User), old(Kind::Executor));
        let values = |users: &[&User]| Value::Array(users.iter().map(|user| user.value()).collect());
        let names = |users: &[&User]| enumerate(&users.iter().map(|user| user.text()).collect::<Vec<_>>(), 5);
        let mut warnings = Vec::new();
        let mut restarts = false;
        if !self.executors && !users.is_empty() {
            match &self.restart {
                Some(command) => {
                    change.steps.push(self.restart(command, &files));
                    restarts = true;
                }
                None => warnings
                    .push(format!("they go on with the old library until they are restarted: {}", names(&users))),
            }
        }
        if !executors.is_empty() {
            warnings.push(format!("executors go on with the old library until their tasks end: {}", names(&executors)));
        }
        if said.lines().any(|line| line == "U") {
            warnings.push("only processes of the login user were looked at: `become: true` looks at all".to_owned());
        }
        warnings.extend(self.declined.iter().map(|one| format!("`{}` is declined: {}", one.word, one.without)));
        change.result.insert("old".to_owned(), values(&users));
        change.result.insert("executors".to_owned(), values(&executors));
        change.result.insert("restart_needed".to_owned(), (!self.executors && !users.is_empty() && !restarts).into());
        change
            .result
            .insert("declined".to_owned(), json!(self.declined.iter().map(|one| one.word).collect::<Vec<_>>()));
        if !warnings.is_empty() {
            change.result.insert("warnings".to_owned(), warnings.into());
        }
        Ok(change)
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        finish_by_status(change, outputs)
    }
}

#[cfg(test)]
mod tests;
