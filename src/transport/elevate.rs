//! Becoming another user: the command line around the shell, and what the program's complaints mean.

use crate::base::quote;

use super::Become;

/// How a shell is started as somebody else.
#[derive(Debug)]
pub(super) struct Elevation {
    /// The whole command line.
    pub(super) line: String,
    /// The prompt to answer with the password; `None` when none can be asked.
    pub(super) prompt: Option<Prompt>,
    /// The program is started on a terminal, with its streams elsewhere.
    pub(super) terminal: bool,
    /// Its question is answered on the terminal, and not on the stream that the shell reads.
    pub(super) answers_on_terminal: bool,
    /// It reads the answer from its standard input, so that has to be the terminal.
    pub(super) answers_on_input: bool,
}

impl Elevation {
    /// A command line that becomes nobody.
    pub(super) fn none(line: &str) -> Self {
        Self {
            line: line.to_owned(),
            prompt: None,
            terminal: false,
            answers_on_terminal: false,
            answers_on_input: false,
        }
    }
}

/// What a question for the password looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prompt {
    /// Exactly this text, which was given to the program.
    Exact(String),
    /// Any that ends like a password prompt.
    Any,
}

/// What stands in a question for a password, in the languages that su has one in: the host speaks its own.
const ASKING: [&str; 18] = [
    "password",
    "passwort",
    "passord",
    "mot de passe",
    "contraseña",
    "contrasenya",
    "senha",
    "parola",
    "parool",
    "wachtwoord",
    "lösenord",
    "adgangskode",
    "salasana",
    "hasło",
    "heslo",
    "jelszó",
    "пароль",
    "パスワード",
];

impl Prompt {
    /// How often a text asks.
    pub(super) fn count(&self, text: &str) -> usize {
        match self {
            Self::Exact(prompt) => text.matches(prompt.as_str()).count(),
            Self::Any => {
                let lower = text.to_lowercase();
                let asks = lower.trim_end().ends_with([':', '：']);
                if asks { ASKING.iter().map(|word| lower.matches(word).count()).sum() } else { 0 }
            }
        }
    }
}

/// Wraps a command line. `nonce` makes the prompt one that nothing else prints; `terminal` says that the program insisted on one.
///
/// # Errors
/// The method isn't known, or its flags can't be read.
pub(super) fn elevate(r#become: &Become, line: &str, nonce: &str, terminal: bool) -> Result<Elevation, String> {
    let method = r#become.method.as_str();
    let program = r#become.executable.as_deref().unwrap_or(method);
    let default = match method {
        "sudo" => "-H -S -n",
        "su" | "doas" => "",
        other => return Err(format!("become_method {other} is not supported; sudo, su and doas are")),
    };
    let flags = r#become.flags.as_deref().unwrap_or(default);
    let mut flags = shlex::split(flags).ok_or_else(|| format!("become_flags `{flags}`: a quote is not closed"))?;
    let asks = r#become.password.is_some();
    let user = r#become.user.as_str();
    let mut words = vec![program.to_owned()];
    let mut prompt = None;
    match method {
        "sudo" => {
            if asks {
                flags.retain(|flag| flag != "-n" && flag != "--non-interactive");
                if !flags.iter().any(|flag| flag == "-S" || flag == "--stdin") {
                    flags.push("-S".to_owned());
                }
                let text = format!("[stagger {nonce} asks for the sudo password]");
                flags.extend(["-p".to_owned(), text.clone()]);
                prompt = Some(Prompt::Exact(text));
            }
            words.append(&mut flags);
            words.extend(["-u".to_owned(), user.to_owned()]);
        }
        "su" => {
            prompt = asks.then_some(Prompt::Any);
            words.append(&mut flags);
            words.extend([user.to_owned(), "-c".to_owned()]);
        }
        _ => {
            prompt = asks.then_some(Prompt::Any);
            if !asks && !flags.iter().any(|flag| flag == "-n") {
                flags.push("-n".to_owned());
            }
            words.append(&mut flags);
            words.extend(["-u".to_owned(), user.to_owned()]);
        }
    }
    let mut text = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    text.push(' ');
    let terminal = terminal || asks && method == "doas";
    // Whoever reads the password where the shell reads its text finds the terminal there, and the stream beside it.
    let answers_on_input = terminal && method == "su";
    let begun = format!("sh -c {}", quote(&format!("exec <&3 3<&-; {line}")));
    // su takes one word for its shell, the others take the words of the command.
    text.push_str(&match (method, answers_on_input) {
        ("su", true) => quote(&begun),
        ("su", false) => quote(line),
        _ => line.to_owned(),
    });
    let answers_on_terminal = terminal && method != "sudo";
    Ok(Elevation { line: text, prompt, terminal, answers_on_terminal, answers_on_input })
}

/// Whether the program insists on a terminal: sudo under `requiretty`, an old su, doas.
pub(super) fn wants_terminal(complaint: &str) -> bool {
    let lower = complaint.to_lowercase();
    ["must have a tty", "must be run from a terminal", "a tty is required"].iter().any(|words| lower.contains(words))
}

/// What it means that the streams can't be kept off the terminal that the program insists on. `complaint` is what the host said.
pub(super) fn no_bridge(r#become: Option<&Become>, complaint: &str) -> String {
    let (user, method) = r#become.map_or(("somebody", "it"), |b| (b.user.as_str(), b.method.as_str()));
    let said = joined(complaint);
    format!(
        "cannot become {user} by {method}: {method} insists on a terminal, and the named pipes beside it could not be made in the login user's /tmp. It said: {said}"
    )
}

/// What a program said, in one line.
fn joined(complaint: &str) -> String {
    let said: Vec<&str> =
        complaint.lines().map(str::trim).filter(|l| !l.is_empty() && !l.contains("asks for the sudo")).collect();
    said.join("; ").chars().filter(|c| !c.is_control()).take(300).collect()
}

/// What a failed attempt means. `complaint` is what the program said, `asked` how often it asked for the password.
pub(super) fn explain(r#become: &Become, complaint: &str, asked: usize, status: Option<i32>) -> String {
    let method = &r#become.method;
    let user = &r#become.user;
    let given = r#become.password.is_some();
    let lower = complaint.to_lowercase();
    let said = joined(complaint);
    let why = if lower.contains("not in the sudoers")
        || lower.contains("is not allowed to")
        || lower.contains("may not run")
        || method == "doas" && lower.contains("not permitted")
    {
        let table = if method == "doas" { "doas.conf" } else { "sudoers" };
        format!("the login user is not allowed to: its {table} entry is missing or narrower")
    } else if wants_terminal(complaint)
        || method == "doas" && given && asked == 0 && lower.contains("authentication fail")
    {
        "it insists on a terminal, and sshd gives the login user none (`PermitTTY no`, or `no-pty` at the key)"
            .to_owned()
    } else if lower.contains("unknown user")
        || lower.contains("user does not exist")
        || lower.contains("does not exist")
    {
        format!("there is no user {user} on the host")
    } else if given
        && (asked > 1
            || lower.contains("incorrect password")
            || lower.contains("authentication fail")
            || lower.contains("sorry"))
    {
        "the become password is wrong".to_owned()
    } else if !given
        && (lower.contains("password is required") || lower.contains("password:") || lower.contains("authentication"))
    {
        format!(
            "it asks for a password and none was given: -K asks for it, become_password sets it (or {method} without a password is set up on the host)"
        )
    } else if status == Some(127) || lower.contains("not found") {
        format!("there is no {} on the host", r#become.executable.as_deref().unwrap_or(method))
    } else {
        "it ended before the shell began".to_owned()
    };
    if said.is_empty() {
        format!("cannot become {user} by {method}: {why}")
    } else {
        format!("cannot become {user} by {method}: {why}. It said: {said}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    fn to(method: &str, password: Option<&str>) -> Become {
        Become {
            method: method.to_owned(),
            user: "root".to_owned(),
            executable: None,
            flags: None,
            password: password.map(Secret::new),
        }
    }

    #[test]
    fn passwords_are_on_no_command_line() {
        let plain = elevate(&to("sudo", None), "sh -c x", "n", false).unwrap();
        assert_eq!(plain.line, "sudo -H -S -n -u root sh -c x");
        let asked = elevate(&to("sudo", Some("geheim")), "sh -c x", "n", false).unwrap();
        assert_eq!(asked.line, "sudo -H -S -p '[stagger n asks for the sudo password]' -u root sh -c x");
        assert_eq!(
            elevate(&to("su", None), "sh -c 'x y'", "n", false).unwrap().line,
            "su root -c 'sh -c '\\''x y'\\'''"
        );
        assert_eq!(elevate(&to("doas", None), "sh -c x", "n", false).unwrap().line, "doas -n -u root sh -c x");
        assert!(elevate(&to("pbrun", None), "x", "n", false).unwrap_err().contains("pbrun"));
    }

    #[test]
    fn complaints_are_explained() {
        let say = |password, text: &str, asked| explain(&to("sudo", password), text, asked, Some(1));
        assert!(say(None, "sudo: a password is required\n", 0).contains("-K asks"));
        assert!(say(Some("x"), "Sorry, try again.\n", 2).contains("password is wrong"));
        assert!(say(Some("x"), "bob is not in the sudoers file.", 1).contains("sudoers entry"));
        assert!(say(None, "sudo: sorry, you must have a tty to run sudo", 0).contains("PermitTTY"));
    }
}
