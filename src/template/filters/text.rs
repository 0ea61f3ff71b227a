//! Filters on text and paths.

use std::fmt::Write as _;

use base64::Engine as _;
use minijinja::value::Value as Jinja;
use minijinja::{Error, State};

use super::Filter;
use super::call::{Call, failed, text_of};

pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("string", |_, call| Ok(Jinja::from(call.input_text()?))),
    ("split", split),
    ("join", join),
    ("quote", |_, call| Ok(Jinja::from(shell_quote(&call.input_text()?)))),
    ("basename", |_, call| Ok(Jinja::from(basename(&call.input_text()?)))),
    ("dirname", |_, call| Ok(Jinja::from(dirname(&call.input_text()?)))),
    ("splitext", splitext),
    ("path_join", path_join),
    ("b64encode", b64encode),
    ("b64decode", b64decode),
    ("ternary", ternary),
    ("comment", comment),
    ("urlencode", urlencode),
    ("center", center),
    ("wordcount", |_, call| Ok(Jinja::from(words(&call.input_text()?)))),
    ("type_debug", type_debug),
];

/// How many runs of letters, digits and underscores there are: `a-b` is two words, as in Jinja.
fn words(text: &str) -> usize {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).count()
}

fn split(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let text = call.input_text()?;
    let most = call.integer(1, "maxsplit")?.and_then(|most| usize::try_from(most).ok());
    let separator = match call.argument(0, "sep") {
        Some(separator) if !separator.is_none() => Some(text_of(&separator)?),
        _ => None,
    };
    let parts: Vec<Jinja> = match (separator, most) {
        (Some(separator), _) if separator.is_empty() => return Err(failed("`split` can't split at nothing")),
        (Some(separator), Some(most)) => text.splitn(most + 1, &separator).map(Jinja::from).collect(),
        (Some(separator), None) => text.split(&separator).map(Jinja::from).collect(),
        (None, Some(most)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start();
            while parts.len() < most && !rest.is_empty() {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                parts.push(Jinja::from(word));
                rest = after.trim_start();
            }
            if !rest.is_empty() {
                parts.push(Jinja::from(rest.trim_end()));
            }
            parts
        }
        (None, None) => text.split_whitespace().map(Jinja::from).collect(),
    };
    Ok(Jinja::from(parts))
}

fn join(state: &mut State, call: &Call) -> Result<Jinja, Error> {
    let between = call.text(0, "d")?.unwrap_or_default();
    let attribute = call.text(1, "attribute")?;
    let mut text = String::new();
    // A text joins its characters, as in Python.
    for (place, item) in call.input.try_iter()?.enumerate() {
        let item = match &attribute {
            Some(path) => super::list::path(&item, path)?,
            None => item,
        };
        crate::template::environment::defined(state, &item)?;
        if place > 0 {
            text.push_str(&between);
        }
        text.push_str(&text_of(&item)?);
    }
    Ok(Jinja::from(text))
}

/// As Python's `shlex.quote`.
fn shell_quote(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%_-+=:,./".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn basename(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn dirname(path: &str) -> String {
    let Some(slash) = path.rfind('/') else { return String::new() };
    let head = path.get(..=slash).unwrap_or_default();
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { head.to_owned() } else { trimmed.to_owned() }
}

fn splitext(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let path = call.input_text()?;
    let name_start = path.rfind('/').map_or(0, |slash| slash + 1);
    let name = path.get(name_start..).unwrap_or_default();
    let leading = name.len() - name.trim_start_matches('.').len();
    let dot = name.get(leading..).and_then(|rest| rest.rfind('.')).map(|dot| name_start + leading + dot);
    let at = dot.unwrap_or(path.len());
    let (root, extension) = path.split_at(at);
    Ok(Jinja::from(vec![Jinja::from(root), Jinja::from(extension)]))
}

fn path_join(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let mut joined = String::new();
    let parts: Vec<Jinja> = match call.input.as_str() {
        Some(_) => vec![call.input.clone()],
        None => call.items()?,
    };
    for part in &parts {
        let part = text_of(part)?;
        if part.starts_with('/') || joined.is_empty() {
            joined = part;
        } else {
            if !joined.ends_with('/') {
                joined.push('/');
            }
            joined.push_str(&part);
        }
    }
    Ok(Jinja::from(joined))
}

fn b64encode(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let _ = call.text(0, "encoding")?;
    Ok(Jinja::from(base64::engine::general_purpose::STANDARD.encode(call.input_text()?)))
}

fn b64decode(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let _ = call.text(0, "encoding")?;
    let text: String = call.input_text()?.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| failed("`b64decode` was given no base64"))?;
    String::from_utf8(bytes).map(Jinja::from).map_err(|_| failed("what `b64decode` gives is not text"))
}

fn ternary(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let (yes, no) = (call.needed(0, "true_val")?, call.needed(1, "false_val")?);
    match call.argument(2, "none_val") {
        Some(none) if call.input.is_none() && !none.is_none() => Ok(none),
        _ => Ok(if call.input.is_true() { yes } else { no }),
    }
}

fn comment(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let style = call.text(0, "style")?.unwrap_or_else(|| "plain".to_owned());
    let (mut begin, mut mark, mut end) = match style.as_str() {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => return Err(failed(format!("`comment` knows no style `{other}`"))),
    };
    let text_argument = |name: &str| call.named(name).map(|value| text_of(&value)).transpose();
    let (own_mark, own_begin, own_end) =
        (text_argument("decoration")?, text_argument("beginning")?, text_argument("end")?);
    mark = own_mark.as_deref().unwrap_or(mark);
    begin = own_begin.as_deref().unwrap_or(begin);
    end = own_end.as_deref().unwrap_or(end);
    let own_prefix = text_argument("prefix")?;
    let own_postfix = text_argument("postfix")?;
    let repeat = |name: &str| call.named(name).and_then(|value| value.as_usize()).unwrap_or(1).min(100);
    let (before, after) = (repeat("prefix_count"), repeat("postfix_count"));
    let around = mark.trim_end();
    let mut lines = Vec::new();
    if !begin.is_empty() {
        lines.push(begin.to_owned());
    }
    let prefix = own_prefix.as_deref().unwrap_or(around);
    let postfix = own_postfix.as_deref().unwrap_or(around);
    lines.extend(std::iter::repeat_n(prefix.to_owned(), before));
    lines.extend(call.input_text()?.lines().map(|line| format!("{mark}{line}").trim_end().to_owned()));
    lines.extend(std::iter::repeat_n(postfix.to_owned(), after));
    if !end.is_empty() {
        lines.push(end.to_owned());
    }
    Ok(Jinja::from(lines.join("\n")))
}

fn urlencode(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let encode = |text: &str, slash: bool| {
        let mut out = String::new();
        for byte in text.bytes() {
            if byte == b' ' && !slash {
                out.push('+');
                continue;
            }
            let plain = byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || (slash && byte == b'/');
            if plain {
                out.push(char::from(byte))
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    };
    if call.input.kind() != minijinja::value::ValueKind::Map {
        return Ok(Jinja::from(encode(&call.input_text()?, true)));
    }
    let mut pairs = Vec::new();
    for key in call.items()? {
        let value = text_of(&call.input.get_item(&key)?)?;
        pairs.push(format!("{}={}", encode(&text_of(&key)?, false), encode(&value, false)));
    }
    Ok(Jinja::from(pairs.join("&")))
}

fn center(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let text = call.input_text()?;
    let width = call.integer(0, "width")?.unwrap_or(80).clamp(0, 10_000);
    let free = usize::try_from(width).unwrap_or(0).saturating_sub(text.chars().count());
    // Python puts the odd blank to the left when the width is odd.
    let left = free / 2 + (free & usize::try_from(width).unwrap_or(0) & 1);
    Ok(Jinja::from(format!("{}{text}{}", " ".repeat(left), " ".repeat(free - left))))
}

fn type_debug(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    use minijinja::value::ValueKind;
    Ok(Jinja::from(match call.input.kind() {
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number if call.input.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Map => "dict",
        _ => "list",
    }))
}
