//! The shell texts around a command. All of it is POSIX; dash, bash and busybox ash run it.
//!
//! The command's own text never stands on a command line, where every user of the host could read it: it is sent on
//! standard input and handed on in variables that are unset before it runs.

use std::fmt::Write as _;

use crate::base::{Content, quote};

use super::Command;

/// The kernel takes at most 128 KiB for one variable.
const PIECE: usize = 100_000;

/// More text than this can't be handed on in variables.
pub(super) const LARGEST: usize = 1_500_000;

/// Content up to this size is sent along with the command: a pipe takes it even when nobody reads.
const SMALL: usize = 32 * 1024;

/// The text that the command's own shell evaluates: the environment, then the script.
///
/// # Errors
/// A variable's name is none.
pub(super) fn full_script(command: &Command) -> Result<String, String> {
    let mut text = String::new();
    for (name, value) in &command.environment {
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("`{name}` can't be the name of an environment variable"));
        }
        let _ = writeln!(text, "export {name}={}", quote(value));
    }
    text.push_str(command.script.as_str());
    if text.contains('\0') {
        return Err("the script has a NUL character, which no shell can read".to_owned());
    }
    if text.len() > LARGEST {
        return Err(format!("the script has {} bytes, {LARGEST} at most can be run", text.len()));
    }
    Ok(text)
}

/// Content that can stand in the text for the shell.
pub(super) fn small_text(content: &Content) -> Option<&str> {
    match content {
        Content::Bytes(bytes) if bytes.len() <= SMALL && !bytes.contains(&0) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// A script as it is sent to the shell of [`once`]: with a seal at its end, so that one that was cut off on the way is not run.
pub(super) fn sealed(nonce: &str, script: &str) -> String {
    format!("{script}\n#{nonce}")
}

/// A command line (one line, no secrets) that runs one [`sealed`] script of `length` bytes from its standard input.
///
/// It says `?`, reads the script, says `<` with its process group, when it began and which start of the host this is, on standard
/// error only `<`, and evaluates it.
pub(super) fn once(shell: &str, nonce: &str, length: usize, with_input: bool) -> String {
    let close = if with_input { "" } else { "exec </dev/null; " };
    let text = format!(
        "printf \"\\036{nonce}?\\n\"; stagger_s=$(head -c {length}); case $stagger_s in *\"#{nonce}\") ;; *) exit 255;; esac; \
         {{ read -r stagger_q </proc/$$/stat; read -r stagger_b </proc/sys/kernel/random/boot_id; }} 2>/dev/null; \
         set -- ${{stagger_q##*) }}; printf \"\\036{nonce}<%s %s %s\\n\" \"${{3:-$$}}\" \"${{20:-0}}\" \"$stagger_b\"; \
         printf \"\\036{nonce}<\\n\" >&2; set --; {close}\
         eval \"unset stagger_s stagger_q stagger_b; ${{stagger_s%?#{nonce}}}\""
    );
    format!("{} -c {}", quote(shell), quote(&text))
}

/// A command line that starts a shell which reads commands.
pub(super) fn persistent(shell: &str, nonce: &str) -> String {
    let shell = quote(shell);
    format!("{shell} -c {}", quote(&format!("printf \"\\036{nonce}?\\n\"; exec {shell}")))
}

/// What a new shell is told first: how to notice children that keep its output open; it says whether it has setsid, and which
/// process it is.
///
/// Whoever holds the same pipe or socket as the shell's own output after a command has ended is a forgotten child of
/// it. The shell's own parents hold it from the beginning.
pub(super) fn prepare(nonce: &str) -> String {
    format!(
        "stagger_held() {{ stagger_h=; for stagger_p in /proc/[0-9]*; do if [ \"$stagger_p/fd/1\" -ef \"/proc/$$/fd/1\" ] || \
         [ \"$stagger_p/fd/2\" -ef \"/proc/$$/fd/2\" ]; then stagger_h=\"$stagger_h $stagger_p\"; fi; done; }}\n\
         stagger_held 2>/dev/null; stagger_b=$stagger_h\n\
         if command -v setsid >/dev/null 2>&1 && [ -e \"/proc/$$/fd/1\" ]; then stagger_r=ready; else stagger_r=poor; fi\n\
         {{ read -r stagger_q </proc/$$/stat; read -r stagger_n </proc/sys/kernel/random/boot_id; }} 2>/dev/null\n\
         set -- ${{stagger_q##*) }}; stagger_r=\"$stagger_r $$ ${{20:-0}} $stagger_n\"; set --\n\
         printf '\\036{nonce}<\\n' >&2; printf '\\036{nonce}<\\n'\n\
         printf '\\036{nonce}>%s\\n' \"$stagger_r\"; printf '\\036{nonce}>\\n' >&2\n"
    )
}

/// The text that has a prepared shell run one command, in a session of its own.
pub(super) fn framed(shell: &str, nonce: &str, script: &str, input: Option<&str>) -> String {
    let mut variables = String::new();
    let mut names = String::new();
    let mut values = String::new();
    for (number, piece) in pieces(script).into_iter().enumerate() {
        let _ = write!(variables, "stagger_s{number}={} ", quote(piece));
        let _ = write!(names, " stagger_s{number}");
        let _ = write!(values, "$stagger_s{number}");
    }
    let inner = format!("printf \"\\036{nonce}<%s\\n\" \"$$\"; eval \"unset{names}; {values}\"");
    let (before, after) = match input {
        Some(text) => (format!("printf %s {} | ", quote(text)), ""),
        None => (String::new(), " </dev/null"),
    };
    format!(
        "printf '\\036{nonce}<\\n' >&2\n{before}{variables}setsid {} -c {}{after}\nstagger_r=$?; stagger_held 2>/dev/null\n\
         if [ \"$stagger_h\" = \"$stagger_b\" ]; then stagger_h=0; else stagger_h=1; fi\n\
         printf '\\036{nonce}>%s %s\\n' \"$stagger_r\" \"$stagger_h\"; printf '\\036{nonce}>\\n' >&2\n",
        quote(shell),
        quote(&inner),
    )
}

/// The text that has a prepared shell look at something, in a subshell of its own.
///
/// Starting `setsid` and a shell takes longer than most looks. What is lost is a process group of its own: to kill
/// it, the whole shell is killed. It is text of ours that leaves nothing running, so nobody is searched who holds the output.
pub(super) fn looked(nonce: &str, script: &str) -> String {
    format!(
        "printf '\\036{nonce}<\\n' >&2; printf '\\036{nonce}<%s\\n' \"$$\"\n( eval {} ) </dev/null\nstagger_r=$?\n\
         printf '\\036{nonce}>%s 0\\n' \"$stagger_r\"; printf '\\036{nonce}>\\n' >&2\n",
        quote(script),
    )
}

/// The script that ends a process group: asks, waits at most two seconds, and insists.
pub(super) fn kill_group(group: u32) -> String {
    format!(
        "kill -TERM -{group} 2>/dev/null || kill -TERM {group} 2>/dev/null\n\
         stagger_n=0\n\
         while kill -0 -{group} 2>/dev/null && [ $stagger_n -lt 20 ]; do sleep 0.1 2>/dev/null || sleep 1; \
         stagger_n=$((stagger_n+1)); done\n\
         kill -KILL -{group} 2>/dev/null || kill -KILL {group} 2>/dev/null\n:\n"
    )
}

/// Cuts a text into pieces that fit into a variable each.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > PIECE {
        let mut place = PIECE;
        while !rest.is_char_boundary(place) {
            place -= 1;
        }
        let (now, later) = rest.split_at(place);
        pieces.push(now);
        rest = later;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Script;

    #[test]
    fn scripts_and_content_stay_off_command_lines() {
        let line = once("/bin/sh", "abc", 10, true);
        assert!(!line.contains('\n') && line.contains("head -c 10"), "{line}");
        let text = framed("/bin/sh", "abc", "echo geheim", Some("word"));
        let command = text.split("setsid").nth(1).unwrap();
        assert!(!command.contains("geheim") && !command.contains("word"), "{command}");
    }

    #[test]
    fn long_scripts_are_cut_between_characters() {
        let text = "é".repeat(120_000);
        let cut = pieces(&text);
        assert_eq!(cut.len(), 3);
        assert_eq!(cut.concat(), text);
    }

    #[test]
    fn a_script_that_was_cut_off_on_the_way_is_not_run() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let nonce = "0123456789abcdef0123456789abcdef";
        let script = "echo half; printf %s whole\\";
        let text = sealed(nonce, script);
        for shell in ["dash", "bash", "busybox sh"] {
            for length in [0, 10, text.len() - 1, text.len()] {
                let line = once("SHELL", nonce, text.len(), true).replacen("SHELL", shell, 1);
                let mut child = Command::new("sh")
                    .args(["-c", &line])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                child.stdin.take().unwrap().write_all(&text.as_bytes()[..length]).unwrap();
                let output = child.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                let whole = length == text.len();
                assert_eq!(said.contains("half"), whole, "{shell} {length}: {said}");
                assert_eq!(output.status.code(), Some(if whole { 0 } else { 255 }), "{shell} {length}");
                assert!(!whole || said.ends_with("whole\\"), "{shell}: {said}");
            }
        }
    }

    #[test]
    fn bad_environment_names_are_refused() {
        let mut command = Command::new(Script::new().line("env"));
        command.environment.push(("A B".to_owned(), "x".to_owned()));
        assert!(full_script(&command).unwrap_err().contains("`A B`"));
        command.environment = vec![("A".to_owned(), "it's".to_owned())];
        assert_eq!(full_script(&command).unwrap(), "export A='it'\\''s'\nenv\n");
    }
}
