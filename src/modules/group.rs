//! `group`: a group of the host, by `groupadd` and its kin, or by busybox's `addgroup` where only that is there.
//!
//! It can't know of a directory (LDAP) that has the group when the host has no `getent`.

use super::{
    Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State, Step, step,
};
use crate::base::{Map, Output, Script};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "group",
    aliases: &[],
    summary: "has a group on the host, or has it not",
    options: &[
        Opt::new("name", OptKind::Text, "the group").required(),
        Opt::new("state", OptKind::Choice(&["present", "absent"]), "whether it is to be there").default("present"),
        Opt::new("gid", OptKind::Int, "its number"),
        Opt::new("system", OptKind::Bool, "a new group gets a number of the system's").default("false"),
        Opt::new("non_unique", OptKind::Bool, "the number may be another group's too").default("false"),
        Opt::new("force", OptKind::Bool, "removes it although it is the main group of a user").default("false"),
        Opt::new("gid_min", OptKind::Int, "the lowest number that a new group may get"),
        Opt::new("gid_max", OptKind::Int, "the highest number that a new group may get"),
        Opt::refused("local", "the host's `groupadd` writes to its own files already"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::When("non_unique", "true", &["gid"])],
    check: None,
    build,
};

#[derive(Debug)]
struct Group {
    name: String,
    present: bool,
    gid: Option<i64>,
    system: bool,
    non_unique: bool,
    force: bool,
    range: [Option<i64>; 2],
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let name = arguments.required("name");
    if name.is_empty() || name.starts_with('-') || name.contains([':', '\n', '/', ',']) {
        return Err(Failure::new(format!("`{name}` can't be the name of a group")));
    }
    Ok(Bound::State(Box::new(Group {
        name,
        present: arguments.text("state").as_deref() != Some("absent"),
        gid: arguments.int("gid"),
        system: arguments.flag("system"),
        non_unique: arguments.flag("non_unique"),
        force: arguments.flag("force"),
        range: [arguments.int("gid_min"), arguments.int("gid_max")],
    })))
}

/// The programs are in `sbin`, which the path of an ordinary user need not have.
const TELL: &str = r#"PATH=$PATH:/usr/sbin:/sbin
tell() {
line=
if command -v getent >/dev/null 2>&1; then line=$(getent group "$name" 2>/dev/null) || :
else while IFS= read -r entry || [ -n "$entry" ]; do case $entry in "$name:"*) line=$entry; break;; esac; done </etc/group; fi
case $line in "$name:"*) rest=${line#*:*:}; echo "gid ${rest%%:*}";; esac
}"#;

const ASK: &str = r#"tell
for program in groupadd addgroup; do command -v "$program" >/dev/null 2>&1 && { echo "program $program"; break; }; done
echo end"#;

/// What the host said.
#[derive(Debug, Default)]
struct Seen {
    gid: Option<String>,
    program: Option<String>,
}

impl Seen {
    fn parse(output: &Output) -> Result<Self, Failure> {
        let mut seen = Self::default();
        let mut whole = false;
        for line in output.out().lines() {
            match line.split_once(' ') {
                Some(("gid", value)) => seen.gid = Some(value.to_owned()),
                Some(("program", value)) => seen.program = Some(value.to_owned()),
                _ => whole |= line == "end",
            }
        }
        if whole { Ok(seen) } else { Err(Failure::new("the host's answer is not whole").with("stderr", output.err())) }
    }
}

impl State for Group {
    fn probe(&self) -> Script {
        Script::new().set("name", &self.name).line(TELL).line(ASK)
    }

    fn subject(&self) -> String {
        format!("group {}", self.name)
    }

    fn expect(&self, seen: &Output, _change: &Change) -> Option<Output> {
        let seen = Seen::parse(seen).ok()?;
        let mut text = String::new();
        if self.present {
            // A number that the host chooses is not known before.
            let gid = self.gid.map(|gid| gid.to_string()).or(seen.gid)?;
            text = format!("gid {gid}\n");
        }
        let program = seen.program.map(|program| format!("program {program}\n")).unwrap_or_default();
        Some(Output { stdout: (text + &program + "end\n").into_bytes(), ..Output::default() })
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::parse(seen)?;
        let mut result = Map::new();
        result.insert("name".to_owned(), self.name.as_str().into());
        result.insert("state".to_owned(), if self.present { "present" } else { "absent" }.into());
        if self.present {
            result.insert("system".to_owned(), self.system.into());
            let gid = self.gid.or_else(|| seen.gid.as_ref()?.parse().ok());
            result.extend(gid.map(|gid| ("gid".to_owned(), gid.into())));
        }
        let gid = self.gid.map(|gid| gid.to_string());
        let summary = match (&seen.gid, self.present) {
            (None, true) => format!("create the group {}", self.name),
            (Some(_), false) => format!("remove the group {}", self.name),
            (Some(have), true) if gid.as_ref().is_some_and(|wanted| wanted != have) => {
                format!("change the group {}: gid {have} → {}", self.name, gid.as_deref().unwrap_or_default())
            }
            _ => return Ok(Change::none(result)),
        };
        let Some(program) = &seen.program else {
            return Err(Failure::new(
                "the host has neither `groupadd` (package passwd or shadow) nor busybox's `addgroup`",
            ));
        };
        let words = self.words(&seen, program == "groupadd", gid.as_deref())?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let script =
            Script::new().set("name", &self.name).line(TELL).line("set -e").command(words.iter().copied()).line("tell");
        Ok(Change { steps: vec![Step::script(summary, script).by_command(words)], result })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let mut result =
            step::finish_by_status(change, outputs).map_err(|failure| failure.with("name", self.name.as_str()))?;
        if let Some(Applied::Output(output)) = outputs.first()
            && let Some(gid) =
                output.out().lines().rev().find_map(|line| line.strip_prefix("gid ")?.parse::<i64>().ok())
        {
            result.insert("gid".to_owned(), gid.into());
        }
        Ok(result)
    }
}

impl Group {
    /// The command that does it.
    fn words(&self, seen: &Seen, shadow: bool, gid: Option<&str>) -> Result<Vec<String>, Failure> {
        let mut words: Vec<&str> = Vec::new();
        let range: Vec<String> = ["GID_MIN", "GID_MAX"]
            .iter()
            .zip(self.range)
            .filter_map(|(key, value)| Some(format!("{key}={}", value?)))
            .collect();
        if !shadow && (self.non_unique || self.force || !range.is_empty()) {
            return Err(Failure::new(
                "busybox's `addgroup` knows no `non_unique`, `force`, `gid_min` and `gid_max`: install the package shadow on the host",
            ));
        }
        match (seen.gid.is_some(), self.present, shadow) {
            (true, false, true) => words.extend(std::iter::once("groupdel").chain(self.force.then_some("-f"))),
            (true, false, false) => words.push("delgroup"),
            (true, true, false) => {
                return Err(Failure::new(
                    "busybox can't change the number of a group: install the package shadow on the host",
                ));
            }
            (there, _, shadow) => {
                words.push(match (there, shadow) {
                    (true, _) => "groupmod",
                    (false, true) => "groupadd",
                    (false, false) => "addgroup",
                });
                if self.system && !there {
                    words.push(if shadow { "-r" } else { "-S" });
                }
                if !there {
                    words.extend(range.iter().flat_map(|range| ["-K", range.as_str()]));
                }
                words.extend(gid.iter().flat_map(|gid| ["-g", gid]));
                if self.non_unique {
                    words.push("-o");
                }
            }
        }
        words.push(&self.name);
        Ok(words.into_iter().map(str::to_owned).collect())
    }
}
