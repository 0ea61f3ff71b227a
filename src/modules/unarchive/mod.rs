//! `unarchive`: an archive of this machine, or one that lies on the host, unpacked on the host.
//!
//! What is in it is known before anything is changed: from the archive here, or from what the host's `tar` or `unzip` lists. A
//! member is as wanted when the host has it with the same size and time (files), target (links) or at all (directories).
//! What differs is unpacked into a folder beside, and renamed into place file by file: no file is ever half-written.
//!
//! An archive whose members would leave `dest` (`..`, absolute names, links that lead out, a path through a link of the archive
//! or of the host) is refused. It can't know whether a file of the same size and time has other contents.

mod listing;
mod scripts;
mod select;

use std::borrow::Cow;
use std::sync::Arc;

use super::archive::{Archive, Kind, Member};
use super::host_file::{
    CHANGE, Kind as Host, LOOK, Look, MAKE, Seen, Wanted, describe_entry, file_options, file_subject, finish_with_look,
};
use super::{
    Applied, Arguments, Bound, Change, Controller, Failure, Folder, ModuleSpec, Opt, OptKind, Rule, State, Step,
};
use crate::base::{Map, Output, Script, Value};
use listing::Listing;

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "unarchive",
    aliases: &[],
    summary: "unpacks an archive on the host",
    options: file_options![
        Opt::new("src", OptKind::LocalPath, "the archive: tar, tar.gz, tar.bz2, tar.xz, tar.zst or zip").required(),
        Opt::new("dest", OptKind::Path, "the directory, which must be there").required(),
        Opt::new("remote_src", OptKind::Bool, "`src` lies on the host").default("false"),
        Opt::new("copy", OptKind::Bool, "the opposite of `remote_src`, as it was written once"),
        Opt::new("creates", OptKind::Path, "does nothing when this path is there"),
        Opt::new("exclude", OptKind::List, "members to leave out; globs"),
        Opt::new("include", OptKind::List, "only these members; globs"),
        Opt::new("extra_opts", OptKind::List, "further words for tar"),
        Opt::new("keep_newer", OptKind::Bool, "leaves files that are newer on the host").default("false"),
        Opt::new("decrypt", OptKind::Choice(&["true", "yes", "True"]), "a vaulted archive is decrypted")
            .default("true"),
        Opt::new("list_files", OptKind::Bool, "gives the names in the result").default("false"),
        Opt::refused("io_buffer_size", "it has no meaning here"),
        Opt::refused("validate_certs", "the archive is no URL"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::AtMostOne(&["include", "exclude"]), Rule::AtMostOne(&["remote_src", "copy"])],
    check: None,
    build,
};

/// Where the archive is.
#[derive(Debug)]
enum Source {
    /// Here: it is sent.
    Here(Arc<Archive>),
    /// On the host, under `src`.
    Host,
}

#[derive(Debug)]
struct Unarchive {
    source: String,
    archive: Source,
    /// The members to unpack, where they are known beforehand.
    members: Vec<Member>,
    dest: String,
    creates: Option<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    extra: Vec<String>,
    strip: usize,
    keep_newer: bool,
    list: bool,
    wanted: Wanted,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let written = arguments.required("src");
    let extra = arguments.list("extra_opts");
    let strip = select::strip_count(&extra)?;
    let on_host = arguments.flag("remote_src") || (arguments.has("copy") && !arguments.flag("copy"));
    if written.contains("://") {
        return Err(Failure::new(format!("`src: {written}`: an archive is not fetched from a URL; fetch it first")));
    }
    let (source, archive) = if on_host {
        (written, Source::Host)
    } else {
        let path = here.find(Folder::Files, &written)?;
        (path.display().to_string(), Source::Here(here.archive(&path)?))
    };
    let mut state = Unarchive {
        source,
        archive,
        members: Vec::new(),
        dest: arguments.required("dest"),
        creates: arguments.text("creates"),
        include: arguments.list("include"),
        exclude: arguments.list("exclude"),
        strip,
        extra,
        keep_newer: arguments.flag("keep_newer"),
        list: arguments.flag("list_files"),
        wanted: Wanted::of(arguments),
    };
    if let Source::Here(archive) = &state.archive {
        state.refuse_options(archive.format.handler() == "ZipArchive")?;
        state.members = state.selected(&archive.members)?;
    }
    Ok(Bound::State(Box::new(state)))
}

/// What an archive on the host is, as the host says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    zip: bool,
    /// Whether the times of members are known to the minute only.
    minutes: bool,
    handler: &'static str,
}

impl State for Unarchive {
    fn probe(&self) -> Script {
        let script = Script::new()
            .line(LOOK)
            .set("dest", &self.dest)
            .set("creates", self.creates.as_deref().unwrap_or(""))
            .set("source", &self.source)
            .set("strip", &self.strip.to_string());
        let mut script = self.wanted.ask(script).line(scripts::ASK);
        match &self.archive {
            Source::Host => script = script.line(scripts::KIND).line(scripts::LIST),
            Source::Here(_) => {
                for member in &self.members {
                    script = script.command(["member", &member.name]);
                }
            }
        }
        script.line("look dest \"$root\" -L || :").line("echo end")
    }

    fn keep(&self) -> usize {
        16 << 20
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::parse(seen)?;
        let root = seen.get("root").ok_or_else(|| Failure::new("the host's answer is not whole"))?;
        let mut result = Map::new();
        result.insert("dest".to_owned(), root.into());
        result.insert("src".to_owned(), self.source.clone().into());
        if let Some(path) = seen.get("created") {
            result.insert("msg".to_owned(), format!("skipped, since {path} exists").into());
            return Ok(Change::none(result));
        }
        let (members, told) = self.on_host(&seen)?;
        if let Some(link) = seen.get("linked") {
            return Err(Failure::new(format!(
                "{root}/{link} is a link on the host: what the archive has below it would land where that leads. Remove the \
                 link, or leave it out with `exclude`"
            )));
        }
        result.insert("handler".to_owned(), told.handler.into());
        if let Some(entry) = seen.look("dest")?.entry() {
            describe_entry(entry, &mut result);
        }
        if self.list {
            let names = members.iter().map(|member| match member.kind {
                Kind::Directory => Value::from(format!("{}/", member.name)),
                _ => Value::from(member.name.as_str()),
            });
            result.insert("files".to_owned(), names.collect());
        }
        let mut missing = Vec::new();
        let mut attributes = Vec::new();
        for member in members.iter() {
            let look = seen.look(&format!("m {}", member.name))?;
            let differs = self.differs(member, &look, told);
            if differs && member.kind == Kind::Directory && look.entry().is_some() {
                return Err(Failure::new(format!("{root}/{} is in the way: it is no directory", member.name)));
            }
            if differs {
                missing.push(member);
            }
            let directory = member.kind == Kind::Directory;
            let link = matches!(member.kind, Kind::Link(_)) || look.is(Host::Link);
            if !self.wanted.is_empty() && !link {
                let settled =
                    self.wanted.settle(&seen, look.entry(), directory, if directory { 0o777 } else { 0o666 })?;
                if !settled.differences.is_empty() || differs {
                    attributes.push((format!("{}/{}", root.trim_end_matches('/'), member.name), settled));
                }
            }
        }
        let mut steps = Vec::new();
        if !missing.is_empty() {
            let mut script = self.unpack(root, &missing, told, &seen);
            for (path, settled) in &attributes {
                script = script
                    .set("path", path)
                    .set("owner", settled.owner.as_deref().unwrap_or(""))
                    .set("group", settled.group.as_deref().unwrap_or(""))
                    .set("bits", self.wanted.mode.as_deref().unwrap_or(""))
                    .line(CHANGE);
            }
            let script = script.line("look result \"$root\"").line("echo end");
            let summary =
                format!("unpack {} of {} members of {} into {root}", missing.len(), members.len(), self.source);
            steps.push(match &self.archive {
                Source::Here(archive) => Step::send(summary, script, archive.content.clone()),
                Source::Host => Step::script(summary, script),
            });
        } else {
            steps.extend(attributes.iter().filter_map(|(path, settled)| settled.step(path, false)));
        }
        Ok(Change { steps, result })
    }

    fn leaves(&self, seen: &Output, _change: &Change) -> Vec<(String, Option<Output>)> {
        let Ok(seen) = Seen::parse(seen) else { return vec![(self.subject(), None)] };
        let root = seen.get("root").unwrap_or(&self.dest).trim_end_matches('/');
        let members = self.on_host(&seen).map(|(members, _)| members).unwrap_or_default();
        let files = members.iter().filter(|member| member.kind != Kind::Directory);
        let files = files.map(|member| file_subject(&format!("{root}/{}", member.name)));
        std::iter::once(self.subject()).chain(files).map(|subject| (subject, None)).collect()
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        finish_with_look(change, outputs)
    }
}

impl Unarchive {
    /// What zip can't do.
    fn refuse_options(&self, zip: bool) -> Result<(), Failure> {
        if zip && !self.extra.is_empty() {
            return Err(Failure::new("`extra_opts` is for tar; zip archives take `include` and `exclude` only"));
        }
        Ok(())
    }

    fn selected(&self, members: &[Member]) -> Result<Vec<Member>, Failure> {
        let members = select::select(select::stripped(members, self.strip), &self.include, &self.exclude);
        select::refuse_escapes(&members).map_err(|reason| Failure::new(format!("{}: {reason}", self.source)))?;
        Ok(members)
    }

    /// The members to unpack, and how the archive is packed.
    fn on_host(&self, seen: &Seen) -> Result<(Cow<'_, [Member]>, Told), Failure> {
        if let Source::Here(archive) = &self.archive {
            let told = Told { zip: false, minutes: false, handler: archive.format.handler() };
            return Ok((Cow::Borrowed(&self.members), told));
        }
        let top = seen.top();
        let archive = top.get("archive").unwrap_or(&self.source);
        let fail = |reason: String| Err(Failure::new(reason));
        if top.get("none").is_some() {
            return fail(format!("Source '{archive}' does not exist"));
        }
        if top.get("unread").is_some() {
            return fail(format!("Source '{archive}' not readable, or no file"));
        }
        let kind = top.get("kind").unwrap_or_default();
        if let Some(program) = top.get("lacking") {
            return fail(format!(
                "the host has no `{program}`, which unpacks {archive} (a {kind} archive): install it there, or have the archive \
                 here (`remote_src: false`), then it is unpacked without"
            ));
        }
        if let Some(said) = top.get("damaged") {
            return fail(format!(
                "Failed to find handler for \"{archive}\": it can't be read on the host: {}",
                said.trim()
            ));
        }
        let zip = kind == "zip";
        self.refuse_options(zip)?;
        let lines = top.all("list");
        let listing = if zip { listing::of_zip(&lines) } else { listing::of_tar(&lines) };
        let Listing { members, minutes } = listing.map_err(Failure::new)?;
        let handler = match kind {
            "gzip" => "TgzArchive",
            "bzip2" => "TarBzipArchive",
            "xz" => "TarXzArchive",
            "zstd" => "TarZstdArchive",
            "zip" => "ZipArchive",
            _ => "TarArchive",
        };
        Ok((Cow::Owned(self.selected(&members)?), Told { zip, minutes, handler }))
    }

    fn differs(&self, member: &Member, look: &Look, told: Told) -> bool {
        let Look::There(entry) = look else { return true };
        // Times are whole seconds in an archive, and may be rounded on old file systems.
        let tolerance = if told.minutes { 60.0 } else { 1.0 };
        match &member.kind {
            Kind::Directory => entry.kind != Host::Directory,
            Kind::Link(target) => entry.target.as_ref() != Some(target),
            Kind::Hard(_) => entry.kind != Host::File,
            // `unzip` lists a link as a file as long as its target.
            Kind::File if told.zip && entry.kind == Host::Link => entry.size != member.size,
            Kind::File if entry.kind != Host::File => true,
            Kind::File if self.keep_newer && entry.mtime >= member.mtime as f64 => false,
            Kind::File => entry.size != member.size || (entry.mtime - member.mtime as f64).abs() >= tolerance,
        }
    }

    fn unpack(&self, root: &str, missing: &[&Member], told: Told, seen: &Seen) -> Script {
        let mut script = Script::new()
            .line(LOOK)
            .line(MAKE)
            .set("root", root)
            .arguments(self.extra.iter().map(String::as_str))
            .line(scripts::STAGE);
        script = match &self.archive {
            Source::Here(archive) => script
                .set("sha256", &archive.sha256)
                .set("how", if archive.zipped { "-xzf" } else { "-xf" })
                .line(scripts::RECEIVE),
            Source::Host => {
                let archive = seen.top().get("archive").unwrap_or(&self.source).to_owned();
                let script = script.set("archive", &archive).line(scripts::KIND).line(scripts::FROM_HOST);
                missing.iter().fold(script, |script, member| script.command(["inside", &member.name]))
            }
        };
        script = script.line(scripts::PLACE);
        for member in missing {
            let (folder, _) = member.name.rsplit_once('/').unwrap_or(("", &member.name));
            // `unzip` of busybox gives files the time at which they are unpacked.
            let time = if told.zip { at(member.mtime) } else { String::new() };
            script = match member.kind {
                Kind::Directory => script.command(["make", &format!("{}/{}", root.trim_end_matches('/'), member.name)]),
                _ => script.command(["place", folder, &member.name, &time]),
            };
        }
        script
    }
}

/// A time as `touch -d` takes it, in UTC.
fn at(seconds: u64) -> String {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests;
