//! Times in results, in the form in which Python prints them, and pauses.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::attempt::HostTask;
use crate::base::{Map, Value};
use crate::event::EventKind;
use crate::modules::Effect;

/// Local time as `2026-01-02 03:04:05.678901`; `micros` since 1970.
pub(super) fn local_time(micros: i64) -> String {
    in_zone(micros, TimeZone::system())
}

fn in_zone(micros: i64, zone: TimeZone) -> String {
    let moment = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// A span of microseconds as `0:00:00.004210`, with the days before it when there are any.
pub(super) fn span_text(micros: i64) -> String {
    let micros = micros.max(0);
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let days = match days {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        many => format!("{many} days, "),
    };
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:06}") };
    format!("{days}{hours}:{:02}:{:02}{fraction}", seconds / 60 % 60, seconds % 60)
}

impl HostTask {
    /// Does what `pause` asks for, before its result is kept. Nothing is waited for in check mode.
    pub(super) async fn wait_for_person(&self, pause: &Effect, result: &mut Map) {
        let Effect::Pause { duration, minutes, prompt, echo } = pause else { return };
        let run = &self.run;
        let began = run.clock.now();
        let mut typed = None;
        if !self.check {
            if let (Some(duration), None) = (duration, prompt) {
                run.bus.emit(EventKind::Note { message: format!("Pausing for {} seconds", duration.as_secs()) });
            }
            let question = match (prompt, duration) {
                (Some(prompt), _) => format!("{prompt}: "),
                (None, Some(_)) => "Press Enter to go on at once\n".to_owned(),
                (None, None) => "Press Enter to go on\n".to_owned(),
            };
            match (run.ask(&question, *echo, *duration).await, duration) {
                (Ok(answer), _) => typed = answer,
                (Err(_), _) if run.interrupt.soft.is_cancelled() => {}
                (Err(_), Some(duration)) => {
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep(*duration) => {}
                        () = run.interrupt.soft.cancelled() => {}
                    }
                }
                (Err(reason), None) => run.warn(format!("`pause` can't wait for a key: {reason}; it goes on")),
            }
        }
        let ended = run.clock.now();
        let waited = Duration::from_micros(u64::try_from(ended.saturating_sub(began)).unwrap_or(0));
        let (unit, count) =
            if *minutes { ("minutes", waited.as_secs_f64() / 60.0) } else { ("seconds", waited.as_secs_f64()) };
        let count = (count * 100.0).round() / 100.0;
        let mut put = |name: &str, value: Value| result.insert(name.to_owned(), value);
        put("start", Value::from(local_time(began)));
        put("stop", Value::from(local_time(ended)));
        put("delta", Value::from(waited.as_secs()));
        put("stdout", Value::from(format!("Paused for {count:?} {unit}")));
        put("user_input", Value::from(typed.unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_python_prints_them() {
        assert_eq!(in_zone(1_767_323_045_678_901, TimeZone::UTC), "2026-01-02 03:04:05.678901");
        assert_eq!(span_text(4_210), "0:00:00.004210");
        assert_eq!(span_text(2_000_000), "0:00:02");
        assert_eq!(span_text(90_061_000_001), "1 day, 1:01:01.000001");
    }
}
