//! What a master and a slave say of themselves: `state.json`, 0.11 to 1.11.
//!
//! Counters are not read at all (see the room's header). A field that an era lacks is `None`.

use serde_json::Value;

use super::{Version, zookeeper};

/// A master's answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MasterState {
    /// 0.13 and later.
    pub(crate) version: Option<Version>,
    /// The id of this process: a restart makes a new one.
    pub(crate) id: String,
    /// `master@ip:port`.
    pub(crate) pid: String,
    /// The pid of the master that it believes to lead.
    pub(crate) leader: Option<String>,
    /// Seconds since 1970, by its own clock.
    pub(crate) start_time: f64,
    /// The slaves that it lists; those that are away for less than 75 s too.
    pub(crate) slaves: Vec<Slave>,
    /// The frameworks that it lists.
    pub(crate) frameworks: Vec<Framework>,
}

/// A slave as a master lists it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slave {
    /// Its id: new when it could not recover.
    pub(crate) id: String,
    /// `slave(1)@ip:port`.
    pub(crate) pid: String,
    /// The name that it gave.
    pub(crate) hostname: String,
    /// When it registered, by the master's clock.
    pub(crate) registered: f64,
    /// When it last came back under its id; 0.14 and later, `None` when it never did.
    pub(crate) reregistered: Option<f64>,
}

impl Slave {
    /// When the master last took it in.
    pub(crate) fn last_seen(&self) -> f64 {
        self.reregistered.map_or(self.registered, |time| time.max(self.registered))
    }
}

/// A framework as a master lists it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Framework {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Whether its scheduler is connected.
    pub(crate) active: bool,
    /// Its tasks that have not ended.
    pub(crate) tasks: Vec<Task>,
    /// Tasks that ended, as far as the master remembers them.
    pub(crate) ended: Vec<Task>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// Its id, unique in its framework.
    pub(crate) id: String,
    /// `TASK_RUNNING`, …
    pub(crate) state: String,
    /// Where it runs.
    pub(crate) slave_id: String,
    /// Whose it is.
    pub(crate) framework_id: String,
}

/// A slave's own answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlaveState {
    /// 0.13 and later.
    pub(crate) version: Option<Version>,
    /// Its id; `None` before it has one.
    pub(crate) id: Option<String>,
    /// `slave(1)@ip:port`.
    pub(crate) pid: String,
    /// The name that it gives.
    pub(crate) hostname: String,
    /// Seconds since 1970, by its own clock.
    pub(crate) start_time: f64,
}

fn read(body: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let begin: String = String::from_utf8_lossy(body).chars().take(60).filter(|c| !c.is_control()).collect();
        format!("the answer is not JSON ({error}); it begins with `{begin}`")
    })?;
    if value.is_object() { Ok(value) } else { Err("the answer is JSON, but no mapping".to_owned()) }
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    let found = value.get(key).and_then(Value::as_str).ok_or_else(|| format!("the answer has no `{key}`"))?;
    Ok(found.chars().take(1000).collect())
}

/// Numbers are whole, or have a fraction, by era.
fn number(value: &Value, key: &str) -> f64 {
    value.get(key).and_then(Value::as_f64).filter(|number| number.is_finite()).unwrap_or(0.0)
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn version(value: &Value) -> Option<Version> {
    Version::parse(value.get("version")?.as_str()?).ok()
}

fn pid(value: &Value, key: &str) -> Result<String, String> {
    zookeeper::pid(&text(value, key)?).ok_or_else(|| format!("`{key}` in the answer is no address of a daemon"))
}

/// Reads a master's `state.json`.
///
/// # Errors
/// It isn't one.
pub(crate) fn parse_master(body: &[u8]) -> Result<MasterState, String> {
    let value = read(body)?;
    let pid = pid(&value, "pid")?;
    if !pid.starts_with("master@") {
        return Err(format!("`{pid}` answers there, which is no master"));
    }
    let leader = value.get("leader").and_then(Value::as_str).and_then(zookeeper::pid);
    Ok(MasterState {
        version: version(&value),
        id: text(&value, "id")?,
        pid,
        leader,
        start_time: number(&value, "start_time"),
        slaves: items(&value, "slaves").iter().map(parse_slave_entry).collect::<Result<_, _>>()?,
        frameworks: items(&value, "frameworks").iter().map(parse_framework).collect::<Result<_, _>>()?,
    })
}

fn parse_slave_entry(value: &Value) -> Result<Slave, String> {
    Ok(Slave {
        id: text(value, "id")?,
        pid: text(value, "pid")?,
        hostname: text(value, "hostname").unwrap_or_default(),
        registered: number(value, "registered_time"),
        reregistered: Some(number(value, "reregistered_time")).filter(|time| *time > 0.0),
    })
}

fn parse_framework(value: &Value) -> Result<Framework, String> {
    let id = text(value, "id")?;
    // Booleans are 0 and 1 before 0.18 or so.
    let active = match value.get("active") {
        Some(Value::Bool(active)) => *active,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        _ => true,
    };
    let tasks = |key: &str| -> Result<Vec<Task>, String> {
        items(value, key)
            .iter()
            .map(|task| {
                Ok(Task {
                    id: text(task, "id")?,
                    state: text(task, "state")?,
                    slave_id: text(task, "slave_id").unwrap_or_default(),
                    framework_id: id.clone(),
                })
            })
            .collect()
    };
    Ok(Framework {
        name: text(value, "name").unwrap_or_default(),
        active,
        tasks: tasks("tasks")?,
        ended: tasks("completed_tasks")?,
        id,
    })
}

/// Reads a slave's `state.json`.
///
/// # Errors
/// It isn't one.
pub(crate) fn parse_slave(body: &[u8]) -> Result<SlaveState, String> {
    let value = read(body)?;
    let pid = pid(&value, "pid")?;
    if !pid.starts_with("slave(") {
        return Err(format!("`{pid}` answers there, which is no slave"));
    }
    Ok(SlaveState {
        version: version(&value),
        id: text(&value, "id").ok().filter(|id| !id.is_empty()),
        pid,
        hostname: text(&value, "hostname").unwrap_or_default(),
        start_time: number(&value, "start_time"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! real {
        ($path:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mesos-real/", $path))
        };
    }

    #[test]
    fn recorded_masters_of_every_era_are_read() {
        let with_tasks: [(&[u8], Option<Version>, usize); 4] = [
            (real!("0.11.0/master-state-with-tasks.json"), None, 3),
            (real!("0.12.1/master-state-with-tasks.json"), None, 3),
            (real!("0.13.0/master-state-with-tasks.json"), Some(Version::new(0, 13, 0)), 3),
            (real!("0.14.2/master-state-with-tasks.json"), Some(Version::new(0, 14, 2)), 3),
        ];
        for (body, version, slaves) in with_tasks {
            let state = parse_master(body).expect("recorded");
            assert_eq!(state.version, version);
            assert_eq!(state.leader.as_deref(), Some(state.pid.as_str()));
            assert_eq!(state.slaves.len(), slaves);
            let tasks: usize = state.frameworks.iter().map(|f| f.tasks.len()).sum();
            assert!(tasks >= 6 && state.frameworks.iter().all(|f| f.active), "{tasks}");
            assert!(state.start_time > 1e9 && state.slaves.iter().all(|s| s.registered > 1e9));
        }
    }

    #[test]
    fn a_standby_lists_nothing_and_names_the_leader() {
        for body in [&real!("0.13.0/master-state-standby.json")[..], real!("0.14.2/master-state-standby.json")] {
            let state = parse_master(body).expect("recorded");
            assert_eq!(state.leader.as_deref(), Some("master@127.0.0.11:5050"));
            assert_eq!(state.pid, "master@127.0.0.12:5050");
            assert!(state.slaves.is_empty() && state.frameworks.is_empty());
        }
    }

    #[test]
    fn a_slave_that_came_back_has_its_time() {
        let state = parse_master(real!("0.15.0/master-state-after-slave-recovery.json")).expect("recorded");
        assert!(state.slaves.iter().any(|slave| slave.reregistered.is_some_and(|time| time > slave.registered)));
        let state = parse_master(real!("0.15.0/master-state-after-failover.json")).expect("recorded");
        assert!(state.slaves.iter().all(|slave| slave.last_seen() > 1e9));
    }

    #[test]
    fn recorded_slaves_are_read() {
        let state = parse_slave(real!("0.14.2/slave-state-with-tasks.json")).expect("recorded");
        assert_eq!(state.version, Some(Version::new(0, 14, 2)));
        assert_eq!(state.pid, "slave(1)@127.0.0.21:5051");
        assert!(state.id.is_some());
        let state = parse_slave(real!("0.13.0/slave-state-with-tasks.json")).expect("recorded");
        assert_eq!(state.version, Some(Version::new(0, 13, 0)));
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        let master = real!("0.14.2/master-state-with-tasks.json");
        for cut in (0..master.len()).step_by(37) {
            assert!(parse_master(&master[..cut]).is_err());
            let _ = parse_slave(&master[..cut]);
        }
        for body in [
            &b""[..],
            b"[]",
            b"null",
            b"{\"pid\":1}",
            b"<html>",
            b"\xff\xfe",
            b"{\"pid\":\"master@\",\"id\":\"\"}",
            b"{\"pid\":\"master@h:1\",\"id\":\"a\",\"slaves\":[1]}",
            b"{\"pid\":\"slave(1)@h:1\",\"id\":\"a\"}",
        ] {
            assert!(parse_master(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse_master(deep.as_bytes()).is_err());
        assert!(parse_slave(master).is_err(), "a master is no slave");
    }
}
