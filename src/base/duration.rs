//! Durations as people write them: `30`, `30s`, `2m`, `1h30m`, `500ms`.

use std::time::Duration;

/// Reads a duration. A bare number counts seconds; units are `ms`, `s`, `m`, `h`, `d`, and may follow one another.
///
/// # Errors
/// A sentence that says what a duration looks like.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write 30s, 2m, 1h30m or 500ms (a bare number counts seconds)");
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    let mut total = Duration::ZERO;
    let mut rest = trimmed;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 0.001,
            "s" | "sec" | "secs" => 1.0,
            "m" | "min" | "mins" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86400.0,
            _ => return Err(wrong()),
        };
        rest = rest[letters..].trim_start();
        total += Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())?;
    }
    Ok(total)
}

/// Writes a duration for people: `0.4s`, `7s`, `1:05`, `2:03:04`.
pub(crate) fn render_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 1 {
        return format!("{:.1}s", duration.as_secs_f64());
    }
    if seconds < 60 {
        return format!("{seconds}s");
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        assert_eq!(parse_duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(parse_duration("soon").is_err());
        assert!(parse_duration("").is_err());
        assert!(parse_duration("-3").is_err());
        assert_eq!(render_duration(Duration::from_secs(65)), "1:05");
        assert_eq!(render_duration(Duration::from_millis(400)), "0.4s");
    }
}
