//! `encrypt_string`: values as `!vault` variables.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use super::file::{self, Old};
use super::keys::Failure;
use super::{Work, done, misfit};
use crate::app::{complain, with_causes};
use crate::cli::{Exit, ToSeal};
use crate::report::prompt::{PromptError, ask};

/// How far Ansible indents the encrypted lines.
const INDENT: &str = "          ";

/// A value, where it came from, and the variable's name.
struct Value {
    text: Vec<u8>,
    from: &'static str,
    name: Option<String>,
}

impl Work<'_> {
    /// Encrypts values and writes them as variables.
    pub(super) fn encrypt_string(&self, strings: &ToSeal) -> Result<(), Failure> {
        let dash = strings.texts.iter().any(|text| text == "-");
        let stdin = dash || strings.stdin_name.is_some() || (strings.texts.is_empty() && !strings.prompt);
        if strings.prompt && stdin {
            return Err(misfit("The --prompt option is not supported if also reading input from stdin"));
        }
        let key = self.new_key()?;
        let mut values = Vec::new();
        if strings.prompt {
            values.push(prompted(strings.show_input)?);
        }
        if stdin {
            values.push(Value { text: from_stdin()?, from: "stdin", name: strings.stdin_name.clone() });
        }
        values.extend(arguments(strings)?);
        let several = values.len() > 1;
        let mut out = String::new();
        for (value, number) in values.iter().zip(1..) {
            let closed = self.seal(&value.text, &key, &key.label)?;
            if several {
                complain(&match &value.name {
                    Some(name) => format!(
                        "# The encrypted version of variable (\"{name}\", the string #{number} from {}).\n",
                        value.from
                    ),
                    None => format!("# The encrypted version of the string #{number} from {}.)\n", value.from),
                });
            }
            out.push_str(&variable(value.name.as_deref(), &closed));
        }
        file::write(self.request.output.as_deref().unwrap_or(Path::new("-")), out.as_bytes(), Old::Leave)?;
        done("Encryption successful");
        Ok(())
    }
}

/// A closed text as a variable.
fn variable(name: Option<&str>, closed: &str) -> String {
    let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let lines: String = closed.lines().map(|line| format!("{INDENT}{line}\n")).collect();
    format!("{name}!vault |\n{lines}")
}

fn prompted(show: bool) -> Result<Value, Failure> {
    let asked = |question: &str, echo: bool| {
        let answer = ask(question, echo, None, &|| false).map_err(|error| match error {
            PromptError::Interrupted => (error.to_string(), Exit::Interrupted),
            _ => (with_causes(&error), Exit::Error),
        })?;
        Ok(answer.map(|text| text.reveal().to_owned()).unwrap_or_default())
    };
    let name = asked("Variable name (enter for no name): ", true)?;
    let question = if show { "String to encrypt:" } else { "String to encrypt (hidden): " };
    let text = asked(question, show)?;
    if text.is_empty() {
        return Err(misfit("The plaintext provided from the prompt was empty, not encrypting"));
    }
    let name = Some(name).filter(|name| !name.is_empty());
    Ok(Value { text: text.into_bytes(), from: "the interactive prompt", name })
}

fn from_stdin() -> Result<Vec<u8>, Failure> {
    let shown = std::io::stdout().is_terminal();
    if shown {
        let twice = "(ctrl-d to end input, twice if your content does not already have a newline)";
        complain(&format!("Reading plaintext input from stdin. {twice}\n"));
    }
    let mut text = Vec::new();
    std::io::stdin()
        .read_to_end(&mut text)
        .map_err(|error| (format!("cannot read standard input: {error}"), Exit::Error))?;
    if text.is_empty() {
        return Err(misfit("stdin was empty, not encrypting"));
    }
    if shown && !text.ends_with(b"\n") {
        crate::app::print("\n");
    }
    Ok(text)
}

/// The texts of the command line with their names.
fn arguments(strings: &ToSeal) -> Result<Vec<Value>, Failure> {
    let texts: Vec<&String> = strings.texts.iter().filter(|text| *text != "-").collect();
    if let Some(last) = strings.names.last().filter(|_| texts.len() > strings.names.len()) {
        complain("The number of --name options do not match the number of args.\n");
        complain(&format!("The last named variable will be \"{last}\". The rest will not have names.\n"));
    }
    let mut names = strings.names.iter().cloned();
    texts
        .into_iter()
        .map(|text| match text.as_str() {
            "" => Err(misfit("The plaintext provided from the command line args was empty, not encrypting")),
            text => Ok(Value { text: text.as_bytes().to_vec(), from: "the command line args", name: names.next() }),
        })
        .collect()
}
