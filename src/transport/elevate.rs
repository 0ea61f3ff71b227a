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
    /// The program asks only on a terminal.
    pub(super) terminal: bool,
}

/// What a question for the password looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prompt {
    /// Exactly this text, which was given to the program.
    Exact(String),
    /// Any that ends like a password prompt.
    Any,
}

impl Prompt {
    /// How often a text asks.
    pub(super) fn count(&self, text: &str) -> usize {
        match self {
            Self::Exact(prompt) => text.matches(prompt.as_str()).count(),
            Self::Any => text.to_lowercase().matches("password").filter(|_| text.trim_end().ends_with(':')).count(),
        }
    }
}

/// Wraps a command line. `nonce` makes the prompt one that nothing else prints.
///
/// # Errors
/// The method isn't known, or its flags can't be read.
pub(super) fn elevate(r#become: &Become, line: &str, nonce: &str) -> Result<Elevation, String> {
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
    // su takes one word for its shell, the others take the words of the command.
    text.push_str(&if method == "su" { quote(line) } else { line.to_owned() });
    Ok(Elevation { line: text, prompt, terminal: asks && method == "doas" })
}

/// Whether the program wants a terminal for its question.
pub(super) fn wants_terminal(complaint: &str) -> bool {
    let lower = complaint.to_lowercase();
    lower.contains("must be run from a terminal")
        || lower.contains("a tty is required")
        || lower.contains("a terminal is required")
}

/// What a failed attempt means. `complaint` is what the program said, `asked` how often it asked for the password.
pub(super) fn explain(r#become: &Become, complaint: &str, asked: usize, status: Option<i32>) -> String {
    let method = &r#become.method;
    let user = &r#become.user;
    let given = r#become.password.is_some();
    let lower = complaint.to_lowercase();
    let said: Vec<&str> =
        complaint.lines().map(str::trim).filter(|l| !l.is_empty() && !l.contains("asks for the sudo")).collect();
    let said = said.join("; ");
    let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
    let why = if lower.contains("not in the sudoers")
        || lower.contains("is not allowed to")
        || lower.contains("may not run")
    {
        "the login user is not allowed to: its sudoers entry is missing or narrower".to_owned()
    } else if lower.contains("must have a tty") || wants_terminal(complaint) && !lower.contains("askpass") {
        "it insists on a terminal: remove `Defaults requiretty` for the login user in its sudoers".to_owned()
    } else if lower.contains("unknown user")
        || lower.contains("user does not exist")
        || lower.contains("does not exist")
    {
        format!("there is no user {user} on the host")
    } else if given
        && (asked > 1
            || lower.contains("incorrect password")
            || lower.contains("authentication failure")
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
        let plain = elevate(&to("sudo", None), "sh -c x", "n").unwrap();
        assert_eq!(plain.line, "sudo -H -S -n -u root sh -c x");
        let asked = elevate(&to("sudo", Some("geheim")), "sh -c x", "n").unwrap();
        assert_eq!(asked.line, "sudo -H -S -p '[stagger n asks for the sudo password]' -u root sh -c x");
        assert_eq!(elevate(&to("su", None), "sh -c 'x y'", "n").unwrap().line, "su root -c 'sh -c '\\''x y'\\'''");
        assert_eq!(elevate(&to("doas", None), "sh -c x", "n").unwrap().line, "doas -n -u root sh -c x");
        assert!(elevate(&to("pbrun", None), "x", "n").unwrap_err().contains("pbrun"));
    }

    #[test]
    fn complaints_are_explained() {
        let say = |password, text: &str, asked| explain(&to("sudo", password), text, asked, Some(1));
        assert!(say(None, "sudo: a password is required\n", 0).contains("-K asks"));
        assert!(say(Some("x"), "Sorry, try again.\n", 2).contains("password is wrong"));
        assert!(say(Some("x"), "bob is not in the sudoers file.", 1).contains("sudoers entry"));
        assert!(say(None, "sudo: sorry, you must have a tty to run sudo", 0).contains("requiretty"));
    }
}
