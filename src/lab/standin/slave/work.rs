//! Executors and tasks of a slave: starting, finding again after a restart, ending.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::{Executor, Framework, Mode, REREGISTER, Slave};
use crate::lab::processes;
use crate::lab::standin::ACT_AS;

const RULE: &str = "------------------------------------------------------------";

impl Slave {
    /// Takes up the life before this one, if it was written down and nothing that counts has changed.
    ///
    /// # Errors
    /// The text with which the slave ends, code 1.
    pub(super) fn recover(&mut self, how: &str) -> Result<(), String> {
        let log = self.daemon.log.clone();
        log.info("state.cpp", [33, 33], &format!("Recovering state from '{}'", self.meta.root().display()));
        let Some((id, before)) = self.meta.latest() else { return Ok(()) };
        if !before.same(&self.info, self.daemon.era) && how != "cleanup" {
            return Err(format!(
                "Incompatible slave info detected.\n{RULE}\nOld slave info:\n{}\n{RULE}\nNew slave info:\n{}\n{RULE}\n\
                 To properly upgrade the slave do as follows:\nStep 1: Start the slave with --recover=cleanup.\n\
                 Step 2: Wait till the slave kills all executors and shuts down.\nStep 3: Start the upgraded slave with --recover=reconnect.\n",
                before.debug_text(&id, self.daemon.port, self.daemon.era),
                self.info.debug_text(&id, self.daemon.port, self.daemon.era)
            ));
        }
        let known = self.meta.executors(&id);
        for one in known {
            let framework_id = one.framework["id"].as_str().unwrap_or_default().to_owned();
            log.info(
                "slave.cpp",
                [2480, 2805],
                &format!("Recovering executor '{}' of framework {framework_id}", one.executor),
            );
            let directory = self.meta.sandbox(&id, &framework_id, &one.executor, &one.uuid);
            let executor = Executor {
                id: one.executor,
                uuid: one.uuid,
                directory,
                link: None,
                pid: one.pid,
                task: one.task,
                state: one.state,
                completed: false,
            };
            let framework = self.framework_for(&one.framework);
            framework.pid = one.framework_pid;
            framework.executors.push(executor);
        }
        self.id = id;
        let waiting = self.frameworks.iter().any(|framework| !framework.executors.is_empty());
        self.mode = if how == "cleanup" {
            Mode::CleaningUp
        } else if waiting {
            Mode::Recovering(Instant::now() + self.daemon.scaled(REREGISTER))
        } else {
            Mode::Working
        };
        if how == "cleanup" {
            log.info("slave.cpp", [2450, 2743], "Finished recovery");
            // Executors that are gone already can't be asked to go.
            for framework in &mut self.frameworks {
                framework.executors.retain(|executor| processes::start_time(executor.pid).is_some());
            }
        }
        Ok(())
    }

    /// Is there an executor that lives and has not come back yet?
    pub(super) fn awaits_executors(&self) -> bool {
        let mut executors = self.frameworks.iter().flat_map(|framework| &framework.executors);
        executors.any(|executor| executor.link.is_none() && processes::start_time(executor.pid).is_some())
    }

    /// Executors that did not come back in time are given up.
    pub(super) fn finish_recovery(&mut self) {
        let log = self.daemon.log.clone();
        log.info("slave.cpp", [1610, 1692], "Cleaning up un-reregistered executors");
        for framework in &mut self.frameworks {
            let gone: Vec<String> = framework
                .executors
                .iter()
                .filter(|executor| executor.link.is_none())
                .map(|executor| executor.id.clone())
                .collect();
            for id in gone {
                framework.executors.retain(|executor| executor.id != id);
                self.meta.drop_executor(&self.id, &framework.id, &id);
            }
        }
        self.forget_idle_frameworks();
        log.info("slave.cpp", [2450, 2743], "Finished recovery");
        self.mode = Mode::Working;
        self.next_try = Instant::now();
    }

    fn framework_for(&mut self, info: &Value) -> &mut Framework {
        let id = info["id"].as_str().unwrap_or_default();
        let index = self.frameworks.iter().position(|framework| framework.id == id).unwrap_or_else(|| {
            let text = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
            self.frameworks.push(Framework {
                id: id.to_owned(),
                name: text("name"),
                user: text("user"),
                checkpoint: info["checkpoint"].as_bool().unwrap_or_default(),
                pid: text("pid"),
                executors: Vec::new(),
            });
            self.frameworks.len() - 1
        });
        &mut self.frameworks[index]
    }

    /// A framework without executors is forgotten, and what it says of itself is read anew with its next task.
    fn forget_idle_frameworks(&mut self) {
        let idle: Vec<String> = self
            .frameworks
            .iter()
            .filter(|framework| framework.executors.is_empty())
            .map(|framework| framework.id.clone())
            .collect();
        for id in idle {
            self.meta.drop_framework(&self.id, &id);
            self.frameworks.retain(|framework| framework.id != id);
        }
    }

    pub(super) fn run_task(&mut self, message: &Value) {
        let log = self.daemon.log.clone();
        let (info, task) = (message["framework"].clone(), message["task"].clone());
        let (framework_id, task_id) =
            (info["id"].as_str().unwrap_or_default().to_owned(), task["id"].as_str().unwrap_or_default().to_owned());
        log.info("slave.cpp", [760, 793], &format!("Got assigned task {task_id} for framework {framework_id}"));
        let uuid = uuid();
        let directory = self.meta.sandbox(&self.id, &framework_id, &task_id, &uuid);
        let _ = std::fs::create_dir_all(&directory);
        // The real slave counts each command task twice.
        self.counters.staged += 2;
        let slave_checkpoints = self.info.checkpoint;
        let framework = self.framework_for(&info);
        let checkpoint = framework.checkpoint && slave_checkpoints;
        let as_known = json!({"id": framework.id, "name": framework.name, "user": framework.user, "checkpoint": framework.checkpoint, "pid": framework.pid});
        log.info("slave.cpp", [870, 904], &format!("Launching task {task_id} for framework {framework_id}"));
        if checkpoint {
            self.meta.checkpoint_task(&self.id, &as_known, &task_id, &uuid, &task);
        }
        let started = self.fork(&framework_id, &task_id, &uuid, &directory, checkpoint);
        match started {
            Ok(pid) => {
                log.info("process_isolator.cpp", [168, 163], &format!("Forked executor at {pid}"));
                if checkpoint {
                    self.meta.checkpoint_forked(&self.id, &framework_id, &task_id, &uuid, pid);
                }
                let executor = Executor {
                    id: task_id,
                    uuid,
                    directory,
                    link: None,
                    pid,
                    task,
                    state: "TASK_STAGING".to_owned(),
                    completed: false,
                };
                self.framework_for(&info).executors.push(executor);
            }
            Err(error) => {
                log.warning(
                    "process_isolator.cpp",
                    [170, 165],
                    &format!("Failed to start executor {task_id}: {error}"),
                );
                self.tell_master(&framework_id, &task_id, "TASK_FAILED", "Failed to launch executor");
                self.forget_idle_frameworks();
            }
        }
    }

    fn fork(
        &self,
        framework: &str,
        task: &str,
        uuid: &str,
        directory: &Path,
        checkpoint: bool,
    ) -> std::io::Result<u32> {
        let launcher = Path::new(self.daemon.flags.text("launcher_dir").trim()).join("mesos-executor");
        let mut command = if launcher.exists() {
            Command::new(launcher)
        } else {
            let mut command = Command::new("/proc/self/exe");
            command.env(ACT_AS, "mesos-executor");
            command
        };
        let output =
            |name: &str| std::fs::File::create(directory.join(name)).map_or_else(|_| Stdio::null(), Stdio::from);
        let timeout =
            self.daemon.flags.get("recovery_timeout").map_or(900.0, |_| self.daemon.flags.seconds("recovery_timeout"));
        let mut child = command
            .env("MESOS_SLAVE_PID", &self.pid)
            .env("MESOS_SLAVE_ID", &self.id)
            .env("MESOS_FRAMEWORK_ID", framework)
            .env("MESOS_EXECUTOR_ID", task)
            .env("MESOS_EXECUTOR_UUID", uuid)
            .env("MESOS_DIRECTORY", directory)
            .env("MESOS_CHECKPOINT", if checkpoint { "1" } else { "0" })
            .env("MESOS_RECOVERY_TIMEOUT", timeout.to_string())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .process_group(0)
            .spawn()?;
        let pid = child.id();
        let (sender, uuid) = (self.hub.sender.clone(), uuid.to_owned());
        std::thread::spawn(move || {
            let _ = child.wait();
            let _ = sender.send(super::Event::Ended(uuid));
        });
        Ok(pid)
    }

    /// An executor that links: a new one, or one of the life before.
    pub(super) fn on_executor(&mut self, link: u64, hello: &Value) {
        let text = |name: &str| hello[name].as_str().unwrap_or_default().to_owned();
        let (framework_id, id, uuid, pid) = (text("framework"), text("executor"), text("uuid"), text("pid"));
        let log = self.daemon.log.clone();
        let cleaning = self.mode == Mode::CleaningUp;
        let found = self.frameworks.iter_mut().find(|framework| framework.id == framework_id).and_then(|framework| {
            let checkpoint = framework.checkpoint;
            framework.executors.iter_mut().find(|executor| executor.uuid == uuid).map(|executor| (checkpoint, executor))
        });
        let Some((checkpoint, executor)) = found else {
            log.warning(
                "slave.cpp",
                [1330, 1410],
                &format!("Shutting down executor '{id}' of framework {framework_id}: it is not known"),
            );
            self.hub.send(link, &json!({"kind": "shutdown"}));
            return;
        };
        let again = executor.state != "TASK_STAGING";
        executor.link = Some(link);
        let task = executor.task.clone();
        self.executors.insert(link, (framework_id.clone(), uuid.clone()));
        if checkpoint && self.info.checkpoint {
            self.meta.checkpoint_executor_pid(&self.id, &framework_id, &id, &uuid, &pid);
        }
        if cleaning {
            log.info(
                "slave.cpp",
                [2420, 2698],
                &format!("Sending shutdown to executor '{id}' of framework {framework_id} to {pid}"),
            );
            self.hub.send(link, &json!({"kind": "shutdown"}));
        } else if again {
            log.info("slave.cpp", [1500, 1576], &format!("Re-registering executor {id} of framework {framework_id}"));
        } else {
            log.info(
                "slave.cpp",
                [1390, 1467],
                &format!("Got registration for executor '{id}' of framework {framework_id}"),
            );
            self.hub.send(link, &json!({"kind": "run", "task": task}));
        }
    }

    pub(super) fn on_executor_message(&mut self, link: u64, message: &Value) {
        let Some((framework_id, uuid)) = self.executors.get(&link).cloned() else { return };
        let state = message["state"].as_str().unwrap_or_default().to_owned();
        let Some(framework) = self.frameworks.iter_mut().find(|framework| framework.id == framework_id) else { return };
        let checkpoint = framework.checkpoint && self.info.checkpoint;
        let Some(executor) = framework.executors.iter_mut().find(|executor| executor.uuid == uuid) else { return };
        executor.state.clone_from(&state);
        executor.completed = matches!(state.as_str(), "TASK_KILLED" | "TASK_FINISHED" | "TASK_FAILED");
        let id = executor.id.clone();
        self.daemon.log.info(
            "slave.cpp",
            [1700, 1798],
            &format!("Handling status update {state} for task {id} of framework {framework_id}"),
        );
        if checkpoint {
            self.meta.checkpoint_update(&self.id, &framework_id, &id, &uuid, &state);
        }
        self.counters.valid += 1;
        match state.as_str() {
            "TASK_KILLED" => self.counters.killed += 1,
            "TASK_FINISHED" => self.counters.finished += 1,
            "TASK_FAILED" => self.counters.failed += 1,
            _ => {}
        }
        let leaving = matches!(self.mode, Mode::Leaving(_));
        if leaving {
            let text = format!(
                "Ignoring status update {state} for task {id} of framework {framework_id} for terminating framework {framework_id}"
            );
            self.daemon.log.warning("slave.cpp", [1720, 1821], &text);
            return;
        }
        self.tell_master(&framework_id, &id, &state, message["message"].as_str().unwrap_or_default());
    }

    fn tell_master(&mut self, framework: &str, task: &str, state: &str, message: &str) {
        if let Some(master) = self.master.link {
            let update = json!({"kind": "update", "framework": framework, "task": task, "state": state, "message": message, "pid": self.pid});
            self.hub.send(master, &update);
        }
    }

    pub(super) fn on_executor_gone(&mut self, link: u64) {
        if let Some((_, uuid)) = self.executors.remove(&link) {
            self.on_executor_ended(&uuid);
        }
    }

    /// The process or the link of an executor is gone: so is its task.
    pub(super) fn on_executor_ended(&mut self, uuid: &str) {
        let Some(framework) = self
            .frameworks
            .iter_mut()
            .find(|framework| framework.executors.iter().any(|executor| executor.uuid == uuid))
        else {
            return;
        };
        let framework_id = framework.id.clone();
        let Some(index) = framework.executors.iter().position(|executor| executor.uuid == uuid) else { return };
        let executor = framework.executors.remove(index);
        let log = self.daemon.log.clone();
        log.info(
            "slave.cpp",
            [2010, 2122],
            &format!("Executor '{}' of framework {framework_id} has terminated with unknown status", executor.id),
        );
        self.meta.drop_executor(&self.id, &framework_id, &executor.id);
        if !executor.completed && !matches!(self.mode, Mode::Leaving(_)) {
            self.counters.failed += 1;
            self.tell_master(&framework_id, &executor.id, "TASK_FAILED", "Executor terminated");
        }
        self.forget_idle_frameworks();
    }

    /// Asks the executors of a framework, or all, to end.
    pub(super) fn shut_down(&mut self, framework: Option<&str>) {
        let mut links = Vec::new();
        for one in self.frameworks.iter_mut().filter(|one| framework.is_none_or(|id| one.id == id)) {
            self.daemon.log.info("slave.cpp", [1090, 1151], &format!("Shutting down framework {}", one.id));
            links.extend(one.executors.iter().filter_map(|executor| executor.link));
        }
        for link in links {
            self.hub.send(link, &json!({"kind": "shutdown"}));
        }
    }

    /// The tasks that run here, for a master that must be told.
    pub(super) fn tasks(&self) -> Value {
        let all = self
            .frameworks
            .iter()
            .flat_map(|framework| framework.executors.iter().map(move |executor| (framework, executor)));
        all.map(|(framework, executor)| {
            let mut task = executor.task.clone();
            task["framework"] = json!(framework.id);
            task["state"] = json!(executor.state);
            task
        })
        .collect()
    }
}

/// A random UUID, version 4.
fn uuid() -> String {
    let mut bytes = [0_u8; 16];
    let _ = std::fs::File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
