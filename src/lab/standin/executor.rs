//! The command executor: a process of its own that runs one sleeping task, and outlives its slave where that checkpoints.

use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::daemon::{address_of, time_scale};
use super::hub::{Event, Hub};

/// Runs an executor that a slave has started, until its task is over.
pub(super) fn run() -> ExitCode {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let slave = variable("MESOS_SLAVE_PID");
    let address = address_of(&slave).to_owned();
    let checkpoint = variable("MESOS_CHECKPOINT") == "1";
    let seconds: f64 = variable("MESOS_RECOVERY_TIMEOUT").parse().unwrap_or(900.0);
    let patience = Duration::from_secs_f64((seconds * time_scale()).max(0.5));
    let hello = json!({
        "link": "executor",
        "framework": variable("MESOS_FRAMEWORK_ID"),
        "executor": variable("MESOS_EXECUTOR_ID"),
        "uuid": variable("MESOS_EXECUTOR_UUID"),
        "pid": format!("executor(1)@{}:{}", address.split(':').next().unwrap_or_default(), std::process::id()),
    });
    let mut hub = Hub::new();
    let mut task: Option<Child> = None;
    let mut link = hub.link(&address, &hello);
    let mut alone_since = Instant::now();
    loop {
        let pause = Duration::from_millis(100).mul_f64(time_scale().clamp(0.1, 1.0));
        let far = Duration::from_secs(3600);
        match hub.next(Instant::now() + if link.is_some() { far } else { pause }) {
            Some(Event::Message(from, message)) if Some(from) == link => match message["kind"].as_str() {
                Some("run") if task.is_none() => {
                    let started = Command::new("sh").args(["-c", "exec sleep 1000000"]).stdin(Stdio::null()).spawn();
                    let state = if started.is_ok() { "TASK_RUNNING" } else { "TASK_FAILED" };
                    task = started.ok();
                    hub.send(from, &json!({"kind": "update", "state": state, "message": ""}));
                }
                Some("shutdown") => {
                    end(task.take());
                    hub.send(from, &json!({"kind": "update", "state": "TASK_KILLED", "message": "Command terminated with signal Killed"}));
                    return ExitCode::SUCCESS;
                }
                _ => {}
            },
            Some(Event::Closed(from)) if Some(from) == link => {
                link = None;
                alone_since = Instant::now();
                if !checkpoint {
                    end(task.take());
                    return ExitCode::SUCCESS;
                }
            }
            _ => {}
        }
        if link.is_none() {
            if alone_since.elapsed() > patience {
                end(task.take());
                return ExitCode::SUCCESS;
            }
            link = hub.link(&address, &hello);
        }
    }
}

fn end(task: Option<Child>) {
    if let Some(mut task) = task {
        let _ = task.kill();
        let _ = task.wait();
    }
}
