//! Values of flags: whether a daemon would take them, and whether two are the same.

use super::FlagType;

/// Whether the daemon can convert the value. `None` when it can, else what is wrong and what to write.
///
/// `file_values` says that the release takes `file://…` for any flag (0.22 and later).
pub(crate) fn check_value(kind: FlagType, value: &str, file_values: bool) -> Option<String> {
    if file_values && value.starts_with("file://") {
        return None;
    }
    match kind {
        FlagType::Bool => to_bool(value).is_none().then(|| "a boolean: true or false".to_owned()),
        FlagType::Int => value.trim().parse::<i64>().is_err().then(|| "a whole number".to_owned()),
        FlagType::Number => value.trim().parse::<f64>().is_err().then(|| "a number".to_owned()),
        FlagType::Duration => nanoseconds(value)
            .is_none()
            .then(|| "a duration: a number and ns, us, ms, secs, mins, hrs, days or weeks, as in 5secs".to_owned()),
        FlagType::Bytes => {
            bytes(value).is_none().then(|| "a size: a whole number and B, KB, MB, GB or TB, as in 64MB".to_owned())
        }
        FlagType::Json => {
            let inline = value.trim_start().starts_with(['{', '[']);
            let broken = inline && serde_json::from_str::<serde_json::Value>(value).is_err();
            broken.then(|| "JSON, or the path of a file with it".to_owned())
        }
        FlagType::Text => None,
    }
}

/// Whether two values mean the same to the daemon: `1` and `true`, `60secs` and `1mins`.
pub(crate) fn same_value(kind: FlagType, one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match kind {
        FlagType::Bool => to_bool(one).is_some() && to_bool(one) == to_bool(other),
        FlagType::Int => one.trim().parse::<i64>().is_ok_and(|a| other.trim().parse::<i64>() == Ok(a)),
        FlagType::Number => one.trim().parse::<f64>().is_ok_and(|a| other.trim().parse::<f64>() == Ok(a)),
        FlagType::Duration => nanoseconds(one).is_some() && nanoseconds(one) == nanoseconds(other),
        FlagType::Bytes => bytes(one).is_some() && bytes(one) == bytes(other),
        FlagType::Json => {
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
            read(one).is_some() && read(one) == read(other)
        }
        FlagType::Text => false,
    }
}

/// A boolean as the daemons read it; nothing after the `=` is true.
pub(crate) fn to_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn split_unit(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    Some((&text[..end], &text[end..]))
}

/// Nanoseconds, rounded: the daemons take a fraction of any unit.
fn nanoseconds(text: &str) -> Option<u128> {
    let (number, unit) = split_unit(text)?;
    let scale = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "secs" => 1e9,
        "mins" => 60e9,
        "hrs" => 3600e9,
        "days" => 86_400e9,
        "weeks" => 604_800e9,
        _ => return None,
    };
    let nanos = number.parse::<f64>().ok()? * scale;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "non-negative and saturating")]
    nanos.is_finite().then_some(nanos.round() as u128)
}

fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let shift = match unit {
        "B" => 0,
        "KB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemons_refuse_is_refused() {
        for (kind, good, bad) in [
            (FlagType::Bool, vec!["true", "1", "0", "false", ""], vec!["yes", "True", "on"]),
            (FlagType::Int, vec!["5050", "-1"], vec!["5050.0", "", "0x10"]),
            (FlagType::Duration, vec!["5secs", "1.5mins", "1weeks"], vec!["5", "5s", "secs", "5 secs", "-5secs", ""]),
            (FlagType::Bytes, vec!["128MB", "0B"], vec!["128", "1.5GB", "128M", "99999999999TB"]),
            (FlagType::Json, vec!["{}", "/etc/acls.json"], vec!["{"]),
            (FlagType::Text, vec!["", "anything"], vec![]),
        ] {
            for value in good {
                assert_eq!(check_value(kind, value, false), None, "{kind:?} {value}");
            }
            for value in bad {
                assert!(check_value(kind, value, false).is_some(), "{kind:?} {value}");
            }
        }
        assert_eq!(check_value(FlagType::Bool, "file:///x", true), None);
        assert!(check_value(FlagType::Bool, "file:///x", false).is_some());
    }

    #[test]
    fn values_are_compared_by_what_they_mean() {
        assert!(same_value(FlagType::Bool, "1", "true"));
        assert!(!same_value(FlagType::Bool, "0", "true"));
        assert!(same_value(FlagType::Duration, "60secs", "1mins"));
        assert!(same_value(FlagType::Bytes, "1024MB", "1GB"));
        assert!(!same_value(FlagType::Text, "a", "A"));
        assert!(!same_value(FlagType::Int, "x", "y"));
    }
}
