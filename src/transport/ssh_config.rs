//! Reads ssh_config files: `Host`, `Match`, `Include`; the first value of an option wins.
//!
//! Written here because the crate for it (ssh2-config) knows neither `Match` nor the tokens, and swallows what it doesn't know.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::pattern;

/// How deep includes may go, as in OpenSSH.
const DEPTH: usize = 16;

/// Options that may be given several times, each adding to the list.
const LISTS: &[&str] = &["identityfile", "certificatefile"];

/// One option.
#[derive(Debug, Clone)]
struct Line {
    /// In lower case.
    keyword: String,
    arguments: Vec<String>,
    number: usize,
    /// The files of an `Include`.
    included: Vec<Arc<Parsed>>,
}

#[derive(Debug)]
struct Parsed {
    file: PathBuf,
    lines: Vec<Line>,
}

/// Parsed files; a fleet's hosts all read the same ones.
#[derive(Debug, Default)]
pub(super) struct Files {
    parsed: Mutex<HashMap<PathBuf, Arc<Parsed>>>,
}

/// For whom options are looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    /// The name as it was asked for.
    pub(super) original: &'a str,
    /// The login user as far as it is known before the files; `None` then takes theirs or the local one.
    pub(super) user: Option<&'a str>,
    /// The local user.
    pub(super) local_user: &'a str,
}

/// Options found for a host: keyword in lower case, its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    values: Vec<(String, Vec<String>)>,
}

impl Found {
    /// The arguments of an option.
    pub(super) fn get(&self, keyword: &str) -> Option<&[String]> {
        self.values.iter().find(|(k, _)| k == keyword).map(|(_, v)| v.as_slice())
    }

    /// The first argument of an option.
    pub(super) fn first(&self, keyword: &str) -> Option<&str> {
        self.get(keyword)?.first().map(String::as_str)
    }

    /// Every value of an option that makes a list.
    pub(super) fn all(&self, keyword: &str) -> Vec<&str> {
        self.values.iter().filter(|(k, _)| k == keyword).filter_map(|(_, v)| v.first()).map(String::as_str).collect()
    }

    /// The keywords that were met, in order.
    pub(super) fn keywords(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(keyword, _)| keyword.as_str())
    }

    /// Adds a value unless the option has one already.
    pub(super) fn add(&mut self, keyword: &str, arguments: Vec<String>) {
        if LISTS.contains(&keyword) || self.get(keyword).is_none() {
            self.values.push((keyword.to_owned(), arguments));
        }
    }
}

impl Files {
    /// Adds what a file says for a host. A file that doesn't exist says nothing, unless it is `required`.
    ///
    /// # Errors
    /// It can't be read, has a line that can't be understood, or uses `Match exec`.
    pub(super) fn lookup(
        &self,
        file: &Path,
        required: bool,
        query: Query<'_>,
        found: &mut Found,
    ) -> Result<(), String> {
        if !required && !file.exists() {
            return Ok(());
        }
        let parsed = self.load(file, 0)?;
        evaluate(&parsed, true, query, found)
    }

    fn load(&self, file: &Path, depth: usize) -> Result<Arc<Parsed>, String> {
        if depth > DEPTH {
            return Err(format!("{}: includes go deeper than {DEPTH} files: does one include itself?", file.display()));
        }
        if let Some(parsed) = self.parsed.lock().ok().and_then(|map| map.get(file).cloned()) {
            return Ok(parsed);
        }
        let text = fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let text = String::from_utf8_lossy(&text);
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let at = |reason: String| format!("{}:{}: {reason}", file.display(), index + 1);
            let Some((keyword, arguments)) = split(line).map_err(at)? else { continue };
            let mut included = Vec::new();
            if keyword == "include" {
                for pattern in &arguments {
                    for path in expand_glob(&include_path(pattern, file)) {
                        included.push(self.load(&path, depth + 1)?);
                    }
                }
            }
            lines.push(Line { keyword, arguments, number: index + 1, included });
        }
        let parsed = Arc::new(Parsed { file: file.to_owned(), lines });
        if let Ok(mut map) = self.parsed.lock() {
            map.insert(file.to_owned(), parsed.clone());
        }
        Ok(parsed)
    }
}

/// Splits an option into its keyword in lower case and its arguments: `Key value`, `Key=value`, `Key "a b"`.
///
/// # Errors
/// A quote isn't closed, or there is no value.
pub(super) fn split(line: &str) -> Result<Option<(String, Vec<String>)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let keyword = keyword.to_ascii_lowercase();
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
    // A command takes the rest of the line as it is.
    if matches!(keyword.as_str(), "proxycommand" | "localcommand" | "remotecommand" | "knownhostscommand") {
        if rest.is_empty() {
            return Err(format!("{keyword} has no value"));
        }
        return Ok(Some((keyword, vec![rest.to_owned()])));
    }
    let arguments = words(rest).map_err(|reason| format!("{keyword}: {reason}"))?;
    if arguments.is_empty() {
        return Err(format!("{keyword} has no value"));
    }
    Ok(Some((keyword, arguments)))
}

fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(&c) = characters.peek() {
        if c.is_whitespace() {
            characters.next();
            continue;
        }
        if c == '#' {
            break;
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(&c) = characters.peek() {
            match (quote, c) {
                (None, c) if c.is_whitespace() => break,
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                (_, '\\') => {
                    characters.next();
                    match characters.peek() {
                        Some(&next @ ('"' | '\'' | '\\')) => word.push(next),
                        Some(&next) if next == ' ' && quote.is_none() => word.push(next),
                        Some(&next) => word.extend(['\\', next]),
                        None => word.push('\\'),
                    }
                }
                (_, c) => word.push(c),
            }
            characters.next();
        }
        if quote.is_some() {
            return Err("a quote is not closed".to_owned());
        }
        words.push(word);
    }
    Ok(words)
}

fn evaluate(parsed: &Parsed, outer: bool, query: Query<'_>, found: &mut Found) -> Result<(), String> {
    let mut active = outer;
    for line in &parsed.lines {
        let at = |reason: String| format!("{}:{}: {reason}", parsed.file.display(), line.number);
        match line.keyword.as_str() {
            "host" => {
                let name = query.original.to_lowercase();
                let patterns: Vec<String> = line.arguments.iter().map(|p| p.to_lowercase()).collect();
                active = outer && pattern::matches_list(patterns.iter().map(String::as_str), &name);
            }
            "match" => active = outer && matches_criteria(&line.arguments, query, found).map_err(at)?,
            "include" => {
                for inner in &line.included {
                    evaluate(inner, active, query, found)?;
                }
            }
            keyword if active => found.add(keyword, line.arguments.clone()),
            _ => {}
        }
    }
    Ok(())
}

fn matches_criteria(words: &[String], query: Query<'_>, found: &Found) -> Result<bool, String> {
    let mut words = words.iter();
    let mut all = true;
    while let Some(word) = words.next() {
        let (negated, criterion) = match word.strip_prefix('!') {
            Some(rest) => (true, rest.to_ascii_lowercase()),
            None => (false, word.to_ascii_lowercase()),
        };
        if criterion == "all" {
            all &= !negated;
            continue;
        }
        let (criterion, value) = match criterion.split_once('=') {
            Some((name, _)) => (name.to_owned(), word.split_once('=').map(|(_, v)| v.to_owned())),
            None => (criterion.clone(), words.next().cloned()),
        };
        let value = value.ok_or_else(|| format!("Match {criterion} has no value"))?;
        let host =
            found.first("hostname").map(|h| h.replace("%h", query.original)).unwrap_or(query.original.to_owned());
        let text = match criterion.as_str() {
            "host" => host.to_lowercase(),
            "originalhost" => query.original.to_lowercase(),
            "user" => query.user.or_else(|| found.first("user")).unwrap_or(query.local_user).to_owned(),
            "localuser" => query.local_user.to_owned(),
            "exec" => {
                return Err(
                    "`Match exec` is not supported: it would run a command for every host. Use `Match host` or `Host`"
                        .to_owned(),
                );
            }
            other => {
                return Err(format!(
                    "`Match {other}` is not supported; host, originalhost, user, localuser and all are"
                ));
            }
        };
        let value = if criterion == "user" || criterion == "localuser" { value } else { value.to_lowercase() };
        all &= pattern::matches_list(value.split(','), &text) != negated;
    }
    Ok(all)
}

/// Relative includes are looked for beside the user's or the system's configuration, as in OpenSSH.
fn include_path(pattern: &str, file: &Path) -> PathBuf {
    if let Some(rest) = pattern.strip_prefix("~/") {
        return super::settings::home().join(rest);
    }
    let path = Path::new(pattern);
    if path.is_absolute() {
        return path.to_owned();
    }
    file.parent().unwrap_or(Path::new(".")).join(path)
}

/// Files that match a path whose last parts may have `*` and `?`, in order.
fn expand_glob(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let name = part.as_os_str().to_string_lossy();
        if !name.contains(['*', '?']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                let entry_name = entry.file_name();
                let entry_name = entry_name.to_string_lossy();
                if pattern::matches(&name, &entry_name) && (name.starts_with('.') || !entry_name.starts_with('.')) {
                    next.push(entry.path());
                }
            }
        }
        next.sort();
        found = next;
    }
    found.retain(|path| path.is_file());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str, host: &str, user: Option<&str>) -> Result<Found, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        fs::write(&file, text).unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        fs::write(folder.path().join("conf.d/a.conf"), "Host inner\n  Port 2201\nHost *\n  ConnectTimeout 7\n")
            .unwrap();
        let mut found = Found::default();
        Files::default().lookup(&file, true, Query { original: host, user, local_user: "me" }, &mut found)?;
        Ok(found)
    }

    #[test]
    fn the_first_value_wins_and_lists_grow() {
        let text =
            "Host web* !web9\n  User deploy\n  IdentityFile ~/a\nHost *\n  User=root\n  IdentityFile \"~/b c\"\n";
        let found = look(text, "web1", None).unwrap();
        assert_eq!(found.first("user"), Some("deploy"));
        assert_eq!(found.all("identityfile"), ["~/a", "~/b c"]);
        assert_eq!(look(text, "web9", None).unwrap().first("user"), Some("root"));
    }

    #[test]
    fn includes_stay_inside_their_block() {
        let text = "Host inner outer\n  Include conf.d/*.conf\n  User x\nHost other\n  User y\n";
        let found = look(text, "inner", None).unwrap();
        assert_eq!((found.first("port"), found.first("user")), (Some("2201"), Some("x")));
        assert_eq!(look(text, "outer", None).unwrap().first("connecttimeout"), Some("7"));
        assert_eq!(look(text, "other", None).unwrap().first("connecttimeout"), None);
    }

    #[test]
    fn match_looks_at_host_user_and_original_host() {
        let text = "Host a\n  HostName a.example.org\nMatch host *.example.org user root\n  Port 1\n\
                    Match originalhost a !user root\n  Port 2\nMatch all\n  Port 3\n";
        assert_eq!(look(text, "a", Some("root")).unwrap().first("port"), Some("1"));
        assert_eq!(look(text, "a", None).unwrap().first("port"), Some("2"));
        assert_eq!(look(text, "b", None).unwrap().first("port"), Some("3"));
    }

    #[test]
    fn match_exec_is_refused_by_name_and_line() {
        let error = look("Match exec \"true\"\n  Port 1\n", "a", None).unwrap_err();
        assert!(error.contains("config:1") && error.contains("Match exec"), "{error}");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_error_with_its_place() {
        assert!(look("Host a\n  User \"x\n", "a", None).unwrap_err().contains("config:2: user: a quote"));
        assert!(look("Port\n", "a", None).unwrap_err().contains("port has no value"));
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        assert!(look("Include config\n", "a", None).unwrap_err().contains("include itself"));
    }
}
