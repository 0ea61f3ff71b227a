//! The scripts of a release. Fixed text; what people wrote comes in as shell variables and parameters.

use std::sync::Arc;

use super::Release;
use super::source::Source;
use crate::base::{LocalFile, Script};

const PROBE: &str = include_str!("probe.sh");
const APPLY: &str = include_str!("apply.sh");

/// Asks for everything that is known of a release. It is the same for every `state`, so that a preview of a later task
/// can be judged by what an earlier one would leave.
pub(super) fn probe(release: &Release) -> Script {
    Script::new()
        .set("name", &release.name)
        .set("version", &release.version)
        .set("root", &release.root)
        .set("verify", if release.verify { "yes" } else { "no" })
        .arguments(release.links.iter().map(|(path, _)| path.as_str()))
        .line(PROBE)
}

fn apply(release: &Release, source: Option<&Source>) -> Script {
    let owner = match (&release.owner, &release.group) {
        (None, None) => String::new(),
        (owner, group) => {
            let group = group.as_ref().map(|group| format!(":{group}")).unwrap_or_default();
            format!("{}{group}", owner.as_deref().unwrap_or_default())
        }
    };
    Script::new()
        .set("name", &release.name)
        .set("version", &release.version)
        .set("root", &release.root)
        .set("mark", source.map(Source::mark).unwrap_or_default())
        .set("sha", source.map(|source| source.sha256.as_str()).unwrap_or_default())
        .set("size", &source.map(|source| source.size).unwrap_or_default().to_string())
        .set("kind", source.map(Source::kind).unwrap_or_default())
        .set("mode", &release.mode)
        .set("owner", &owner)
        .line(APPLY)
}

pub(super) fn stage_file(release: &Release, source: &Source, offset: u64) -> Script {
    apply(release, Some(source)).command(["stage_file", &offset.to_string()])
}

pub(super) fn stage_archive(release: &Release, source: &Source, offset: u64, letter: &str, strip: i64) -> Script {
    apply(release, Some(source)).command(["stage_archive", &offset.to_string(), letter, &strip.to_string()])
}

pub(super) fn stage_part(release: &Release, source: &Source, name: &str, size: u64, offset: u64) -> Script {
    apply(release, Some(source)).command(["stage_part", &offset.to_string(), name, &size.to_string()])
}

pub(super) fn stage_folder(
    release: &Release,
    source: &Source,
    files: &[(String, Arc<LocalFile>)],
    folders: &[String],
) -> Script {
    let mut words = vec!["stage_folder".to_owned()];
    for name in folders {
        words.extend(["folder".to_owned(), name.clone()]);
    }
    for (name, file) in files {
        words.extend([format!("{:04o}", file.mode), name.clone()]);
    }
    apply(release, Some(source)).command(words.iter().map(String::as_str))
}

pub(super) fn attributes(release: &Release, kind: &str) -> Script {
    apply(release, None).set("kind", kind).line("attributes")
}

pub(super) fn activate(release: &Release, pairs: &[(String, String)]) -> Script {
    apply(release, None).command(std::iter::once("activate").chain(words(pairs)))
}

pub(super) fn revert(release: &Release, pairs: &[(String, String)]) -> Script {
    apply(release, None).command(std::iter::once("revert").chain(words(pairs)))
}

pub(super) fn discard(release: &Release, versions: &[&str]) -> Script {
    apply(release, None).command(std::iter::once("discard").chain(versions.iter().copied()))
}

fn words(pairs: &[(String, String)]) -> impl Iterator<Item = &str> {
    pairs.iter().flat_map(|(path, other)| [path.as_str(), other.as_str()])
}
