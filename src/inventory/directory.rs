//! A folder as an inventory: which of its files count, and in which order.

use std::path::{Path, PathBuf};

/// Names that are never sources.
const NEVER: [&str; 3] = ["group_vars", "host_vars", "vars_plugins"];

/// Endings of files that are never sources.
const ENDINGS: [&str; 12] =
    [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

/// The entries of a folder that are sources, in ASCII order.
///
/// # Errors
/// The folder can't be listed.
pub(super) fn sources(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.sort_unstable();
    Ok(names.into_iter().filter(|name| counts(&name.to_string_lossy())).map(|name| folder.join(name)).collect())
}

fn counts(name: &str) -> bool {
    // What package managers leave beside a file that was edited.
    let left_by_rpm = [".rpmsave", ".rpmnew", ".rpmorig"].iter().any(|ending| name.ends_with(ending));
    !name.starts_with('.') && !NEVER.contains(&name) && !left_by_rpm && !ENDINGS.iter().any(|e| name.ends_with(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_and_hidden_files_do_not_count() {
        for name in ["hosts", "01-web.yml", "prod.ini", "x.py", "vars"] {
            assert!(counts(name), "{name}");
        }
        for name in [".git", "hosts~", "hosts.bak", "a.rpmsave", "README.md", "site.retry", "ansible.cfg", "group_vars"]
        {
            assert!(!counts(name), "{name}");
        }
    }
}
