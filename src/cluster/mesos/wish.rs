//! What flags are wanted, put into a host's files: an edit of a copy of them, in the convention that the host has.

use super::adopted::KNOBS;
use super::flag_table::Release;
use super::{Convention, Daemon, FlagType, Found, Host, Origin, Paths, Setting, Version};
use super::{deploy_script, flag, read_host, same_value, unknown_flag};
use crate::base::quote;

/// What is wanted. Names are lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    /// Flags that must have these values.
    pub(crate) set: Vec<(String, String)>,
    /// Flags that get these values where nothing gives them.
    pub(crate) missing: Vec<(String, String)>,
    /// Flags that must not be given.
    pub(crate) unset: Vec<String>,
    /// Flags that get another name and keep their value: old, new.
    pub(crate) rename: Vec<(String, String)>,
    /// Values that become others: flag, old value, new value.
    pub(crate) replace: Vec<(String, String, String)>,
}

/// Edits a copy of the host's files until they say what is wanted, and reads it again.
///
/// # Errors
/// The convention can't be told, the wishes contradict what is there, or a place can't be edited.
pub(crate) fn plan(
    daemon: Daemon,
    version: Version,
    release: Release,
    paths: &Paths,
    host: &Host,
    convention: Option<Convention>,
    wish: &Wish,
) -> Result<(Host, Found), String> {
    let found = read_host(daemon, version, paths, host, convention)?;
    let mut editor = Editor { daemon, version, release, paths, host: host.clone(), convention: found.convention };
    let left_out = editor.adopt(&found, wish)?;
    for (old, new) in &wish.rename {
        editor.rename(old, new)?;
    }
    for (name, old, new) in &wish.replace {
        let kind = editor.kind(name);
        let is_old =
            |s: &Setting| s.name == *name && s.value.as_deref().is_some_and(|value| same_value(kind, value, old));
        if editor.read()?.settings.iter().any(is_old) {
            editor.set(name, new)?;
        }
    }
    for name in &wish.unset {
        editor.remove_all(name)?;
    }
    for (name, value) in &wish.set {
        editor.set(name, value)?;
    }
    for (name, value) in &wish.missing {
        if !editor.read()?.settings.iter().any(|setting| editor.same_flag(&setting.name, name)) {
            editor.set(name, value)?;
        }
    }
    let found = Found { left_out, ..editor.read()? };
    Ok((editor.host, found))
}

struct Editor<'a> {
    daemon: Daemon,
    version: Version,
    release: Release,
    paths: &'a Paths,
    host: Host,
    convention: Convention,
}

impl Editor<'_> {
    fn read(&self) -> Result<Found, String> {
        read_host(self.daemon, self.version, self.paths, &self.host, Some(self.convention))
    }

    fn kind(&self, name: &str) -> FlagType {
        flag(self.daemon, self.release, name).map_or(FlagType::Text, |info| info.kind)
    }

    /// Whether two names are one flag in this release.
    fn same_flag(&self, one: &str, other: &str) -> bool {
        let canonical = |name: &str| flag(self.daemon, self.release, name).map(|info| info.name);
        one == other || (canonical(one).is_some() && canonical(one) == canonical(other))
    }

    /// Takes over what the target no longer reads: mesos.conf becomes the deploy scripts' environment file. It stays where it is: the
    /// release before reads it. Gives what was not taken over.
    fn adopt(&mut self, found: &Found, wish: &Wish) -> Result<Vec<String>, String> {
        if found.convention != Convention::ConfigFile || self.version < Version::new(0, 13, 0) {
            return Ok(Vec::new());
        }
        // Only 0.13.0 takes every variable MESOS_… for a flag, and its own script passes a flag that it dies on.
        let strict = self.version < Version::new(0, 14, 0);
        if strict {
            self.mend_starter()?;
        }
        self.convention = Convention::DeployEnvironment;
        if self.host.files.contains_key(&self.paths.deploy) {
            return Ok(Vec::new());
        }
        let (mut text, mut left_out) = (String::new(), Vec::new());
        for setting in found.settings.iter().filter(|setting| setting.origin != Origin::Supervisor) {
            let here = flag(self.daemon, self.release, &setting.name).is_some();
            // One mesos.conf serves both daemons: the other's keys are not this one's.
            let only_there = !here && flag(self.daemon.other(), self.release, &setting.name).is_some();
            let renamed = wish.rename.iter().any(|(old, _)| *old == setting.name);
            if setting.name == "conf" || only_there {
                continue;
            }
            if strict && !here && !renamed {
                let why = unknown_flag(self.daemon, self.release, &setting.name);
                left_out.push(format!("{why} ({}): not taken over into {}", setting.origin, self.paths.deploy));
                continue;
            }
            text.push_str(&assignment(&setting.name, setting.value.as_deref().unwrap_or_default(), ""));
        }
        self.host.files.insert(self.paths.deploy.clone(), text);
        Ok(left_out)
    }

    /// The script that starts the daemons no longer passes `--conf` to one that has an environment file.
    fn mend_starter(&mut self) -> Result<(), String> {
        let Some(text) = self.host.files.get(&self.paths.starter) else {
            return Err(format!(
                "{} {} reads neither {} nor {} by itself, and {}, which would read the second, is not there: start it in another way, \
                 with flag files or a defaults file",
                self.daemon.program(),
                self.version,
                self.paths.conf,
                self.paths.deploy,
                self.paths.starter
            ));
        };
        if let Some(mended) = deploy_script::mended(text, &self.paths.starter, &self.paths.deploy)? {
            let old = self.host.files.insert(self.paths.starter.clone(), mended).unwrap_or_default();
            self.host.files.entry(self.paths.old_starter()).or_insert(old);
        }
        Ok(())
    }

    fn rename(&mut self, old: &str, new: &str) -> Result<(), String> {
        let found = self.read()?;
        let Some(setting) = found.settings.iter().find(|s| s.name == old).cloned() else { return Ok(()) };
        let Some(value) = setting.value.clone() else {
            return Err(format!("`{old}` can't be renamed: only a shell knows its value ({})", setting.origin));
        };
        if let Some(other) = found.settings.iter().find(|s| s.name == new) {
            let kind = self.kind(new);
            if !other.value.as_deref().is_some_and(|there| same_value(kind, there, &value)) {
                return Err(format!(
                    "`{old}` can't be renamed to `{new}`, which is given already with another value ({} and {}): remove one",
                    setting.origin, other.origin
                ));
            }
            return self.remove_all(old);
        }
        match &setting.origin {
            Origin::Assignment { path, whole, variable, .. } if variable.starts_with("MESOS_") && !whole.is_empty() => {
                let line = assignment(new, &value, self.prefix(path));
                self.splice(path, whole.clone(), &line)
            }
            Origin::ConfLine { path, whole, .. } => {
                let line = format!("{new}={value}\n");
                self.splice(path, whole.clone(), &line)
            }
            _ => {
                self.remove_all(old)?;
                self.set(new, &value)
            }
        }
    }

    fn remove_all(&mut self, name: &str) -> Result<(), String> {
        // An edit moves what stands after it: read again after each.
        while let Some(setting) = self.read()?.settings.into_iter().find(|s| s.name == name) {
            self.remove(&setting)?;
        }
        Ok(())
    }

    fn remove(&mut self, setting: &Setting) -> Result<(), String> {
        match &setting.origin {
            Origin::FlagFile { path } | Origin::SwitchFile { path } => {
                self.host.files.remove(path);
                Ok(())
            }
            Origin::Folder { path } => {
                let prefix = format!("{path}/");
                self.host.files.retain(|file, _| !file.starts_with(&prefix));
                Ok(())
            }
            Origin::Assignment { whole, .. } if whole.is_empty() => Err(format!(
                "`{}` can't be taken out of a line with several assignments: {}",
                setting.name, setting.origin
            )),
            Origin::Assignment { path, whole, .. } | Origin::ConfLine { path, whole, .. } => {
                self.splice(path, whole.clone(), "")
            }
            Origin::Supervisor => Err(format!(
                "`{}` is on the supervisor's command line, which is not edited: take it out of the unit or script that starts {}",
                setting.name,
                self.daemon.program()
            )),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let kind = self.kind(name);
        let settings = self.read()?.settings;
        let named: Vec<&Setting> = settings.iter().filter(|s| self.same_flag(&s.name, name)).collect();
        let has = |s: &Setting| s.value.as_deref().is_some_and(|there| same_value(kind, there, value));
        // Given more than once is what the daemons die on: what is on the command line stays, the rest goes.
        let keep = named.iter().find(|s| has(s)).or_else(|| named.last()).copied().cloned();
        for extra in named.iter().filter(|s| Some(**s) != keep.as_ref()).map(|s| s.name.clone()).collect::<Vec<_>>() {
            if let Some(keep) = &keep {
                self.remove_others(&extra, keep)?;
            }
        }
        match keep {
            Some(keep) if has(&keep) => Ok(()),
            Some(keep) => self.change(&keep, name, value),
            None => self.add(name, value),
        }
    }

    /// Removes the settings of a name but the one that is kept.
    fn remove_others(&mut self, name: &str, keep: &Setting) -> Result<(), String> {
        let alike = |s: &Setting| s.channel == keep.channel && same_place(&s.origin, &keep.origin);
        while let Some(extra) = self.read()?.settings.into_iter().find(|s| s.name == name && !alike(s)) {
            self.remove(&extra)?;
        }
        Ok(())
    }

    fn change(&mut self, setting: &Setting, name: &str, value: &str) -> Result<(), String> {
        // What was removed before may have moved the place: find it again.
        let again = self
            .read()?
            .settings
            .into_iter()
            .find(|s| s.name == setting.name && same_place(&s.origin, &setting.origin));
        let setting = again.as_ref().unwrap_or(setting);
        match &setting.origin {
            Origin::FlagFile { path } => {
                self.host.files.insert(path.clone(), format!("{value}\n"));
                Ok(())
            }
            Origin::SwitchFile { .. } => {
                self.remove(setting)?;
                self.add(name, value)
            }
            Origin::Folder { path } => self.fill_folder(path, name, value),
            Origin::Assignment { through: Some(file), .. } => {
                self.host.files.insert(file.clone(), format!("{value}\n"));
                Ok(())
            }
            // Both daemons read the first defaults file: the daemon's own file, read after it, gets the new value.
            Origin::Assignment { path, variable, .. } if *path == self.paths.defaults[0] => {
                let line = format!("{variable}={}\n", quote(value));
                self.append(&self.paths.defaults[1].clone(), &line);
                Ok(())
            }
            Origin::Assignment { path, value: span, .. } => self.splice(path, span.clone(), &quote(value)),
            Origin::ConfLine { path, value: span, .. } => self.splice(path, span.clone(), value),
            Origin::Supervisor => self.remove(setting),
        }
    }

    fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        match self.convention {
            Convention::FlagFiles => {
                let folder = self.paths.folder.clone();
                self.host.folders.insert(folder.clone());
                self.host.files.insert(format!("{folder}/{name}"), format!("{value}\n"));
            }
            Convention::Defaults => {
                let path = self.paths.defaults[1].clone();
                let fits = |of: &Option<Daemon>| of.is_none_or(|of| of == self.daemon);
                // The wrapper's variable, where it has one, else the daemon's.
                let knob = KNOBS.iter().find(|(_, flag, of)| self.host.wrapper && *flag == name && fits(of));
                let line = match knob {
                    Some((variable, ..)) => format!("{variable}={}\n", quote(value)),
                    None => assignment(name, value, self.prefix(&path)),
                };
                self.append(&path, &line);
            }
            Convention::DeployEnvironment => {
                let path = self.paths.deploy.clone();
                let line = assignment(name, value, self.prefix(&path));
                self.append(&path, &line);
            }
            Convention::ConfigFile => {
                let path = self.paths.conf.clone();
                self.append(&path, &format!("{name}={value}\n"));
            }
        }
        Ok(())
    }

    /// `k:v;k:v` as a file for each key.
    fn fill_folder(&mut self, path: &str, name: &str, value: &str) -> Result<(), String> {
        let prefix = format!("{path}/");
        let mut files = Vec::new();
        for entry in value.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let pair = entry
                .split_once(':')
                .filter(|(key, _)| !key.is_empty() && !key.contains(['/', '\n']) && !key.starts_with('.'));
            let Some((key, value)) = pair else {
                return Err(format!(
                    "`{name}` is kept in {prefix} as a file for each key: write key:value;key:value, not `{entry}`"
                ));
            };
            files.push((format!("{prefix}{key}"), format!("{value}\n")));
        }
        self.host.files.retain(|file, _| !file.starts_with(&prefix));
        self.host.files.extend(files);
        Ok(())
    }

    /// How the variables of a file are written: `MESOS_log_dir` (as the shipped templates do) or `MESOS_LOG_DIR`.
    fn prefix(&self, path: &str) -> &'static str {
        let text = self.host.files.get(path).map(String::as_str).unwrap_or_default();
        let lower = text.split("MESOS_").skip(1).any(|after| after.starts_with(|c: char| c.is_ascii_lowercase()));
        let upper = text.split("MESOS_").skip(1).any(|after| after.starts_with(|c: char| c.is_ascii_uppercase()));
        if upper || (self.convention == Convention::Defaults && !lower) { "upper" } else { "" }
    }

    fn append(&mut self, path: &str, line: &str) {
        let text = self.host.files.entry(path.to_owned()).or_default();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(line);
    }

    fn splice(&mut self, path: &str, span: std::ops::Range<usize>, with: &str) -> Result<(), String> {
        let text = self.host.files.get_mut(path).ok_or_else(|| format!("{path} is not there"))?;
        if text.get(span.clone()).is_none() {
            return Err(format!("{path} could not be edited"));
        }
        text.replace_range(span, with);
        Ok(())
    }
}

fn assignment(name: &str, value: &str, case: &str) -> String {
    let name = if case == "upper" { name.to_ascii_uppercase() } else { name.to_owned() };
    format!("export MESOS_{name}={}\n", quote(value))
}

/// Whether two origins are one place, whatever edits have moved it.
fn same_place(one: &Origin, other: &Origin) -> bool {
    match (one, other) {
        (Origin::Assignment { path: a, variable: x, .. }, Origin::Assignment { path: b, variable: y, .. }) => {
            (a, x) == (b, y)
        }
        (Origin::ConfLine { path: a, .. }, Origin::ConfLine { path: b, .. }) => a == b,
        _ => one == other,
    }
}

/// A value of a playbook as a flag's text: booleans as the daemons write them.
pub(crate) fn flag_text(value: &str, kind: Option<FlagType>) -> String {
    match (kind, value) {
        (Some(FlagType::Bool), "True" | "yes" | "on") => "true".to_owned(),
        (Some(FlagType::Bool), "False" | "no" | "off") => "false".to_owned(),
        _ => value.to_owned(),
    }
}
