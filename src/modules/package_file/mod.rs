//! `package_file`: a package file (.deb) pushed and verified early, and installed only while its services are stopped.
//!
//! Staging is that of `release`: below the root, by version, whole or not at all. Installing puts the new program in the place of the old
//! one, so it refuses while a service of the package runs, keeps the package's own scripts from starting any (policy-rc.d, for as long
//! as the install lives), and keeps configuration that was changed on the host.
//!
//! It can't know: of dependencies that are not installed (dpkg says which); of scripts that start a daemon past policy-rc.d, but for the
//! services that it is told of, which it looks at afterwards.

use super::{Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State, Step, release};
use crate::base::{Map, Output, Script, Value};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "package_file",
    aliases: &[],
    summary: "pushes a .deb, verified, and installs it only while its services are stopped, without starting any",
    options: &[
        Opt::new("name", OptKind::Text, "the package, as the file itself names it").required(),
        Opt::new("version", OptKind::Text, "its whole version, as the file itself has it").required(),
        Opt::new("src", OptKind::LocalPath, "the file on this machine; not needed where it is staged"),
        Opt::new("sha256", OptKind::Text, "what its SHA-256 must be, checked here before anything is sent"),
        Opt::new("state", OptKind::Choice(&["staged", "installed"]), "staged: there and verified; installed: in force")
            .default("staged"),
        Opt::new("services", OptKind::List, "services that run from it: it is installed only while they are stopped"),
        Opt::new("downgrade", OptKind::Bool, "whether it may take the place of a newer version").default("false"),
        Opt::new("root", OptKind::Path, "where files are kept on the host").default("/opt/stagger"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::Needs("sha256", "src"), Rule::When("state", "installed", &["services"])],
    check: Some(check),
    build,
};

/// What needs no host: the kind of the file.
fn check(arguments: &Arguments) -> Result<(), String> {
    match arguments.text("src").filter(|src| !src.contains("{{")) {
        Some(src) if src.ends_with(".rpm") => Err(format!(
            "`{src}` is an RPM: only .deb files are installed this way; use `command: rpm -U --noscripts …` and look at its scripts"
        )),
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct PackageFile {
    name: String,
    version: String,
    staged: Box<dyn State>,
    file: String,
    install: bool,
    services: Vec<String>,
    downgrade: bool,
    /// Where the file system of the packages begins; empty but in tests.
    prefix: String,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::State(Box::new(PackageFile::of(arguments, here)?)))
}

impl PackageFile {
    fn of(arguments: &Arguments, here: &dyn Controller) -> Result<Self, Failure> {
        check(arguments).map_err(Failure::new)?;
        let (name, version) = (arguments.required("name"), arguments.required("version"));
        let root = arguments.required("root");
        let folder = format!("{name}.package");
        // An epoch's colon is no part of a folder's name.
        let plain = version.replace(':', "~");
        let mut given = Map::new();
        for (key, value) in [
            ("name", Some(folder.clone())),
            ("version", Some(plain.clone())),
            ("src", arguments.text("src")),
            ("sha256", arguments.text("sha256")),
            ("root", Some(root.clone())),
            ("mode", Some("0644".to_owned())),
            ("unpack", Some("false".to_owned())),
        ] {
            given.extend(value.map(|value| (key.to_owned(), Value::from(value))));
        }
        let Bound::State(staged) = (release::SPEC.build)(&Arguments::check(&release::SPEC, given)?, here)? else {
            return Err(Failure::new("a release is no state"));
        };
        Ok(Self {
            file: format!("{}/{folder}/{plain}/{folder}", root.trim_end_matches('/')),
            name,
            version,
            staged,
            install: arguments.required("state") == "installed",
            services: arguments.list("services"),
            downgrade: arguments.flag("downgrade"),
            prefix: String::new(),
        })
    }

    fn script(&self, lines: &'static str) -> Script {
        Script::new()
            .set("name", &self.name)
            .set("version", &self.version)
            .set("file", &self.file)
            .set("prefix", &self.prefix)
            .set("inside", if self.install { "yes" } else { "" })
            .line(include_str!("running.sh"))
            .arguments(self.services.iter().map(String::as_str))
            .line(lines)
    }

    /// The step that installs it, `None` where it is installed.
    fn install(&self, said: &str) -> Result<Option<Step>, Failure> {
        let (name, version) = (&self.name, &self.version);
        let refuse = |why: String| Err(Failure::new(why));
        let line = |word: &str| said.lines().find_map(|line| line.strip_prefix(word));
        if line("W").is_some() {
            return refuse(format!("this host has no dpkg, which installs {name}"));
        }
        let installed = line("I ").and_then(|text| text.split_once('|'));
        if installed.is_some_and(|(status, now)| status.starts_with("ii") && now == version) {
            return Ok(None);
        }
        if let Some(fields) = line("F ").map(|text| text.split('|').collect::<Vec<_>>())
            && let [package, of, machine, host] = fields.as_slice()
        {
            if package.is_empty() {
                return refuse(format!("what is staged as {name} {version} is no .deb file"));
            }
            if package != name || of != version {
                return refuse(format!(
                    "what is staged as {name} {version} is {package} {of}: write name and version as the file has them"
                ));
            }
            if machine != &"all" && machine != host {
                return refuse(format!("{name} {version} is built for {machine}, and this host is {host}"));
            }
        }
        let now = installed.map(|(_, now)| now);
        if line("O").is_some() && !self.downgrade {
            return refuse(format!(
                "{name} {} is installed, which is newer than {version}: with `downgrade: true` it may be replaced",
                now.unwrap_or_default()
            ));
        }
        let running: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("R ")).collect();
        if !running.is_empty() {
            return refuse(format!(
                "{} {}: stop it first, a package is installed only while its services are stopped",
                running.join(" and "),
                if running.len() == 1 { "runs" } else { "run" }
            ));
        }
        let over = now.map_or_else(String::new, |now| format!(" over {now}"));
        let summary = format!("install {name} {version}{over}, and start nothing");
        Ok(Some(Step::script(summary, self.script(include_str!("install.sh"))).by_command(["dpkg", "-i", &self.file])))
    }
}

/// Stands between the two parts of the look.
const MARK: &str = "=== next part of the look\n";

impl State for PackageFile {
    fn probe(&self) -> Script {
        Script::new()
            .line("(")
            .then(&self.staged.probe())
            .line(")")
            .line("echo '=== next part of the look'")
            .then(&self.script(include_str!("probe.sh")))
    }

    fn leaves(&self, seen: &Output, change: &Change) -> Vec<(String, Option<Output>)> {
        let mut left = vec![(self.subject(), None)];
        if let Some((first, _)) = seen.out().split_once(MARK) {
            let part = Output { stdout: first.as_bytes().to_vec(), ..Output::default() };
            left.extend(self.staged.leaves(&part, change));
        }
        left
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let text = seen.out();
        let Some((first, said)) = text.split_once(MARK).filter(|(_, said)| said.ends_with("Z\n")) else {
            return Err(Failure::new(format!("the look at the host was cut off (status {})", seen.status)));
        };
        let mut change = self.staged.steps(&Output { stdout: first.as_bytes().to_vec(), ..Output::default() })?;
        for key in ["active", "previous", "links"] {
            change.result.shift_remove(key);
        }
        change.result.insert("name".to_owned(), self.name.clone().into());
        change.result.insert("version".to_owned(), self.version.clone().into());
        if self.install {
            change.steps.extend(self.install(said)?);
        }
        let now = said.lines().find_map(|line| line.strip_prefix("I ")?.split_once('|'));
        change.result.insert("installed".to_owned(), now.map_or(Value::Null, |(_, version)| version.into()));
        if self.install {
            change.result.insert("installed".to_owned(), self.version.clone().into());
        }
        Ok(change)
    }
}

#[cfg(test)]
mod tests;
