//! Filters on lists.

use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{Error, State};

use super::Filter;
use super::call::{Call, failed, items_of, text_of};
use crate::template::environment;

pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("flatten", flatten),
    ("zip", zip),
    ("zip_longest", zip_longest),
    ("product", product),
    ("min", |state, call| extreme(state, call, std::cmp::Ordering::Less)),
    ("max", |state, call| extreme(state, call, std::cmp::Ordering::Greater)),
    ("sum", sum),
    ("extract", extract),
    ("subelements", subelements),
];

/// Items in one list at most, for filters that multiply.
const MOST: usize = 1_000_000;

/// A member by a path `a.b.0`; undefined when a step is missing.
pub(super) fn path(value: &Jinja, path: &str) -> Result<Jinja, Error> {
    let mut value = value.clone();
    for step in path.split('.') {
        if value.is_undefined() {
            return Ok(value);
        }
        value = match step.parse::<i64>() {
            Ok(place) if value.kind() != ValueKind::Map => value.get_item(&Jinja::from(place))?,
            _ => value.get_item(&Jinja::from(step))?,
        };
    }
    Ok(value)
}

fn flatten(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let levels = call.integer(0, "levels")?.map_or(usize::MAX, |levels| usize::try_from(levels).unwrap_or(0));
    let skip_nulls = call.flag(1, "skip_nulls", true);
    let mut flat = Vec::new();
    into(&call.items()?, levels.min(100), skip_nulls, &mut flat)?;
    Ok(Jinja::from(flat))
}

fn into(items: &[Jinja], levels: usize, skip_nulls: bool, flat: &mut Vec<Jinja>) -> Result<(), Error> {
    for item in items {
        let null = item.is_none() || matches!(item.as_str(), Some("None" | "null"));
        if null && skip_nulls {
            continue;
        }
        if matches!(item.kind(), ValueKind::Seq | ValueKind::Iterable) && levels > 0 {
            let inner: Vec<Jinja> = item.try_iter()?.collect();
            into(&inner, levels - 1, skip_nulls, flat)?;
        } else {
            flat.push(item.clone());
        }
    }
    Ok(())
}

fn zip(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let mut lists = vec![call.items()?];
    for other in call.rest(0) {
        lists.push(items_of("zip", other)?);
    }
    let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
    Ok(rows(&lists, shortest, &Jinja::from(())))
}

fn zip_longest(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let mut lists = vec![call.items()?];
    for other in call.rest(0) {
        lists.push(items_of("zip_longest", other)?);
    }
    let fill = call.named("fillvalue").unwrap_or_else(|| Jinja::from(()));
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    Ok(rows(&lists, longest, &fill))
}

fn rows(lists: &[Vec<Jinja>], count: usize, fill: &Jinja) -> Jinja {
    let row = |place: usize| {
        Jinja::from(lists.iter().map(|list| list.get(place).unwrap_or(fill).clone()).collect::<Vec<_>>())
    };
    Jinja::from((0..count).map(row).collect::<Vec<_>>())
}

fn product(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let mut lists = vec![call.items()?];
    for other in call.rest(0) {
        lists.push(items_of("product", other)?);
    }
    let mut rows: Vec<Vec<Jinja>> = vec![Vec::new()];
    for list in &lists {
        if rows.len().saturating_mul(list.len()) > MOST {
            return Err(failed(format!("`product` would give more than {MOST} items")));
        }
        rows = rows
            .iter()
            .flat_map(|row| list.iter().map(move |item| row.iter().cloned().chain([item.clone()]).collect()))
            .collect();
    }
    Ok(Jinja::from(rows.into_iter().map(Jinja::from).collect::<Vec<_>>()))
}

/// `min` and `max`, with `attribute` and `case_sensitive`.
fn extreme(state: &mut State, call: &Call, wanted: std::cmp::Ordering) -> Result<Jinja, Error> {
    let sensitive = call.flag(0, "case_sensitive", false);
    let attribute = call.text(1, "attribute")?;
    let mut best: Option<(Jinja, Jinja)> = None;
    for item in call.items()? {
        let mut key = match &attribute {
            Some(attribute) => path(&item, attribute)?,
            None => item.clone(),
        };
        environment::defined(state, &key)?;
        if let (Some(text), false) = (key.as_str(), sensitive) {
            key = Jinja::from(text.to_lowercase());
        }
        if let Some((known, _)) = &best {
            if comparable(&key) != comparable(known) {
                return Err(failed(format!("`{}` can't compare {} with {}", call.name(), key.kind(), known.kind())));
            }
            if key.cmp(known) != wanted {
                continue;
            }
        }
        best = Some((key, item));
    }
    best.map(|(_, item)| item).ok_or_else(|| {
        Error::new(minijinja::ErrorKind::UndefinedError, format!("`{}` of an empty list is undefined", call.name()))
    })
}

/// Kinds that have an order among them.
fn comparable(value: &Jinja) -> u8 {
    match value.kind() {
        ValueKind::Bool | ValueKind::Number => 0,
        ValueKind::String => 1,
        ValueKind::Seq | ValueKind::Iterable => 2,
        _ => 3,
    }
}

fn sum(state: &mut State, call: &Call) -> Result<Jinja, Error> {
    let attribute = call.text(0, "attribute")?;
    let start = call.argument(1, "start").unwrap_or_else(|| Jinja::from(0));
    let items = call.items()?;
    if let ValueKind::Seq | ValueKind::Iterable = start.kind() {
        // `lists | sum(start=[])` joins lists.
        let mut all: Vec<Jinja> = start.try_iter()?.collect();
        for item in items {
            let item = attribute.as_ref().map_or(Ok(item.clone()), |attribute| path(&item, attribute))?;
            environment::defined(state, &item)?;
            all.extend(items_of("sum", &item)?);
        }
        return Ok(Jinja::from(all));
    }
    let wrong = |value: &Jinja| failed(format!("`sum` wants numbers, not {}", value.kind()));
    let mut whole: Option<i128> = if start.is_integer() { i128::try_from(start.clone()).ok() } else { None };
    let mut real = f64::try_from(start.clone()).map_err(|_| wrong(&start))?;
    for item in items {
        let item = attribute.as_ref().map_or(Ok(item.clone()), |attribute| path(&item, attribute))?;
        environment::defined(state, &item)?;
        if !matches!(item.kind(), ValueKind::Number | ValueKind::Bool) {
            return Err(wrong(&item));
        }
        let item = if item.kind() == ValueKind::Bool { Jinja::from(i64::from(item.is_true())) } else { item };
        whole = if item.is_integer() {
            whole.zip(i128::try_from(item.clone()).ok()).and_then(|(a, b)| a.checked_add(b))
        } else {
            None
        };
        real += f64::try_from(item.clone()).map_err(|_| wrong(&item))?;
    }
    Ok(match whole {
        Some(whole) => i64::try_from(whole).map_or_else(|_| Jinja::from(whole), Jinja::from),
        None => Jinja::from(real),
    })
}

fn extract(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let container = call.needed(0, "container")?;
    let mut value = container.get_item(call.input)?;
    let keys = match call.argument(1, "morekeys") {
        Some(keys) if matches!(keys.kind(), ValueKind::Seq | ValueKind::Iterable) => keys.try_iter()?.collect(),
        Some(key) if !key.is_none() => vec![key],
        _ => Vec::new(),
    };
    for key in keys {
        value = value.get_item(&key)?;
    }
    Ok(value)
}

fn subelements(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let wanted = call.needed(0, "subelements")?;
    let skip_missing = call.flag(1, "skip_missing", false);
    let steps: Vec<String> = match wanted.as_str() {
        Some(text) => text.split('.').map(str::to_owned).collect(),
        None => items_of("subelements", &wanted)?.iter().map(text_of).collect::<Result<_, _>>()?,
    };
    let elements: Vec<Jinja> = if call.input.kind() == ValueKind::Map {
        call.items()?.iter().map(|key| call.input.get_item(key)).collect::<Result<_, _>>()?
    } else {
        call.items()?
    };
    let mut pairs = Vec::new();
    for element in elements {
        let inner = path(&element, &steps.join("."))?;
        if inner.is_undefined() {
            if skip_missing {
                continue;
            }
            return Err(failed(format!("`subelements` finds no `{}` in an item", steps.join("."))));
        }
        for item in items_of("subelements", &inner)? {
            pairs.push(Jinja::from(vec![element.clone(), item]));
        }
    }
    Ok(Jinja::from(pairs))
}
