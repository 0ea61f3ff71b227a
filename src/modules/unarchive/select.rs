//! Which members of an archive are unpacked, and which archives are refused.

use crate::modules::Failure;
use crate::modules::archive::{Kind, Member};
use crate::modules::setup::glob;

/// Refuses members that would land outside of the directory, and links that lead there.
///
/// # Errors
/// Which member, and what to do.
pub(super) fn refuse_escapes(members: &[Member]) -> Result<(), String> {
    let outside = |name: &str| name.starts_with('/') || name.split('/').any(|part| part == "..");
    for member in members {
        if member.name.contains(char::REPLACEMENT_CHARACTER) {
            return Err(format!("refusing the archive: the name of its member `{}` is not UTF-8", member.name));
        }
        if outside(&member.name) {
            return Err(format!("refusing the archive: its member `{}` would leave the directory", member.name));
        }
        match &member.kind {
            Kind::Hard(target) if outside(target) => {
                return Err(format!("refusing the archive: `{}` is a hard link to `{target}`, outside", member.name));
            }
            Kind::Link(target) if leads_out(&member.name, target) => {
                return Err(format!(
                    "refusing the archive: its link `{}` leads to `{target}`, outside of the directory (`exclude` leaves it out)",
                    member.name
                ));
            }
            _ => {}
        }
    }
    let links: std::collections::BTreeSet<&str> =
        members.iter().filter(|m| matches!(m.kind, Kind::Link(_))).map(|m| m.name.as_str()).collect();
    for member in members {
        let above = member.name.match_indices('/').filter_map(|(at, _)| member.name.get(..at));
        if let Some(link) = above.into_iter().find(|above| links.contains(above)) {
            return Err(format!("refusing the archive: `{}` goes through its own link `{link}`", member.name));
        }
    }
    Ok(())
}

/// Whether a link at this place below the directory points out of it.
fn leads_out(name: &str, target: &str) -> bool {
    if target.starts_with('/') {
        return true;
    }
    let mut depth = name.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

/// How many parts `--strip-components` takes off; other options that rename are refused.
///
/// # Errors
/// What can't be foreseen.
pub(super) fn strip_count(extra: &[String]) -> Result<usize, Failure> {
    let mut count = 0;
    let mut words = extra.iter();
    while let Some(word) = words.next() {
        let renames = ["--transform", "--xform", "--directory", "--one-top-level", "--to-command", "--to-stdout"];
        if renames.iter().any(|option| word.starts_with(option)) || matches!(word.as_str(), "-C" | "-O" | "-P") {
            return Err(Failure::new(format!(
                "`extra_opts: {word}` is not supported: what it unpacks can't be foreseen"
            )));
        }
        let number = match word.strip_prefix("--strip-components") {
            Some("") => words.next().map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => continue,
        };
        count = number
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| Failure::new("`--strip-components` needs a number"))?;
    }
    Ok(count)
}

/// Names without their first parts and without `./`; what has no more parts is left out. As tar counts, a `.` is a part.
pub(super) fn stripped(members: &[Member], count: usize) -> Vec<Member> {
    let strip = |name: &str| {
        let parts: Vec<&str> = name.split('/').skip(count).collect();
        let dots = parts.iter().take_while(|part| **part == ".").count();
        parts.get(dots..).unwrap_or_default().join("/")
    };
    members
        .iter()
        .map(|member| {
            let kind = match &member.kind {
                Kind::Hard(target) => Kind::Hard(strip(target)),
                kind => kind.clone(),
            };
            Member { name: strip(&member.name), kind, ..*member }
        })
        .filter(|member| !member.name.is_empty())
        .collect()
}

/// The members that `include` and `exclude` leave.
pub(super) fn select(members: Vec<Member>, include: &[String], exclude: &[String]) -> Vec<Member> {
    // As tar does it: a pattern that matches a folder takes all that is in it along.
    let matches = |patterns: &[String], name: &str| {
        let mut ends: Vec<usize> = name.match_indices('/').map(|(at, _)| at).collect();
        ends.push(name.len());
        patterns.iter().any(|pattern| {
            let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
            ends.iter().any(|end| name.get(..*end).is_some_and(|part| glob(pattern, part)))
        })
    };
    members
        .into_iter()
        .filter(|member| include.is_empty() || matches(include, &member.name))
        .filter(|member| !matches(exclude, &member.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, kind: Kind) -> Member {
        Member { name: name.to_owned(), kind, size: 0, mtime: 0 }
    }

    #[test]
    fn parts_are_stripped_as_tar_counts_them() {
        let members: Vec<Member> = ["./d", "./d/one", "."].iter().map(|name| member(name, Kind::File)).collect();
        let names = |count| stripped(&members, count).into_iter().map(|member| member.name).collect::<Vec<_>>();
        assert_eq!(
            (names(0), names(1), names(2)),
            (vec!["d".into(), "d/one".into()], vec!["d".into(), "d/one".into()], vec!["one".to_owned()])
        );
    }

    #[test]
    fn archives_that_would_leave_the_directory_are_refused() {
        let refused = |members: &[Member]| refuse_escapes(members).is_err();
        let link = |name: &str, target: &str| member(name, Kind::Link(target.to_owned()));
        assert!(refused(&[member("../x", Kind::File)]) && refused(&[member("/etc/x", Kind::File)]));
        assert!(refused(&[member("a/../../x", Kind::Directory)]) && refused(&[member("a\u{fffd}", Kind::File)]));
        assert!(refused(&[member("a", Kind::Hard("../../etc/shadow".to_owned()))]));
        assert!(
            refused(&[link("a", "/etc")]) && refused(&[link("a/b", "../../etc")]) && refused(&[link("a", "b/../..")])
        );
        assert!(!refused(&[link("a/b", "../etc"), link("c", "."), link("d", "a/../b")]));
        assert!(refused(&[member("a/passwd", Kind::File), link("a", "b")]));
        assert!(!refused(&[link("a", "b"), member("ab", Kind::File)]));
    }
}
