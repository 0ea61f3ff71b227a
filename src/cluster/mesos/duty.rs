//! Whether a daemon of a release would start with a whole set of flags: everything that it would die on, and what to
//! write instead.

use super::flag_table::{Release, neighbours_of, removed_in};
use super::{Channel, Daemon, FlagInfo, Found, Setting, Version, ZkUrl};
use super::{check_value, flag, flag_names, hops};
use crate::diag::did_you_mean;

/// What is wrong with a set of flags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Verdicts {
    /// What the daemon would die on, a sentence each.
    pub(crate) refused: Vec<String>,
    /// What it would not do as it may be meant.
    pub(crate) warnings: Vec<String>,
}

/// Releases from 0.13 on die on a flag that they don't know; those before ignore it.
const STRICT: Version = Version::new(0, 13, 0);
/// The first release that takes `file://…` as the value of any flag.
const FILE_VALUES: Version = Version::new(0, 22, 0);

/// Why a flag is unknown to a release, and what to write instead.
pub(crate) fn unknown_flag(daemon: Daemon, release: Release, name: &str) -> String {
    let (program, version) = (daemon.program(), release.version);
    if name.is_empty() {
        return format!("{program} {version} dies on an argument that is no flag");
    }
    let head = format!("{program} {version} has no flag `{name}`");
    if let Some((meant, why)) = hops::wrong_name(daemon, version, name) {
        return match meant {
            Some(meant) => format!("{head}: write `{meant}` ({why})"),
            None => format!("{head}: {why}; remove it"),
        };
    }
    let (before, after) = neighbours_of(daemon, release, name);
    match (removed_in(daemon, release, name), before, after) {
        (Some(removed), ..) => return format!("{head}: it was removed in {removed}; remove it"),
        (None, _, Some(added)) => return format!("{head}: it is new in {added}; leave it out until then"),
        _ => {}
    }
    if flag(daemon.other(), release, name).is_some() {
        return format!("{head}: it is one of {}", daemon.other().program());
    }
    match did_you_mean(name, flag_names(daemon, release)) {
        Some(meant) => format!("{head}: did you mean `{meant}`?"),
        None => format!("{head}: remove it"),
    }
}

/// Checks everything that a daemon of a release would be given.
pub(crate) fn check_set(daemon: Daemon, release: Release, found: &Found) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let mut known: Vec<(&Setting, FlagInfo)> = Vec::new();
    for setting in &found.settings {
        match flag(daemon, release, &setting.name) {
            Some(info) => {
                check_setting(daemon, release, setting, info, &mut verdicts);
                known.push((setting, info));
            }
            None => refuse_unknown(daemon, release, setting, &mut verdicts),
        }
    }
    check_twice(daemon, release, &known, &mut verdicts);
    let given = |name: &str| known.iter().any(|(_, info)| info.name == name);
    for (name, when) in hops::required(daemon, release.version) {
        if !given(name) && when.is_none_or(given) {
            let because = when.map(|other| format!(" when it has `{other}`")).unwrap_or_default();
            verdicts.refused.push(format!(
                "{} {} does not start without `{name}`{because}: set it",
                daemon.program(),
                release.version
            ));
        }
    }
    // Releases 0.13 and 0.14 take an empty argument for a flag without name; from 0.15 on it is skipped.
    if found.empty_argument && release.version >= STRICT && release.version < Version::new(0, 15, 0) {
        verdicts.refused.push(format!(
            "with no flag on the command line the init wrapper passes an empty argument, and {} {} dies on it: give one flag as a flag file",
            daemon.program(),
            release.version
        ));
    }
    for place in &found.unread {
        verdicts.warnings.push(format!("not read, it is more than an assignment: {place}"));
    }
    verdicts.warnings.extend(found.left_out.iter().cloned());
    verdicts
}

fn refuse_unknown(daemon: Daemon, release: Release, setting: &Setting, verdicts: &mut Verdicts) {
    let version = release.version;
    let why = unknown_flag(daemon, release, &setting.name);
    let here = &setting.origin;
    if version < STRICT {
        verdicts.warnings.push(format!("{why} ({here}); this version ignores it"));
        return;
    }
    if setting.channel != Channel::Environment {
        verdicts.refused.push(format!("{why} ({here})"));
    } else if version.same_minor(STRICT) {
        // Only 0.13.0 takes every variable MESOS_… for a flag.
        verdicts.refused.push(format!(
            "{} {version} dies on every variable MESOS_… that is no flag: {here}; remove it for this version",
            daemon.program()
        ));
    } else if removed_in(daemon, release, &setting.name).is_some()
        || did_you_mean(&setting.name, flag_names(daemon, release)).is_some()
    {
        verdicts.warnings.push(format!("{why} ({here}); a variable that is no flag is ignored"));
    }
}

fn check_setting(daemon: Daemon, release: Release, setting: &Setting, info: FlagInfo, verdicts: &mut Verdicts) {
    let here = &setting.origin;
    let name = &setting.name;
    let version = release.version;
    if setting.switch && info.kind != super::FlagType::Bool {
        verdicts.refused.push(format!(
            "`{name}` needs a value, and {here} gives it none: write the value into a file `{name}` instead"
        ));
        return;
    }
    let Some(value) = setting.value.as_deref() else {
        verdicts.warnings.push(format!("the value of `{name}` is known to a shell only and was not checked ({here})"));
        return;
    };
    if let Some(wanted) = check_value(info.kind, value, version >= FILE_VALUES) {
        let shown: String = super::mask_urls(value).chars().take(80).collect();
        verdicts.refused.push(format!("`{name}` is `{shown}` and must be {wanted} ({here})"));
    }
    if let Some(why) = hops::refused_value(daemon, version, info.name, value) {
        verdicts.refused.push(format!("`{name}` must not be `{}`: {why} ({here})", super::mask_urls(value)));
    }
    let is_url = info.name == "zk" || (info.name == "master" && value.starts_with("zk://"));
    if is_url
        && !value.is_empty()
        && !value.starts_with("file://")
        && let Err(reason) = ZkUrl::parse(value)
    {
        verdicts.refused.push(format!("`{name}`: {reason} ({here})"));
    }
}

fn check_twice(daemon: Daemon, release: Release, known: &[(&Setting, FlagInfo)], verdicts: &mut Verdicts) {
    for (place, (second, info)) in known.iter().enumerate() {
        let earlier = known.iter().take(place).find(|(_, other)| other.name == info.name);
        let Some((first, _)) = earlier else { continue };
        let (name, one, other) = (info.name, &first.origin, &second.origin);
        if release.version >= STRICT {
            verdicts.refused.push(format!(
                "`{name}` is given twice, by {one} and by {other}: {} {} dies on it (Duplicate flag); remove one",
                daemon.program(),
                release.version
            ));
        } else {
            verdicts.warnings.push(format!("`{name}` is given twice, by {one} and by {other}; the command line wins"));
        }
    }
}
