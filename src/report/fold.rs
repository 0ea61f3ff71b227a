//! Names of hosts, folded: `es[001-047]`.

use std::collections::{HashMap, HashSet};

use super::clean::clean_line;

/// A name before its last number, the number, and what follows it.
fn split(name: &str) -> Option<(&str, &str, &str)> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    // Longer numbers are hashes, not counts.
    (end - start <= 9).then(|| (&name[..start], &name[start..end], &name[end..]))
}

/// Names that differ only in their last number, as one with ranges; in the order in which the first of each came.
/// `most` bounds how many such groups are shown; the rest is counted.
pub(crate) fn fold<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let names: Vec<String> = names.iter().map(|name| clean_line(name.as_ref())).collect();
    // A number with leading zeros belongs to those of its length.
    let mut padded: HashSet<(&str, &str, usize)> = HashSet::new();
    for name in &names {
        if let Some((before, number, after)) = split(name.as_str())
            && number.len() > 1
            && number.starts_with('0')
        {
            padded.insert((before, after, number.len()));
        }
    }
    let mut order: Vec<(&str, &str, usize)> = Vec::new();
    let mut groups: HashMap<(&str, &str, usize), Vec<u64>> = HashMap::new();
    for name in &names {
        let (key, number) = match split(name.as_str()) {
            Some((before, number, after)) => {
                let length = if padded.contains(&(before, after, number.len())) { number.len() } else { 1 };
                ((before, after, length), number.parse::<u64>().ok())
            }
            None => ((name.as_str(), "", 0), None),
        };
        let group = groups.entry(key).or_insert_with(|| {
            order.push(key);
            Vec::new()
        });
        group.extend(number);
    }
    let mut folded = Vec::new();
    let mut shown = 0;
    for key in order.iter().take(most) {
        let Some(numbers) = groups.get_mut(key) else { continue };
        shown += numbers.len().max(1);
        folded.push(render(*key, numbers));
    }
    let rest = names.len().saturating_sub(shown);
    let text = folded.join(", ");
    if order.len() > most && rest > 0 { format!("{text}, … and {rest} more") } else { text }
}

fn render((before, after, length): (&str, &str, usize), numbers: &mut Vec<u64>) -> String {
    numbers.sort_unstable();
    numbers.dedup();
    let written = |number: u64| format!("{number:0length$}");
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers.iter() {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    match ranges.as_slice() {
        [] => before.to_owned(),
        [(first, last)] if first == last => format!("{before}{}{after}", written(*first)),
        several => {
            let parts: Vec<_> =
                several
                    .iter()
                    .map(|(first, last)| {
                        if first == last { written(*first) } else { format!("{}-{}", written(*first), written(*last)) }
                    })
                    .collect();
            format!("{before}[{}]{after}", parts.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(names: &str) -> String {
        fold(&names.split(' ').collect::<Vec<_>>(), 9)
    }

    #[test]
    fn neighbours_become_ranges() {
        let many: Vec<_> = (1..=47).map(|n| format!("es{n:03}")).collect();
        assert_eq!(fold(&many, 9), "es[001-047]");
        assert_eq!(folded("m1"), "m1");
        assert_eq!(folded("m2 m1"), "m[1-2]");
        assert_eq!(folded("a8.x a9.x a10.x db a12.x"), "a[8-10,12].x, db");
        assert_eq!(folded("a08 a09 a10"), "a[08-10]");
        assert_eq!(folded("a8 a08"), "a8, a08");
        assert_eq!(folded("10.0.0.1 10.0.0.2 10.0.1.1"), "10.0.0.[1-2], 10.0.1.1");
        assert_eq!(folded("é1 é2"), "é[1-2]");
        assert_eq!(folded("bastion"), "bastion");
        assert_eq!(folded("i-0123456789012"), "i-0123456789012");
        assert_eq!(fold(&["a", "b", "c", "d"], 2), "a, b, … and 2 more");
        assert_eq!(fold::<&str>(&[], 2), "");
    }
}
