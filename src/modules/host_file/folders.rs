//! Making directories: those that are missing get the attributes, those that are there stay as they are.

use super::attributes::Settled;
use super::{LOOK, octal};
use crate::base::Script;

/// A shell function: `make PATH` makes a directory and what is missing above it, with `$owner`, `$group` and `$bits`.
pub(crate) const MAKE: &str = r#"make() {
[ -n "$1" ] && [ ! -d "$1" ] || return 0
make "${1%/*}"
why=$(mkdir "$1" 2>&1) || { [ -d "$1" ] && return 0; printf 'cannot create the directory %s: %s\n' "$1" "$why" >&2; exit 1; }
[ -z "$owner" ] || chown "$owner" "$1" || exit 1
[ -z "$group" ] || chgrp "$group" "$1" || exit 1
[ -z "$bits" ] || chmod "$bits" "$1" || exit 1
}"#;

/// Sets what [`MAKE`] gives to new directories.
pub(crate) fn set_for_new(script: Script, settled: &Settled) -> Script {
    let bits = if settled.mode_told { octal(settled.mode) } else { String::new() };
    script
        .set("owner", settled.owner.as_deref().unwrap_or(""))
        .set("group", settled.group.as_deref().unwrap_or(""))
        .set("bits", &bits)
}

/// A script that makes one directory with its parents, and looks at it as `result`.
pub(crate) fn make_folders(path: &str, settled: &Settled) -> Script {
    set_for_new(Script::new().line(LOOK).set("path", path), settled)
        .line(MAKE)
        .line("make \"$path\"")
        .line("look result \"$path\"")
        .line("echo end")
}
