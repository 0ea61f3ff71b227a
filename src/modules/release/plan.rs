//! Wanted × seen → the steps of a release, and what the probe would say after them.

use super::scripts;
use super::seen::{Have, Link, Seen, There, is_below};
use super::source::{Form, Source};
use super::{Release, Wanted};
use crate::base::{Content, Map, Value};
use crate::modules::{Change, Diff, Failure, Step};

/// The steps, with the result, and what the probe would say after them.
pub(super) fn plan(release: &Release, seen: &Seen) -> Result<(Change, Seen), Failure> {
    let mut planned = Plan { release, after: seen.clone(), steps: Vec::new() };
    match release.wanted {
        Wanted::Staged => planned.stage()?,
        Wanted::Active => {
            planned.stage()?;
            planned.activate()?;
        }
        Wanted::Reverted => planned.revert()?,
        Wanted::Absent => planned.remove()?,
    }
    if matches!(release.wanted, Wanted::Staged | Wanted::Active) {
        planned.prune();
    }
    let result = planned.result();
    Ok((Change { steps: planned.steps, result }, planned.after))
}

struct Plan<'a> {
    release: &'a Release,
    /// What was seen, and then what is changed in it by the steps so far.
    after: Seen,
    steps: Vec<Step>,
}

impl Plan<'_> {
    /// What it is called in lines and messages.
    fn what(&self) -> String {
        format!("{} {}", self.release.name, self.release.version)
    }

    fn stage(&mut self) -> Result<(), Failure> {
        let release = self.release;
        let have = self.after.version(&release.version).cloned();
        let Some(source) = &release.source else {
            return match have {
                Some(have) if have.whole => {
                    self.attributes(&have);
                    Ok(())
                }
                Some(_) => Err(Failure::new(format!(
                    "{} is damaged: {} is not what was staged; stage it again, with `src`",
                    self.what(),
                    release.folder()
                ))),
                None => Err(Failure::new(format!(
                    "{} is not staged here: stage it first, with `src`{}",
                    self.what(),
                    self.others()
                ))),
            };
        };
        if let Some(have) = have {
            if have.sha256 == source.sha256 && have.whole {
                self.attributes(&have);
                return Ok(());
            }
            if have.used || self.after.in_force(&release.folder()) {
                let why = if have.whole { "is there with other content" } else { "is damaged" };
                return Err(Failure::new(format!(
                    "{} {why} (SHA-256 {} there, {} here) and can't be replaced: it is in force or a process uses it. \
                     Give the new content another version",
                    self.what(),
                    have.sha256,
                    source.sha256
                )));
            }
        }
        self.send(source)
    }

    /// Which versions there are, for a message.
    fn others(&self) -> String {
        let versions: Vec<&str> = self.after.have.iter().map(|have| have.version.as_str()).collect();
        if versions.is_empty() { String::new() } else { format!("; there are {}", versions.join(", ")) }
    }

    fn send(&mut self, source: &Source) -> Result<(), Failure> {
        let release = self.release;
        let there: u64 = match &source.form {
            Form::Folder { .. } => {
                self.after.parts.iter().filter(|(mark, ..)| mark == source.mark()).map(|(_, size, _)| size).sum()
            }
            _ => self.partial(source),
        };
        let needed = source.size.saturating_sub(there);
        if let Some(free) = self.after.free
            && free < needed.saturating_add(1 << 20)
        {
            return Err(Failure::new(format!(
                "no room for {}: {} are needed below {}, {} are free",
                self.what(),
                bytes(needed),
                release.root,
                bytes(free)
            )));
        }
        match &source.form {
            Form::File(file) | Form::Archive { file, .. } => {
                let offset = self.partial(source);
                let script = match &source.form {
                    Form::Archive { letter, strip, .. } => {
                        scripts::stage_archive(release, source, offset, letter, *strip)
                    }
                    _ => scripts::stage_file(release, source, offset),
                };
                let content = Content::File { file: file.clone(), offset };
                self.steps.push(Step::send(self.sending(source.size, offset), script, content));
            }
            Form::Folder { files, folders } => {
                for (name, file) in files {
                    let there = self.after.parts.iter().find(|(mark, _, path)| mark == source.mark() && path == name);
                    let offset = match there {
                        Some((_, size, _)) if *size == file.size => continue,
                        Some((_, size, _)) if *size < file.size => *size,
                        _ => 0,
                    };
                    let script = scripts::stage_part(release, source, name, file.size, offset);
                    let content = Content::File { file: file.clone(), offset };
                    let summary = format!("{}: {name}", self.sending(file.size, offset));
                    self.steps.push(Step::send(summary, script, content));
                }
                let script = scripts::stage_folder(release, source, files, folders);
                let sums = files.iter().map(|(name, file)| format!("{}  {name}\n", file.sha256)).collect::<String>();
                self.steps.push(Step::send(format!("check and stage {}", self.what()), script, Content::text(sums)));
            }
        }
        self.after.partial.clear();
        self.after.parts.clear();
        self.after.have.retain(|have| have.version != release.version);
        let owner = |text: &Option<String>| text.clone().unwrap_or_default();
        self.after.have.push(Have {
            version: release.version.clone(),
            // Later than every other.
            staged: u64::from(u32::MAX),
            sha256: source.sha256.clone(),
            size: source.size,
            kind: source.kind().to_owned(),
            whole: true,
            used: false,
            attributes: [
                release.mode.clone(),
                owner(&release.owner),
                owner(&release.group),
                String::new(),
                String::new(),
            ],
        });
        Ok(())
    }

    /// How much of the file is there from an upload that was cut.
    fn partial(&self, source: &Source) -> u64 {
        let there = self.after.partial.iter().find(|(mark, _)| mark == source.mark()).map_or(0, |(_, size)| *size);
        // When all of it is there, nothing is sent and only the check is made.
        if there > source.size { 0 } else { there }
    }

    fn sending(&self, size: u64, offset: u64) -> String {
        let size_now = bytes(size.saturating_sub(offset));
        match offset {
            0 => format!("send {} ({size_now})", self.what()),
            _ => format!("send the rest of {} ({size_now} of {})", self.what(), bytes(size)),
        }
    }

    /// Mode and owner of what is staged already.
    fn attributes(&mut self, have: &Have) {
        let release = self.release;
        let octal = |text: &str| u32::from_str_radix(text, 8).ok();
        let [mode, user, group, uid, gid] = &have.attributes;
        let mode_differs = have.kind == "file"
            && matches!((octal(mode), octal(&release.mode)), (Some(is), Some(wanted)) if is != wanted);
        let differs = |wanted: &Option<String>, name: &String, number: &String| {
            wanted.as_ref().is_some_and(|wanted| wanted != name && wanted != number)
        };
        if !mode_differs && !differs(&release.owner, user, uid) && !differs(&release.group, group, gid) {
            return;
        }
        let summary = format!("set mode and owner of {}", self.what());
        self.steps.push(Step::script(summary, scripts::attributes(release, &have.kind)));
        for known in self.after.have.iter_mut().filter(|known| known.version == release.version) {
            let [mode, user, group, ..] = &mut known.attributes;
            release.mode.clone_into(mode);
            if let Some(owner) = &release.owner {
                owner.clone_into(user);
            }
            if let Some(wanted) = &release.group {
                wanted.clone_into(group);
            }
        }
    }

    /// The links of this release, each with the file below the version's folder (`.` for the folder itself).
    fn links(&self, kind: &str) -> Result<Vec<(String, String)>, Failure> {
        let release = self.release;
        let inside = if kind == "file" { release.name.clone() } else { ".".to_owned() };
        if !release.links.is_empty() {
            return Ok(release
                .links
                .iter()
                .map(|(path, file)| (path.clone(), file.clone().unwrap_or_else(|| inside.clone())))
                .collect());
        }
        match &self.after.found {
            Some(path) if kind == "file" => Ok(vec![(path.clone(), inside)]),
            _ => Err(Failure::new(format!(
                "which path should lead to {}? {}; give `link` (or `links`)",
                self.what(),
                if kind == "file" { "no such program is in the usual folders" } else { "it is a folder" }
            ))),
        }
    }

    fn activate(&mut self) -> Result<(), Failure> {
        let release = self.release;
        let kind = self.after.version(&release.version).map(|have| have.kind.clone()).unwrap_or_default();
        let mut pairs = Vec::new();
        let (mut old, mut new) = (String::new(), String::new());
        for (path, inside) in self.links(&kind)? {
            let target = if inside == "." { release.folder() } else { format!("{}/{inside}", release.folder()) };
            let there = self.after.links.iter().find(|link| link.path == path).map(|link| link.there.clone());
            let before = match there.unwrap_or(There::Nothing) {
                There::Link(now) if now == target => continue,
                There::Link(now) => now,
                There::File(sha256) => format!(
                    "{}/original-{}/{}",
                    release.base(),
                    sha256.get(..12).unwrap_or_default(),
                    path.rsplit('/').next().unwrap_or_default()
                ),
                There::Nothing => String::new(),
                There::Folder => {
                    return Err(Failure::new(format!(
                        "{path} is a folder: move it away first, then a link to {target} can take its place"
                    )));
                }
            };
            describe(&mut old, &path, &before);
            describe(&mut new, &path, &target);
            self.after.relink(&path, &target, &before, &release.version);
            pairs.push((path, inside));
        }
        if !pairs.is_empty() {
            let paths: Vec<&str> = pairs.iter().map(|(path, _)| path.as_str()).collect();
            let summary = format!("put {} in force at {}", self.what(), paths.join(", "));
            self.steps.push(Step::script(summary, scripts::activate(release, &pairs)).diff(differs(release, old, new)));
        }
        Ok(())
    }

    fn revert(&mut self) -> Result<(), Failure> {
        let release = self.release;
        let folder = release.folder();
        let asked = |path: &str| release.links.is_empty() || release.links.iter().any(|(link, _)| link == path);
        let from: Vec<_> = self
            .after
            .before
            .iter()
            .filter(|known| asked(&known.path) && is_below(&known.now, &folder))
            .cloned()
            .collect();
        let (mut old, mut new) = (String::new(), String::new());
        let mut pairs = Vec::new();
        for known in from {
            if known.before.is_empty() || known.version != release.version {
                return Err(Failure::new(format!(
                    "there is no way back from {} at {}: nothing was in force there before it",
                    self.what(),
                    known.path
                )));
            }
            describe(&mut old, &known.path, &known.now);
            describe(&mut new, &known.path, &known.before);
            self.after.relink(&known.path, &known.before, &known.now, "-");
            pairs.push((known.path, known.before));
        }
        if !pairs.is_empty() {
            let targets: Vec<&str> = pairs.iter().map(|(_, target)| target.as_str()).collect();
            let summary = format!("put back what was in force before {}: {}", self.what(), targets.join(", "));
            self.steps.push(Step::script(summary, scripts::revert(release, &pairs)).diff(differs(release, old, new)));
        }
        Ok(())
    }

    fn remove(&mut self) -> Result<(), Failure> {
        let release = self.release;
        let Some(have) = self.after.version(&release.version) else { return Ok(()) };
        if have.used || self.after.in_force(&release.folder()) {
            let why = if have.used { "a process uses it" } else { "a link leads to it" };
            return Err(Failure::new(format!("{} can't be removed: {why}", self.what())));
        }
        let script = scripts::discard(release, &[release.version.as_str()]);
        self.steps.push(Step::script(format!("remove {}", self.what()), script));
        self.after.have.retain(|have| have.version != release.version);
        Ok(())
    }

    /// What is beyond the wanted number: never this version, what a link leads to or led to before, or a process uses.
    fn prune(&mut self) {
        let release = self.release;
        let Some(keep) = release.keep else { return };
        let mut sorted: Vec<Have> = self.after.have.clone();
        sorted.sort_by_key(|have| (have.version != release.version, std::cmp::Reverse(have.staged)));
        let held = |have: &Have| {
            let folder = format!("{}/{}", release.base(), have.version);
            let previous = self.after.before.iter().any(|known| is_below(&known.before, &folder));
            have.version == release.version || have.used || previous || self.after.in_force(&folder)
        };
        let old: Vec<String> =
            sorted.iter().skip(keep).filter(|have| !held(have)).map(|have| have.version.clone()).collect();
        if old.is_empty() {
            return;
        }
        let versions: Vec<&str> = old.iter().map(String::as_str).collect();
        let summary = format!("remove old releases of {}: {}", release.name, versions.join(", "));
        self.steps.push(Step::script(summary, scripts::discard(release, &versions)));
        self.after.have.retain(|have| !old.contains(&have.version));
    }

    fn result(&self) -> Map {
        let release = self.release;
        let after = &self.after;
        let have = after.version(&release.version);
        let folder = release.folder();
        let path = match have.map(|have| have.kind.as_str()) {
            Some("file") => format!("{folder}/{}", release.name),
            _ => folder.clone(),
        };
        let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
        let mut links = Map::new();
        for Link { path, there } in &after.links {
            if let There::Link(target) = there {
                links.insert(path.clone(), Value::from(target.clone()));
            }
        }
        for known in &after.before {
            links.entry(known.path.clone()).or_insert_with(|| text(&known.now));
        }
        let own = after.before.iter().find(|known| links.contains_key(&known.path));
        let mut result = Map::new();
        result.insert("name".to_owned(), Value::from(release.name.clone()));
        result.insert("version".to_owned(), Value::from(release.version.clone()));
        result.insert("path".to_owned(), Value::from(path));
        result.insert("sha256".to_owned(), text(have.map_or("", |have| have.sha256.as_str())));
        result.insert("staged".to_owned(), Value::Bool(have.is_some()));
        result.insert("active".to_owned(), Value::Bool(after.in_force(&folder)));
        result.insert("previous".to_owned(), text(own.map_or("", |known| known.before.as_str())));
        result.insert("links".to_owned(), Value::Object(links));
        result
    }
}

fn describe(text: &mut String, path: &str, target: &str) {
    let target = if target.is_empty() { "(nothing)" } else { target };
    text.push_str(&[path, " -> ", target, "\n"].concat());
}

fn differs(release: &Release, before: String, after: String) -> Diff {
    Diff { before_header: release.name.clone(), after_header: release.name.clone(), before, after }
}

/// A number of bytes for people.
fn bytes(count: u64) -> String {
    const UNITS: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => {
            let tenths = count.saturating_mul(10) / size;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{count} bytes"),
    }
}
