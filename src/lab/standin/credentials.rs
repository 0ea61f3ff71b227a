//! The credentials file of 0.15.0: `principal secret` a line, separated by blanks only, and nothing else.

use std::collections::BTreeMap;

/// Secrets by principal.
pub(crate) type Credentials = BTreeMap<String, String>;

/// Reads the file that `--credentials` names; `file://` may stand before it.
///
/// # Errors
/// What the master says before it ends with exit code 1.
pub(crate) fn read(path: &str) -> Result<Credentials, String> {
    let path = path.strip_prefix("file://").unwrap_or(path);
    let text = std::fs::read_to_string(path).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
            _ => error.to_string(),
        };
        format!("Failed to read credentials file '{path}': Failed to open file '{path}': {why}\n")
    })?;
    let mut found = Credentials::new();
    for (number, line) in text.split('\n').filter(|line| !line.is_empty()).enumerate() {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let &[principal, secret] = words.as_slice() else {
            return Err(format!("Invalid credential format at line: {} (see --credentials flag)\n", number + 1));
        };
        found.insert(principal.to_owned(), secret.to_owned());
    }
    Ok(found)
}
