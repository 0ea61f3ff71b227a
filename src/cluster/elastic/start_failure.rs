//! Why a node that was started has ended, by what it said on its output and in its log.

/// What a sentence means: a part of it, and what to do.
const MEANINGS: &[(&str, &str)] = &[
    ("bootstrap check", "a bootstrap check failed: set what it names on the host (exit status 78)"),
    ("max virtual memory areas vm.max_map_count", "set vm.max_map_count on the host"),
    ("unknown setting [", "elasticsearch.yml has a setting that this version does not know"),
    ("node settings must not contain any index level settings", "elasticsearch.yml has a setting of an index"),
    ("it is forbidden to set both [", "elasticsearch.yml has an old and a new name of one setting"),
    ("was designed for version [", "a plugin is of another version: install the one of this version"),
    ("was built for Elasticsearch version", "a plugin is of another version: install the one of this version"),
    ("Could not load plugin descriptor", "a folder in plugins/ is no plugin: remove it"),
    ("can not run elasticsearch as root", "it was started as root: start it as its own user"),
    ("upgrade to version [", "the data is of a version that is too old for this one: go by the version it names"),
    ("Format version is not supported", "the data is of a version that is too old for this one"),
    ("should be re-indexed", "an index is too old for this version: reindex it with the version before"),
    ("perhaps it has already been upgraded to a later version", "the data is of a newer version: there is no way back"),
    ("Failed to load settings from", "elasticsearch.yml can't be read"),
    ("failed to read [", "the data can't be read: it may be of a newer version, to which there is no way back"),
    (
        "Unrecognized VM option",
        "this Java does not know an option of jvm.options: it is too new or too old for this version",
    ),
    ("minimum required Java version", "this Java is too old for this version"),
    ("Setting a Security Manager is not supported", "this Java is too new for this version"),
    ("enable the Security Manager", "this Java is too new for this version"),
    (
        "may not join a cluster comprising only nodes of version",
        "every other node is on the new version: the old one can't join any more, start it on the new one",
    ),
    ("subdirectory exists in data paths", "the folder of the data is of an old layout"),
    ("failed to obtain node locks", "another process has the data: the old node still runs"),
    ("Address already in use", "another process has the port: the old node may still run"),
    ("OutOfMemoryError", "the heap is too small"),
];

/// The line that says why a node ended, and what that means; `None` when no line is known.
pub(crate) fn why_it_ended(said: &str) -> Option<(&str, &'static str)> {
    // The last that is known: earlier ones may be of an earlier start.
    said.lines().rev().find_map(|line| {
        let (_, meaning) = MEANINGS.iter().find(|(part, _)| line.contains(part))?;
        Some((line.trim(), *meaning))
    })
}
