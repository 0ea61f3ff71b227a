//! What a task's loop goes over: the list of `loop:`, or what the lookup of `with_…` makes of what is written there.

use serde_json::json;

use super::render::{Room, Trouble};
use crate::base::{Map, Value, to_text, type_name};
use crate::modules::{Failure, to_bool};
use crate::plan::Loop;

/// More items than this in one sequence are a mistake.
const MOST: i64 = 1_000_000;

impl Room {
    /// The items of a loop.
    pub(super) async fn items(&self, repeat: &Loop) -> Result<Vec<Value>, Trouble> {
        let written = self.render(&repeat.items).await?;
        let failed = |message: String| Trouble::Failed(Failure::new(message));
        match (repeat.with, written) {
            (None, Value::Array(items)) => Ok(items),
            (None, other) => Err(failed(format!("`loop` needs a list, not {}", type_name(&other)))),
            (Some(with), Value::Array(terms)) => looked_up(with, terms).map_err(failed),
            (Some(with), term) => looked_up(with, vec![term]).map_err(failed),
        }
    }
}

/// What a lookup makes of its terms (facts/ansible.md §10); the error is a sentence.
fn looked_up(with: &str, terms: Vec<Value>) -> Result<Vec<Value>, String> {
    match with {
        "with_items" => Ok(flat(terms)),
        "with_list" => Ok(terms),
        "with_indexed_items" => Ok(flat(terms).into_iter().enumerate().map(|(at, item)| json!([at, item])).collect()),
        "with_dict" => pairs(terms),
        "with_nested" => nested(terms),
        "with_together" => together(terms),
        "with_subelements" => subelements(&terms),
        "with_sequence" => {
            let mut items = Vec::new();
            for term in &terms {
                items.extend(sequence(&to_text(term))?);
            }
            Ok(items)
        }
        other => Err(format!("`{other}` is not supported")),
    }
}

/// Lists in a list are taken apart, one level deep.
fn flat(terms: Vec<Value>) -> Vec<Value> {
    terms.into_iter().flat_map(|term| if let Value::Array(items) = term { items } else { vec![term] }).collect()
}

fn pairs(terms: Vec<Value>) -> Result<Vec<Value>, String> {
    let mut items = Vec::new();
    for term in terms {
        let Value::Object(map) = term else {
            return Err(format!("`with_dict` needs a mapping, not {}", type_name(&term)));
        };
        items.extend(map.into_iter().map(|(key, value)| json!({"key": key, "value": value})));
    }
    Ok(items)
}

fn nested(terms: Vec<Value>) -> Result<Vec<Value>, String> {
    let mut lists = terms.into_iter().map(|term| flat(vec![term]));
    let Some(first) = lists.next() else { return Err("`with_nested` needs at least one list".to_owned()) };
    let mut rows = first;
    for list in lists {
        let row = |left: &Value, item: &Value| Value::Array(flat(vec![left.clone(), item.clone()]));
        rows = rows.iter().flat_map(|left| list.iter().map(move |item| row(left, item))).collect();
    }
    // Once more at the end: a list in an item is taken apart two levels deep, as there.
    let row = |row| if let Value::Array(items) = row { flat(items) } else { vec![row] };
    Ok(rows.into_iter().map(|one| Value::Array(row(one))).collect())
}

fn together(terms: Vec<Value>) -> Result<Vec<Value>, String> {
    if terms.is_empty() {
        return Err("`with_together` needs at least one list".to_owned());
    }
    let lists: Vec<Vec<Value>> = terms.into_iter().map(|term| flat(vec![term])).collect();
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| flat(lists.iter().map(|list| list.get(at).cloned().unwrap_or(Value::Null)).collect());
    Ok((0..longest).map(|at| Value::Array(row(at))).collect())
}

fn subelements(terms: &[Value]) -> Result<Vec<Value>, String> {
    let (list, way, flags) = match terms {
        [list, Value::String(way)] => (list, way, None),
        [list, Value::String(way), flags] => (list, way, flags.get("skip_missing")),
        _ => {
            return Err("`with_subelements` needs a list, the name of a list in each of its items, and perhaps flags"
                .to_owned());
        }
    };
    let skip_missing = flags.and_then(to_bool).unwrap_or(false);
    let skipped = |map: &Map| !matches!(map.get("skipped"), None | Some(Value::Bool(false)));
    let elements: Vec<&Value> = match list {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) if skipped(map) => Vec::new(),
        Value::Object(map) => map.values().collect(),
        other => return Err(format!("`with_subelements` needs a list or a mapping first, not {}", type_name(other))),
    };
    let mut items = Vec::new();
    for element in elements {
        let Value::Object(map) = element else {
            return Err(format!("`with_subelements` needs mappings in its list, not {}", type_name(element)));
        };
        if skipped(map) {
            continue;
        }
        let mut outer = element.clone();
        match taken(&mut outer, way) {
            Some(Value::Array(inner)) => items.extend(inner.into_iter().map(|inner| json!([outer, inner]))),
            None if skip_missing => {}
            None => return Err(format!("`with_subelements`: there is no `{way}` in {element}")),
            Some(other) => return Err(format!("`with_subelements`: `{way}` is no list, but {}", type_name(&other))),
        }
    }
    Ok(items)
}

/// Takes a part of a mapping away, by the names on the way to it.
fn taken(from: &mut Value, way: &str) -> Option<Value> {
    match way.split_once('.') {
        Some((first, rest)) => taken(from.get_mut(first)?, rest),
        None => from.as_object_mut()?.shift_remove(way),
    }
}

/// `start=1 end=5 stride=2 format=%02d`, `count=3`, or `1-5/2:host%02d`.
fn sequence(text: &str) -> Result<Vec<Value>, String> {
    let (mut start, mut end, mut count, mut stride, mut format) = (1, None, None, 1, "%d".to_owned());
    let number = |text: &str| {
        let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
        i64::from_str_radix(digits, radix).map_err(|_| format!("`with_sequence`: `{text}` is not a whole number"))
    };
    if text.contains('=') {
        for word in shlex::split(text).ok_or_else(|| format!("`with_sequence`: a quote is not closed in `{text}`"))? {
            match word.split_once('=') {
                Some(("start", value)) => start = number(value)?,
                Some(("end", value)) => end = Some(number(value)?),
                Some(("count", value)) => count = Some(number(value)?),
                Some(("stride", value)) => stride = number(value)?,
                Some(("format", value)) => value.clone_into(&mut format),
                _ => return Err(format!("`with_sequence` takes start, end, count, stride and format, not `{word}`")),
            }
        }
    } else {
        let (numbers, form) = text.trim().split_once(':').map_or((text.trim(), None), |(a, b)| (a, Some(b)));
        let (span, step) = numbers.split_once('/').map_or((numbers, None), |(a, b)| (a, Some(b)));
        let (from, to) = span.split_once('-').map_or((None, span), |(a, b)| (Some(a), b));
        start = from.map_or(Ok(1), number)?;
        stride = step.map_or(Ok(1), number)?;
        end = Some(number(to)?);
        format = form.map_or(format, str::to_owned);
    }
    let end = match (count, end) {
        (None, None) => return Err("`with_sequence` needs `count` or `end`".to_owned()),
        (Some(_), Some(_)) => return Err("`with_sequence` takes `count` or `end`, not both".to_owned()),
        (Some(0), None) => return Ok(Vec::new()),
        (Some(count), None) => start.saturating_add(count.saturating_mul(stride)).saturating_sub(1),
        (None, Some(end)) => end,
    };
    match stride {
        0 => return Ok(Vec::new()),
        1.. if end < start => return Err("`with_sequence`: to count backwards make `stride` negative".to_owned()),
        ..0 if end > start => return Err("`with_sequence`: to count forward make `stride` positive".to_owned()),
        _ => {}
    }
    if end.saturating_sub(start).saturating_div(stride) >= MOST {
        return Err(format!("`with_sequence` would have more than {MOST} items"));
    }
    let mut items = Vec::new();
    let mut at = start;
    while if stride > 0 { at <= end } else { at >= end } {
        items.push(Value::from(printed(&format, at)?));
        let Some(next) = at.checked_add(stride) else { break };
        at = next;
    }
    Ok(items)
}

/// A number in a text as Python's `%` writes it: `%d`, `%02d`, `%x`.
fn printed(format: &str, number: i64) -> Result<String, String> {
    let wrong = || format!("`with_sequence`: `{format}` is not a format with one number, such as host%02d");
    let (before, rest) = format.split_once('%').ok_or_else(wrong)?;
    let kind = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (width, rest) = rest.split_at(kind);
    if rest.contains('%') {
        return Err(wrong());
    }
    let mut rest = rest.chars();
    let digits = match rest.next() {
        Some('d' | 'i' | 's' | 'u') => number.to_string(),
        Some('x') => format!("{number:x}"),
        Some('X') => format!("{number:X}"),
        Some('o') => format!("{number:o}"),
        _ => return Err(wrong()),
    };
    let wide: usize = if width.is_empty() { 0 } else { width.parse().map_err(|_| wrong())? };
    let padded = if width.starts_with('0') { format!("{digits:0>wide$}") } else { format!("{digits:>wide$}") };
    Ok(format!("{before}{padded}{}", rest.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(with: &str, terms: Value) -> Value {
        let terms = if let Value::Array(terms) = terms { terms } else { vec![terms] };
        looked_up(with, terms).map_or_else(Value::from, Value::Array)
    }

    // What ansible-core's lookups of these names give.
    #[test]
    fn loops_go_over_what_ansibles_lookups_give() {
        assert_eq!(made("with_items", json!([1, [2, [3]], "a"])), json!([1, 2, [3], "a"]));
        assert_eq!(made("with_list", json!([1, [2]])), json!([1, [2]]));
        assert_eq!(made("with_indexed_items", json!(["a", ["b"]])), json!([[0, "a"], [1, "b"]]));
        assert_eq!(made("with_dict", json!({"a": 1})), json!([{"key": "a", "value": 1}]));
        assert_eq!(made("with_nested", json!([["a", "b"], [1, 2]])), json!([["a", 1], ["a", 2], ["b", 1], ["b", 2]]));
        assert_eq!(made("with_nested", json!([["a"], [["y", ["z"]]]])), json!([["a", "y", "z"]]));
        assert_eq!(made("with_together", json!([["a", "b"], [1]])), json!([["a", 1], ["b", null]]));
        let users = json!([[{"n": "u", "k": {"l": [1, 2]}}, {"n": "v"}], "k.l", {"skip_missing": true}]);
        assert_eq!(made("with_subelements", users), json!([[{"n": "u", "k": {}}, 1], [{"n": "u", "k": {}}, 2]]));
    }

    #[test]
    fn sequences_are_written_in_words_and_short() {
        let items = |text: &str| made("with_sequence", json!(text));
        assert_eq!(items("4-6:host%02d"), json!(["host04", "host05", "host06"]));
        assert_eq!(items("2-10/4"), json!(["2", "6", "10"]));
        assert_eq!(items("start=1 count=3 stride=2"), json!(["1", "3", "5"]));
        assert_eq!(items("start=0x0a end=8 stride=-1 format=%x"), json!(["a", "9", "8"]));
        assert_eq!(items("count=0"), json!([]));
        assert_eq!(items("start=3 end=1"), json!("`with_sequence`: to count backwards make `stride` negative"));
        assert_eq!(items("9223372036854775807-9223372036854775807"), json!(["9223372036854775807"]));
        let most = json!("`with_sequence` would have more than 1000000 items");
        assert_eq!(items("start=9223372036854775807 end=-9223372036854775807 stride=-1"), most);
        assert_eq!(items("start=1"), json!("`with_sequence` needs `count` or `end`"));
    }
}
