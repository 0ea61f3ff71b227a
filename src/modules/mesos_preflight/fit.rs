//! What the new release needs of this host: room, a binary that runs here with all its libraries and knows the flags, and a file of
//! credentials that it can read.
//!
//! It can't know of a binary that is not staged yet; with `staged: true` that is refused.

use crate::base::Script;
use crate::cluster::mesos::{CredentialsForm, Daemon, Version};
use crate::modules::{Answer, Question};

/// A binary that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Binary {
    program: String,
    path: String,
    there: bool,
    /// Libraries that the loader does not find.
    missing: Vec<String>,
    /// The status of `--help`, and what it printed.
    status: Option<i32>,
    help: String,
}

/// What stands on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fit {
    /// Bytes that are free where releases are kept.
    free: Option<u64>,
    binaries: Vec<Binary>,
    /// What was seen of the file of credentials, a line each.
    credentials: Vec<String>,
}

/// Asks for it. `secrets` is the path of the file of credentials, if one is to be read.
pub(super) fn ask(root: &str, to: &str, programs: &[&str], secrets: Option<&str>) -> Question {
    let secrets = secrets.map(|path| path.strip_prefix("file://").unwrap_or(path));
    Question::Script(
        Script::new()
            .set("root", root)
            .set("to", to)
            .set("secrets", secrets.unwrap_or_default())
            .arguments(programs.iter().copied())
            .line(include_str!("fit.sh")),
    )
}

/// Reads the answer to [`ask`].
///
/// # Errors
/// The host is out of reach, or the output is cut.
pub(super) fn read(answer: Option<&Answer>) -> Result<Fit, String> {
    let output = match answer {
        Some(Answer::Script(Ok(output))) => output,
        Some(Answer::Script(Err(why))) => return Err(why.clone()),
        _ => return Err("was not asked".to_owned()),
    };
    let mut fit = Fit::default();
    let text = output.out();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "D" => fit.free = rest.parse().ok(),
            "B" | "N" => {
                let (program, path) = rest.split_once(' ').unwrap_or((rest, ""));
                fit.binaries.push(Binary {
                    program: program.to_owned(),
                    path: path.to_owned(),
                    there: word == "B",
                    ..Binary::default()
                });
            }
            "C" => fit.credentials.push(rest.to_owned()),
            _ => {
                if let Some(binary) = fit.binaries.last_mut() {
                    match word {
                        "X" => binary.missing.push(rest.to_owned()),
                        "E" => binary.status = rest.parse().ok(),
                        "H" => {
                            binary.help.push_str(rest);
                            binary.help.push('\n');
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    if text.lines().last() == Some("Z") {
        Ok(fit)
    } else {
        Err(format!("the look at the host was cut off (status {})", output.status))
    }
}

impl Binary {
    /// Why it does not run here.
    fn trouble(&self) -> Option<String> {
        let path = &self.path;
        let first = self.help.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        if !self.missing.is_empty() {
            return Some(format!(
                "{path} does not run here: libraries are missing ({}); install what has them, or take a build for this system",
                self.missing.join(", ")
            ));
        }
        match self.status {
            // Up to 0.18 the daemons end with 1 after their help.
            Some(0 | 1) if self.help.contains("Usage: ") => None,
            Some(126) => Some(format!("{path} does not run here: is it built for this machine? It said `{first}`")),
            Some(127) => Some(format!(
                "{path} does not run here: its loader is not there, or a library is missing; it said `{first}`"
            )),
            Some(status) if status > 128 => {
                Some(format!("{path} does not run here: signal {} ended it at `--help`", status - 128))
            }
            Some(status) => {
                Some(format!("{path} is no {}: `--help` ended with {status}, and said `{first}`", self.program))
            }
            None => Some(format!("{path} could not be run")),
        }
    }

    /// The flags that its help has.
    fn flags(&self) -> Vec<&str> {
        self.help
            .lines()
            .filter_map(|line| {
                let word = line.trim_start().strip_prefix("--")?.split([' ', '=']).next()?;
                Some(word.strip_prefix("[no-]").unwrap_or(word))
            })
            .collect()
    }
}

impl Fit {
    /// What keeps the release from running here. `flags` are those that a daemon will be given, `size` the bytes to be staged yet.
    pub(super) fn wrong(
        &self,
        root: &str,
        size: u64,
        staged: bool,
        flags: &dyn Fn(Daemon) -> Vec<String>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        // Twice: what is sent lies there beside what is unpacked, and logs go on meanwhile.
        if let Some(free) = self.free
            && size > 0
            && free < size.saturating_mul(2)
        {
            wrong.push(format!(
                "no room for the release below {root}: {} MiB are free, and {} MiB (twice its size) are wanted",
                free >> 20,
                (size.saturating_mul(2) >> 20) + 1
            ));
        }
        for binary in &self.binaries {
            if !binary.there {
                if staged {
                    wrong.push(format!("{} is not there: stage the release first", binary.path));
                }
                continue;
            }
            if let Some(trouble) = binary.trouble() {
                wrong.push(trouble);
                continue;
            }
            let known = binary.flags();
            let daemon = if binary.program == Daemon::Master.program() { Daemon::Master } else { Daemon::Slave };
            for name in flags(daemon).iter().filter(|name| known.len() > 5 && !known.contains(&name.as_str())) {
                wrong.push(format!("{} has no flag `{name}`, by its own help", binary.path));
            }
        }
        wrong
    }

    /// Which programs are still to be staged.
    pub(super) fn absent(&self) -> Vec<&str> {
        self.binaries.iter().filter(|binary| !binary.there).map(|binary| binary.program.as_str()).collect()
    }

    /// What is to be said of the file of credentials: what a master would die on, and what an operator should know.
    pub(super) fn credentials(&self, path: &str, to: Version, runs_with_it: bool) -> (Vec<String>, Vec<String>) {
        let (mut wrong, mut warnings) = (Vec::new(), Vec::new());
        for line in &self.credentials {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["missing"] if runs_with_it => {
                    wrong.push(format!("{path} is not there: a master does not start without it"))
                }
                ["missing"] => warnings.push(format!(
                    "{path} is not there yet: put it there (mesos_credentials) before a master starts with it"
                )),
                ["closed"] => wrong.push(format!("{path} can't be read by the login user: use `become: true`")),
                ["mode", mode] if !mode.ends_with('0') => {
                    warnings.push(format!("{path} can be read by everybody (mode {mode}): 0600 is what secrets want"));
                }
                ["json"] => wrong.extend(CredentialsForm::of("json", to).err().map(|why| format!("{path}: {why}"))),
                ["count", "0"] => warnings.push(format!("{path} is empty: no framework could authenticate")),
                ["line", number, what] => {
                    let why = match *what {
                        "windows" => "ends as on Windows: the carriage return would be a part of the secret",
                        "comment" => "is a comment, which a master dies on",
                        "tab" => "has a tab, which parts no words for a master: it dies on the line",
                        "twice" => "has a principal that was there before: which secret counts is not said",
                        _ => "is not `principal secret`: a master dies on it",
                    };
                    wrong.push(format!("{path}, line {number}, {why}"));
                }
                _ => {}
            }
        }
        (wrong, warnings)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::modules::fixture::{SHELLS, run_script};

    const USAGE: &str = "#!/bin/sh\necho 'Usage: mesos-master [...]' >&2\nfor f in a b c d e quiet; do echo \"  --[no-]$f  about\" >&2; done\nexit 1\n";

    fn look(folder: &std::path::Path, secrets: Option<&str>) -> Vec<Fit> {
        let root = folder.display().to_string();
        SHELLS
            .iter()
            .map(|shell| {
                let Question::Script(script) = ask(&root, "0.15.0", &["mesos-master"], secrets) else {
                    panic!("a script")
                };
                read(Some(&Answer::Script(Ok(run_script(shell, &script))))).expect("looked")
            })
            .collect()
    }

    fn wrong(fit: &Fit, size: u64) -> String {
        fit.wrong("/r", size, true, &|_| vec!["quiet".to_owned(), "zz".to_owned()]).join("\n")
    }

    #[test]
    fn a_binary_is_run_once_for_its_help_and_its_flags_compared() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("mesos-master/0.15.0");
        std::fs::create_dir_all(&place).expect("a folder");
        let file = place.join("mesos-master");
        for fit in look(folder.path(), None) {
            assert!(wrong(&fit, 0).ends_with("mesos-master is not there: stage the release first"));
            assert_eq!(fit.absent(), ["mesos-master"]);
            assert!(wrong(&fit, u64::MAX / 4).starts_with("no room for the release below /r"));
        }
        #[expect(clippy::disallowed_methods, reason = "a test makes a program that lacks a library")]
        let mut foreign = std::fs::read("/bin/sleep").expect("a program");
        while let Some(at) = foreign.windows(9).position(|window| window == b"libc.so.6") {
            foreign[at + 8] = b'9';
        }
        // The machine's other kind of program, a script whose interpreter is gone, one that says other things, and one that crashes.
        for (content, says) in [
            (&b"\x7fELF\x02\x01\x01 of no machine"[..], "does not run here"),
            (b"#!/no/such/loader\n", "does not run here"),
            (b"#!/bin/sh\necho hello\n", "is no mesos-master: `--help` ended with 0, and said `hello`"),
            (b"#!/bin/sh\nkill -6 $$\n", "signal 6 ended it"),
            (&foreign, "libraries are missing (libc.so.9)"),
            (USAGE.as_bytes(), "has no flag `zz`, by its own help"),
        ] {
            std::fs::write(&file, content).expect("written");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("set");
            for fit in look(folder.path(), None) {
                let wrong = wrong(&fit, 1);
                assert!(wrong.contains(says), "{says}: {wrong}");
                assert!(!wrong.contains('\n') && fit.absent().is_empty(), "{wrong}");
            }
        }
    }

    #[test]
    fn credentials_are_judged_where_they_are_and_no_secret_travels() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("credentials");
        let path = file.display().to_string();
        let judge = |text: &str| {
            std::fs::write(&file, text).expect("written");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
            let all: Vec<_> = look(folder.path(), Some(&format!("file://{path}")))
                .iter()
                .map(|fit| {
                    assert!(!format!("{fit:?}").contains("s3cret"), "{fit:?}");
                    fit.credentials("F", Version::new(0, 15, 0), true)
                })
                .collect();
            assert_eq!(all[0], all[1], "{text:?}");
            all[0].clone()
        };
        let (wrong, warnings) = judge("f1 s3cret\n\nf2  s3cret \n");
        assert_eq!(
            (wrong.len(), warnings.join("")),
            (0, "F can be read by everybody (mode 644): 0600 is what secrets want".into())
        );
        let (wrong, _) = judge("# ours\nf1\ts3cret\nf1 s3cret\r\nf1\n   \nf2 s3cret\nf2 s3cret\n");
        let lines: Vec<String> =
            wrong.iter().map(|line| line.split(',').nth(1).unwrap_or_default().trim().to_owned()).collect();
        assert_eq!(lines, ["line 1", "line 2", "line 3", "line 4", "line 5", "line 7"]);
        assert!(judge("{\"credentials\": []}").0[0].contains("dies on credentials in JSON"));
        assert!(judge("").1[1].contains("is empty"));
        std::fs::remove_file(&file).expect("removed");
        for fit in look(folder.path(), Some(&path)) {
            assert_eq!(fit.credentials("F", Version::new(0, 15, 0), true).0.len(), 1);
            assert_eq!(fit.credentials("F", Version::new(0, 15, 0), false).1.len(), 1);
        }
    }
}
