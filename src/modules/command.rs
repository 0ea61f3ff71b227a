//! `command`: a program with its arguments, without a shell. Also what `shell` and `raw` share with it.
//!
//! Whether it changes anything can't be known: its step is opaque, unless `creates` or `removes` says that it need not run.
//! When it started and ended is the engine's to fill in (`start`, `end`, `delta`), which has the clock.

use super::host_file::{LOOK, SUBSTITUTE, Seen};
use super::{Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State, Step};
use crate::base::{Content, Map, Output, Script, Value, quote};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "command",
    aliases: &[],
    summary: "runs a program with arguments, without a shell",
    options: &[
        Opt::new("cmd", OptKind::Text, "the program and its arguments, quoted as for a shell")
            .aliases(&["free_form", "_raw_params"]),
        Opt::new("argv", OptKind::List, "the program and its arguments as a list"),
        Opt::new("chdir", OptKind::Path, "the folder to run in"),
        Opt::new("creates", OptKind::Path, "does not run when this path (a glob) is there"),
        Opt::new("removes", OptKind::Path, "does not run when this path (a glob) is not there"),
        Opt::new("stdin", OptKind::Text, "what the program reads"),
        Opt::new("stdin_add_newline", OptKind::Bool, "ends `stdin` with a newline").default("true"),
        Opt::new("strip_empty_ends", OptKind::Bool, "removes newlines at the end of the output").default("true"),
        Opt::new("expand_argument_vars", OptKind::Bool, "expands `$NAME` and `~` in arguments").default("true"),
        Opt::refused("executable", "`command` has no shell to choose; use `shell`"),
    ],
    free_form: Some("cmd"),
    open: false,
    rules: &[Rule::OneOf(&["cmd", "argv"]), Rule::AtMostOne(&["cmd", "argv"])],
    check: None,
    build,
};

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Run {
    /// A program with arguments, and whether variables in them are expanded.
    Words(Vec<String>, bool),
    /// Text for a shell.
    Shell {
        /// The shell.
        executable: String,
        /// The text.
        text: String,
    },
}

/// A command of the user.
#[derive(Debug, Clone)]
pub(super) struct Exec {
    /// What is run.
    pub(super) run: Run,
    /// Where.
    pub(super) chdir: Option<String>,
    /// Not when this is there.
    pub(super) creates: Option<String>,
    /// Not when this is missing.
    pub(super) removes: Option<String>,
    /// Its standard input.
    pub(super) stdin: Option<String>,
    /// Whether ends are stripped.
    pub(super) strip: bool,
    /// Whether the result names the command (`raw` does not).
    pub(super) named: bool,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let words = match arguments.text("cmd") {
        Some(text) => split_words(&text)?,
        None => arguments.list("argv"),
    };
    if words.first().is_none_or(String::is_empty) {
        return Err(Failure::new("no command given").with("rc", 256));
    }
    let run = Run::Words(words, arguments.flag("expand_argument_vars"));
    Ok(Bound::State(Box::new(Exec::of(arguments, run))))
}

/// Splits a command line into words as Python's `shlex` does.
fn split_words(text: &str) -> Result<Vec<String>, Failure> {
    // A `#` within a line is a character to Python and the start of a comment to the crate: escaping keeps it.
    let mut kept = String::with_capacity(text.len());
    let (mut single, mut double, mut escaped) = (false, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if !single => escaped = true,
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '#' if !single && !double => kept.push('\\'),
            _ => {}
        }
        kept.push(c);
    }
    shlex::split(&kept)
        .ok_or_else(|| Failure::new(format!("a quote in the command has no end: `{text}`")).with("rc", 256))
}

impl Exec {
    /// Binds the options that `command` and `shell` share.
    pub(super) fn of(arguments: &Arguments, run: Run) -> Self {
        let newline = if arguments.flag("stdin_add_newline") { "\n" } else { "" };
        Self {
            run,
            chdir: arguments.text("chdir"),
            creates: arguments.text("creates"),
            removes: arguments.text("removes"),
            stdin: arguments.text("stdin").map(|text| text + newline),
            strip: arguments.flag("strip_empty_ends"),
            named: true,
        }
    }

    fn cmd(&self) -> Value {
        match &self.run {
            Run::Words(words, _) => words.iter().map(|word| Value::from(word.as_str())).collect(),
            Run::Shell { text, .. } => Value::from(text.as_str()),
        }
    }

    /// The command as one line.
    fn line(&self) -> String {
        match &self.run {
            Run::Words(words, _) => words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "),
            Run::Shell { text, .. } => text.clone(),
        }
    }

    /// What a person would type: the same words, in the same folder, with the same input.
    fn by_hand(&self) -> String {
        let typed = match &self.run {
            Run::Words(words, true) => words.iter().map(|word| expanding(word)).collect::<Vec<_>>().join(" "),
            Run::Words(..) => self.line(),
            Run::Shell { executable, text } if executable == "/bin/sh" => text.clone(),
            Run::Shell { executable, text } => format!("{} -c {}", quote(executable), quote(text)),
        };
        let typed = match &self.chdir {
            Some(folder) => format!("cd {} && {typed}", expanding(folder)),
            None => typed,
        };
        match &self.stdin {
            Some(text) => format!("printf %s {} | {{ {typed}; }}", quote(text)),
            None => typed,
        }
    }

    fn not_run(&self, why: &str, skipped: &str) -> Change {
        let mut result = self.result(&Output::default());
        let stdout = format!("skipped, since {skipped}");
        result.insert("stdout_lines".to_owned(), Value::Array(vec![stdout.clone().into()]));
        result.insert("stdout".to_owned(), stdout.into());
        result.insert("msg".to_owned(), format!("Did not run command since {why}").into());
        Change::none(result)
    }

    fn result(&self, output: &Output) -> Map {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            if self.strip { text.trim_end_matches(['\r', '\n']).to_owned() } else { text }
        };
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let mut result = Map::new();
        if self.named {
            result.insert("cmd".to_owned(), self.cmd());
            for key in ["start", "end", "delta"] {
                result.insert(key.to_owned(), Value::Null);
            }
            result.insert("msg".to_owned(), "".into());
        }
        result.insert("rc".to_owned(), output.status.into());
        result.insert("stdout_lines".to_owned(), lines(&stdout));
        result.insert("stderr_lines".to_owned(), lines(&stderr));
        result.insert("stdout".to_owned(), stdout.into());
        result.insert("stderr".to_owned(), stderr.into());
        let cut: Vec<Value> = [("stdout", output.stdout_cut), ("stderr", output.stderr_cut)]
            .into_iter()
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(name, bytes)| Value::from(format!("{bytes} bytes in the middle of {name} were left out")))
            .collect();
        if !cut.is_empty() {
            result.insert("warnings".to_owned(), Value::Array(cut));
        }
        result
    }
}

/// A word as a shell is given it when `~` and variables in it are expanded, and nothing else is.
fn expanding(word: &str) -> String {
    if !word.starts_with('~') && !word.contains('$') {
        return quote(word);
    }
    // A tilde is only expanded outside quotes, and a variable must not be split.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let home = word.strip_prefix('~').map_or("", |rest| {
        let end = rest.find('/').unwrap_or(rest.len());
        let user = rest.get(..end).unwrap_or("");
        if user.chars().all(plain) { word.get(..=end).unwrap_or("") } else { "" }
    });
    let rest = word.get(home.len()..).unwrap_or("");
    if rest.is_empty() {
        return home.to_owned();
    }
    let mut text = format!("{home}\"");
    let mut characters = rest.chars().peekable();
    while let Some(c) = characters.next() {
        let is_variable = c == '$' && characters.peek().is_some_and(|c| c.is_ascii_alphabetic() || "_{".contains(*c));
        if matches!(c, '"' | '\\' | '`' | '$') && !is_variable {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

/// Lines as Python's `splitlines` sees them.
fn lines(text: &str) -> Value {
    let is_end =
        |c: char| matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(is_end) {
        let (line, after) = rest.split_at(end);
        found.push(Value::from(line));
        let width = if after.starts_with("\r\n") { 2 } else { after.chars().next().map_or(1, char::len_utf8) };
        rest = after.get(width..).unwrap_or("");
    }
    if !rest.is_empty() {
        found.push(rest.into());
    }
    Value::Array(found)
}

/// Says on standard error that the command could not be started, in a form that `finish` knows again.
const CANNOT: &str = r#"cannot() { printf 'stagger: %s %s\n' "$1" "$2" >&2; exit 127; }"#;

const GO: &str = r#"case $1 in
*/*) [ -e "$1" ] || cannot 2 "[Errno 2] No such file or directory: b'$1'"
[ -x "$1" ] && [ ! -d "$1" ] || cannot 13 "[Errno 13] Permission denied: b'$1'";;
*) program=; IFS=:
for place in $PATH; do [ -f "${place:-.}/$1" ] && [ -x "${place:-.}/$1" ] && { program=1; break; }; done
unset IFS
[ -n "$program" ] || cannot 2 "[Errno 2] No such file or directory: b'$1'";;
esac
exec "$@""#;

const PRESENT: &str = r#"present() { substitute "$2"; IFS=; set -- "$1" $word; unset IFS; if [ -e "$2" ] || [ -L "$2" ]; then printf '%s yes\n' "$1"; else printf '%s no\n' "$1"; fi; }
[ -z "$chdir" ] || { substitute "$chdir"; cd "$word" 2>/dev/null || echo nowhere; }"#;

impl State for Exec {
    fn probe(&self) -> Script {
        if self.creates.is_none() && self.removes.is_none() {
            return Script::new();
        }
        let mut script = Script::new().line(LOOK).set("chdir", self.chdir.as_deref().unwrap_or("")).line(PRESENT);
        if let Some(path) = &self.creates {
            script = script.command(["present", "creates", path]);
        }
        if let Some(path) = &self.removes {
            script = script.command(["present", "removes", path]);
        }
        script.line("echo end")
    }

    fn begun(&self) -> Output {
        Output { stdout: b"creates no\nremoves yes\nend\n".to_vec(), ..Output::default() }
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        if self.creates.is_some() || self.removes.is_some() {
            let seen = Seen::parse(seen)?;
            let is = |key: &str| seen.get(key) == Some("yes");
            if let Some(path) = self.creates.as_ref().filter(|_| is("creates")) {
                return Ok(self.not_run(&format!("'{path}' exists"), &format!("{path} exists")));
            }
            if let Some(path) = self.removes.as_ref().filter(|_| !is("removes")) {
                return Ok(self.not_run(&format!("'{path}' does not exist"), &format!("{path} does not exist")));
            }
        }
        let mut script = Script::new().line(CANNOT);
        let expands = |word: &String| word.contains('$') || word.starts_with('~');
        let words = match &self.run {
            Run::Words(words, expand) => words.iter().map(|word| (word.as_str(), *expand && expands(word))).collect(),
            Run::Shell { executable, text } => {
                vec![(executable.as_str(), false), ("-c", false), (text.as_str(), false)]
            }
        };
        if self.chdir.is_some() || words.iter().any(|(_, expand)| *expand) {
            script = script.line(SUBSTITUTE);
        }
        if let Some(folder) = &self.chdir {
            script = script
                .command(["substitute", folder])
                .line("cd \"$word\" 2>/dev/null || cannot - \"Unable to change directory before execution: $word\"");
        }
        if words.iter().any(|(_, expand)| *expand) {
            script = script.line("set --");
            for (word, expand) in words {
                script = match expand {
                    true => script.command(["substitute", word]).line("set -- \"$@\" \"$word\""),
                    false => script.set("word", word).line("set -- \"$@\" \"$word\""),
                };
            }
            script = script.line("unset word rest key after who home stagger_env");
        } else {
            script = script.arguments(words.into_iter().map(|(word, _)| word));
        }
        script = script.line(GO);
        let summary = format!("run `{}`", self.line());
        let step = match &self.stdin {
            Some(text) => Step::send(summary, script, Content::text(text.as_str())),
            None => Step::script(summary, script),
        };
        let mut result = Map::new();
        if self.named {
            result.insert("cmd".to_owned(), self.cmd());
        }
        Ok(Change { steps: vec![step.opaque().once().by_hand(self.by_hand())], result })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        // `creates` or `removes` said that there is nothing to do.
        if change.steps.is_empty() {
            return Ok(change.result);
        }
        let Some(Applied::Output(output)) = outputs.first() else {
            return Err(Failure::new("the command was not run"));
        };
        if let Some((rc, why)) = not_started(output) {
            let mut failure = Failure::new(match rc {
                Some(_) => format!("Error executing command: {why}"),
                None => why,
            });
            failure.result = self.result(&Output::default());
            failure.result.insert("rc".to_owned(), rc.into());
            failure.result.insert("changed".to_owned(), false.into());
            failure.result.remove("msg");
            return Err(failure);
        }
        let mut result = self.result(output);
        if output.status == 0 {
            return Ok(result);
        }
        result.remove("msg");
        result.insert("changed".to_owned(), true.into());
        Err(Failure { message: "non-zero return code".to_owned(), result })
    }
}

fn not_started(output: &Output) -> Option<(Option<i32>, String)> {
    if output.status != 127 {
        return None;
    }
    let said = output.err();
    let (code, why) = said.strip_prefix("stagger: ")?.split_once(' ')?;
    Some((code.parse().ok(), why.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn words_reach_the_program_as_they_are() {
        for kind in KINDS {
            let host = Host::new(kind);
            let run = |arguments: Value| host.task("command", arguments).unwrap()["stdout"].clone();
            assert_eq!(run(json!({"cmd": "echo 'a  b' \"c\"d # e; f | g"})), "a  b cd # e; f | g");
            assert_eq!(
                run(json!({"argv": ["printf", "%s,", "*", "$HOME", "a b", "", "-n"]})),
                format!("*,{},a b,,-n,", host.folder().display())
            );
            assert_eq!(
                run(json!({"cmd": "echo ${HOME}x $NOT_SET ~/y $1", "chdir": host.path("")})),
                format!("{0}x $NOT_SET {0}/y $1", host.folder().display())
            );
            assert_eq!(run(json!({"cmd": "echo $HOME", "expand_argument_vars": false})), "$HOME");
            assert_eq!(run(json!({"cmd": "cat", "stdin": "line"})), "line");
            assert_eq!(run(json!({"cmd": "cat"})), "");
            assert_eq!(run(json!({"cmd": "printf 'a\\n\\n'", "strip_empty_ends": false})), "a\n\n");
            assert_eq!(run(json!({"cmd": "pwd", "chdir": "/usr"})), "/usr");
        }
    }

    #[test]
    fn failures_carry_what_ansible_registers() {
        for kind in KINDS {
            let host = Host::new(kind);
            let failed = host.task("command", json!({"cmd": "sh -c 'echo a; echo b >&2; exit 3'"})).unwrap_err();
            assert_eq!(failed.message, "non-zero return code");
            assert_eq!((&failed.result["rc"], &failed.result["stderr_lines"]), (&json!(3), &json!(["b"])));
            let missing = host.task("command", json!({"cmd": "no-such-program x"})).unwrap_err();
            assert_eq!((missing.result["rc"].clone(), missing.message.contains("No such file")), (json!(2), true));
            assert_eq!(host.task("command", json!({"cmd": "/etc/passwd"})).unwrap_err().result["rc"], 13);
            assert!(
                host.task("command", json!({"cmd": "true", "chdir": "/none"}))
                    .unwrap_err()
                    .message
                    .contains("change directory")
            );
            let status = host.task("command", json!({"cmd": "sh -c 'exit 127'"})).unwrap_err();
            assert_eq!(status.result["rc"], 127);
            assert!(host.task("command", json!({"cmd": "echo 'open"})).unwrap_err().message.contains("quote"));
        }
    }

    #[test]
    fn what_a_person_would_type_does_the_same() {
        let typed = |words: &[&str], chdir: Option<&str>, stdin: Option<&str>| {
            let run = Run::Words(words.iter().map(|word| (*word).to_owned()).collect(), true);
            let own = |text: Option<&str>| text.map(str::to_owned);
            Exec { run, chdir: own(chdir), creates: None, removes: None, stdin: own(stdin), strip: true, named: true }
                .by_hand()
        };
        assert_eq!(typed(&["echo", "a b", "$(x)`y`$HOME"], None, None), "echo 'a b' \"\\$(x)\\`y\\`$HOME\"");
        assert_eq!(typed(&["ls", "~/a b"], Some("/srv/x y"), None), "cd '/srv/x y' && ls ~\"/a b\"");
        assert_eq!(typed(&["cat"], None, Some("it's\n")), "printf %s 'it'\\''s\n' | { cat; }");
    }

    #[test]
    fn creates_and_removes_are_globs() {
        for kind in KINDS {
            let host = Host::new(kind);
            let touch = json!({"cmd": "touch 'made it.1'", "creates": "made*.[0-9]", "chdir": host.path("")});
            let first = host.changes_once("command", touch.clone());
            assert_eq!(first["rc"], 0);
            let skipped = host.task("command", touch).unwrap();
            assert_eq!(skipped["stdout"], "skipped, since made*.[0-9] exists");
            assert_eq!(skipped["msg"], "Did not run command since 'made*.[0-9]' exists");
            let removes = json!({"cmd": "echo x", "removes": host.path("none*")});
            assert_eq!(host.task("command", removes).unwrap()["changed"], false);
            let shell = host.task("shell", json!({"cmd": "echo \"$0\"; cat; exit 0", "stdin": "x y"})).unwrap();
            assert_eq!(shell["stdout_lines"], json!(["/bin/sh", "x y"]));
            assert_eq!(host.task("raw", json!({"cmd": "echo hi"})).unwrap()["stdout"], "hi\n");
        }
    }
}
