//! `release`: a program pushed, verified, staged by version beside the old one, and put in force by one rename of a link.
//!
//! Below `root` each release has a folder of its name, and there: `VERSION/` with what was pushed, `VERSION.release` (its
//! record: digest, size, kind; written last), `VERSION.sha256sums`, `VERSION@MARK.partial` (an upload that was cut),
//! `original-…/` (a plain file that a link replaced) and `links` (what was in force before). Staging never touches what is in
//! force: all hosts of a play can be staged before the first daemon is stopped.
//!
//! It can't know: of links that lead to a version and that it did not make, unless they are named in `link` or `links`. It
//! stops and starts nothing; a daemon that runs while its link is swapped goes on with the old program.

mod plan;
mod scripts;
mod seen;
mod source;

use super::{Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State, step};
use crate::base::{Map, Output, Script, to_text};
use seen::Seen;
use source::Source;

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "release",
    aliases: &[],
    summary: "pushes a version of a program, verified and beside the old one, and puts it in force by a link",
    options: &[
        Opt::new("name", OptKind::Text, "the program or daemon: one of its own for each link").required(),
        Opt::new("version", OptKind::Text, "the version").required(),
        Opt::new(
            "state",
            OptKind::Choice(&["staged", "active", "reverted", "absent"]),
            "staged: there and verified; active: in force as well; reverted: if this version is in force, what was before \
             it is again; absent: removed, unless something uses it",
        )
        .default("staged"),
        Opt::new("src", OptKind::LocalPath, "what is pushed: a file, a folder, or a tar archive that is unpacked there"),
        Opt::new("sha256", OptKind::Text, "what its SHA-256 must be, checked here before anything is sent"),
        Opt::new("root", OptKind::Path, "where versions are kept on the host").default("/opt/stagger"),
        Opt::new("link", OptKind::Path, "the path in force; by default where the program is found in the usual folders"),
        Opt::new("links", OptKind::Mapping, "several paths in force, each with the file inside the version"),
        Opt::new("unpack", OptKind::Bool, "whether an archive is unpacked; by default by the end of its name"),
        Opt::new("strip", OptKind::Int, "how many leading folders of the archive are left out").default("0"),
        Opt::new("mode", OptKind::Mode, "permission bits of a single file").default("0755"),
        Opt::new("owner", OptKind::Text, "who owns it"),
        Opt::new("group", OptKind::Text, "which group owns it"),
        Opt::new("keep", OptKind::Int, "remove older versions beyond so many; never what is linked, was, or is in use"),
        Opt::new("verify", OptKind::Bool, "also compare the checksums of what is staged already").default("false"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::AtMostOne(&["link", "links"]), Rule::Needs("sha256", "src")],
    check: None,
    build,
};

/// A release and what is wanted of it.
#[derive(Debug)]
struct Release {
    name: String,
    version: String,
    wanted: Wanted,
    source: Option<Source>,
    root: String,
    /// Paths in force, with the file below the version's folder when it was said.
    links: Vec<(String, Option<String>)>,
    mode: String,
    owner: Option<String>,
    group: Option<String>,
    keep: Option<usize>,
    verify: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Staged,
    Active,
    Reverted,
    Absent,
}

impl Release {
    fn base(&self) -> String {
        format!("{}/{}", self.root, self.name)
    }

    fn folder(&self) -> String {
        format!("{}/{}", self.base(), self.version)
    }
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let wanted = match arguments.required("state").as_str() {
        "active" => Wanted::Active,
        "reverted" => Wanted::Reverted,
        "absent" => Wanted::Absent,
        _ => Wanted::Staged,
    };
    let name = plain_name("name", arguments.required("name"))?;
    let version = plain_name("version", arguments.required("version"))?;
    let root = absolute("root", arguments.required("root").trim_end_matches('/').to_owned())?;
    let source = match (arguments.text("src"), wanted) {
        (Some(src), Wanted::Staged | Wanted::Active) => Some(source::load(arguments, &src, here)?),
        (Some(_), _) => return Err(Failure::new("`src` goes with `state: staged` and `active` only")),
        (None, _) => None,
    };
    let keep = match arguments.int("keep") {
        Some(count) => match usize::try_from(count) {
            Ok(count) if count > 0 => Some(count),
            _ => return Err(Failure::new("`keep` must be 1 or more: the version itself is always kept")),
        },
        None => None,
    };
    if arguments.int("strip").is_some_and(|strip| strip < 0) {
        return Err(Failure::new("`strip` can't be negative"));
    }
    if arguments.has("mode") && source.as_ref().is_some_and(|source| source.kind() == "tree") {
        return Err(Failure::new("`mode` is for a single file: folders and archives bring their own modes"));
    }
    Ok(Bound::State(Box::new(Release {
        name,
        version,
        wanted,
        source,
        root,
        links: links(arguments)?,
        mode: arguments.required("mode"),
        owner: arguments.text("owner"),
        group: arguments.text("group"),
        keep,
        verify: arguments.flag("verify"),
    })))
}

fn links(arguments: &Arguments) -> Result<Vec<(String, Option<String>)>, Failure> {
    if let Some(link) = arguments.text("link") {
        return Ok(vec![(absolute("link", link)?, None)]);
    }
    let mut links = Vec::new();
    for (path, file) in arguments.mapping("links") {
        let file = to_text(&file);
        let climbs = file.starts_with('/') || file.split('/').any(|part| part == "..") || file.contains(['\n', '\t']);
        if file.is_empty() || climbs {
            return Err(Failure::new(format!("`links`: `{file}` must be a path inside the release")));
        }
        links.push((absolute("links", path)?, Some(file)));
    }
    Ok(links)
}

fn absolute(option: &str, path: String) -> Result<String, Failure> {
    if path.len() > 1 && path.starts_with('/') && !path.contains(['\n', '\t']) {
        Ok(path)
    } else {
        Err(Failure::new(format!("`{option}` must be an absolute path, not `{path}`")))
    }
}

fn plain_name(option: &str, text: String) -> Result<String, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    if text.is_empty() || text.starts_with(['.', '-']) || !text.chars().all(plain) || text == "links" {
        return Err(Failure::new(format!("`{option}` must be of letters, digits and `._+~-`, not `{text}`")));
    }
    Ok(text)
}

impl State for Release {
    fn probe(&self) -> Script {
        scripts::probe(self)
    }

    /// Whether checksums are compared too changes nothing in what is seen after a step.
    fn subject(&self) -> String {
        let links: Vec<&str> = self.links.iter().map(|(path, _)| path.as_str()).collect();
        format!("release {} {} {} {}", self.root, self.name, self.version, links.join(" "))
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        Ok(plan::plan(self, &Seen::parse(&seen.out()))?.0)
    }

    fn expect(&self, seen: &Output, _change: &Change) -> Option<Output> {
        let (_, after) = plan::plan(self, &Seen::parse(&seen.out())).ok()?;
        Some(Output { stdout: after.render().into_bytes(), ..Output::default() })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let result = step::finish_by_status(change, outputs)?;
        let in_use = format!("kept {}: a process uses it", self.version);
        let kept = |applied: &Applied| matches!(applied, Applied::Output(output) if output.out().contains(&in_use));
        if self.wanted == Wanted::Absent && outputs.iter().any(kept) {
            return Err(Failure::new(format!(
                "{} {} can't be removed: a process uses it now",
                self.name, self.version
            )));
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests;
