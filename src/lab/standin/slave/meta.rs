//! What a slave writes down to come back as what it was: the layout of the real one, with JSON where that has protobuf.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lab::standin::era::Era;
use crate::lab::standin::glog::Log;
use crate::lab::standin::resources::Resources;

/// What must not change between two lives of a slave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Info {
    pub(crate) hostname: String,
    pub(crate) webui_hostname: String,
    pub(crate) resources: Resources,
    pub(crate) attributes: Value,
    pub(crate) checkpoint: bool,
}

impl Info {
    /// Whether a slave of `era` takes the other for itself: 0.15 no longer compares the name for the web pages.
    pub(crate) fn same(&self, other: &Info, era: Era) -> bool {
        let mut other = other.clone();
        if era >= Era::V0_15 {
            other.webui_hostname.clone_from(&self.webui_hostname);
        }
        *self == other
    }

    /// As protobuf prints it in "Incompatible slave info detected."
    pub(crate) fn debug_text(&self, id: &str, port: u16, era: Era) -> String {
        let attribute = |(name, value): (&String, &Value)| {
            let value = value.as_str().unwrap_or_default();
            format!("attributes {{\n  name: \"{name}\"\n  type: TEXT\n  text {{\n    value: \"{value}\"\n  }}\n}}\n")
        };
        let attributes: String = self.attributes.as_object().into_iter().flatten().map(attribute).collect();
        format!(
            "hostname: \"{}\"\nwebui_hostname: \"{}\"\n{}{attributes}id {{\n  value: \"{id}\"\n}}\ncheckpoint: {}\nport: {port}\n",
            self.hostname,
            self.webui_hostname,
            self.resources.debug_text(era),
            self.checkpoint
        )
    }
}

/// An executor that was running when the slave ended.
pub(crate) struct Known {
    pub(crate) framework: Value,
    pub(crate) framework_pid: String,
    pub(crate) executor: String,
    pub(crate) uuid: String,
    pub(crate) task: Value,
    pub(crate) state: String,
    pub(crate) pid: u32,
}

/// `work_dir/meta/slaves`.
pub(crate) struct Meta {
    work_dir: PathBuf,
}

impl Meta {
    pub(crate) fn new(work_dir: &Path) -> Meta {
        Meta { work_dir: work_dir.to_owned() }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.work_dir.join("meta")
    }

    fn slaves(&self) -> PathBuf {
        self.root().join("slaves")
    }

    fn framework(&self, slave: &str, framework: &str) -> PathBuf {
        self.slaves().join(slave).join("frameworks").join(framework)
    }

    fn run(&self, slave: &str, framework: &str, executor: &str, uuid: &str) -> PathBuf {
        self.framework(slave, framework).join("executors").join(executor).join("runs").join(uuid)
    }

    /// The sandbox of an executor.
    pub(crate) fn sandbox(&self, slave: &str, framework: &str, executor: &str, uuid: &str) -> PathBuf {
        let base = self.work_dir.join("slaves").join(slave).join("frameworks").join(framework);
        base.join("executors").join(executor).join("runs").join(uuid)
    }

    /// The id and info of the life before, if one was written down.
    pub(crate) fn latest(&self) -> Option<(String, Info)> {
        let folder = fs::canonicalize(self.slaves().join("latest")).ok()?;
        let id = folder.file_name()?.to_str()?.to_owned();
        let info = read(&folder.join("slave.info"))?;
        Some((id, serde_json::from_value(info).ok()?))
    }

    /// The next life is a new slave.
    pub(crate) fn forget(&self) {
        let _ = fs::remove_file(self.slaves().join("latest"));
    }

    pub(crate) fn checkpoint_slave(&self, id: &str, info: &Info, log: &Log) {
        let folder = self.slaves().join(id);
        log.info("paths.hpp", [340, 369], &format!("Created slave directory '{}'", folder.display()));
        let file = folder.join("slave.info");
        log.info("slave.cpp", [603, 633], &format!("Checkpointing SlaveInfo to '{}'", file.display()));
        write(&file, &serde_json::to_value(info).unwrap_or_default());
        let latest = self.slaves().join("latest");
        let _ = fs::remove_file(&latest);
        let _ = symlink(&folder, &latest);
    }

    pub(crate) fn checkpoint_pid(&self, slave: &str, framework: &str, pid: &str) {
        let folder = self.framework(slave, framework);
        let _ = fs::create_dir_all(&folder);
        let _ = fs::write(folder.join("framework.pid"), pid);
    }

    /// Writes down a framework and the task that it starts here.
    pub(crate) fn checkpoint_task(&self, slave: &str, framework: &Value, executor: &str, uuid: &str, task: &Value) {
        let id = framework["id"].as_str().unwrap_or_default();
        let folder = self.framework(slave, id);
        write(&folder.join("framework.info"), framework);
        self.checkpoint_pid(slave, id, framework["pid"].as_str().unwrap_or_default());
        write(&folder.join("executors").join(executor).join("executor.info"), task);
        let run = self.run(slave, id, executor, uuid);
        write(&run.join("tasks").join(executor).join("task.info"), task);
        let latest = folder.join("executors").join(executor).join("runs").join("latest");
        let _ = fs::remove_file(&latest);
        let _ = symlink(&run, &latest);
    }

    pub(crate) fn checkpoint_forked(&self, slave: &str, framework: &str, executor: &str, uuid: &str, pid: u32) {
        let folder = self.run(slave, framework, executor, uuid).join("pids");
        let _ = fs::create_dir_all(&folder);
        let _ = fs::write(folder.join("forked.pid"), pid.to_string());
    }

    pub(crate) fn checkpoint_executor_pid(&self, slave: &str, framework: &str, executor: &str, uuid: &str, pid: &str) {
        let folder = self.run(slave, framework, executor, uuid).join("pids");
        let _ = fs::create_dir_all(&folder);
        let _ = fs::write(folder.join("libprocess.pid"), pid);
    }

    pub(crate) fn checkpoint_update(&self, slave: &str, framework: &str, executor: &str, uuid: &str, state: &str) {
        let file = self.run(slave, framework, executor, uuid).join("tasks").join(executor).join("task.updates");
        if let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).open(file) {
            let _ = writeln!(file, "{state}");
        }
    }

    pub(crate) fn drop_executor(&self, slave: &str, framework: &str, executor: &str) {
        let _ = fs::remove_dir_all(self.framework(slave, framework).join("executors").join(executor));
    }

    pub(crate) fn drop_framework(&self, slave: &str, framework: &str) {
        let _ = fs::remove_dir_all(self.framework(slave, framework));
    }

    /// All executors that were written down under a slave's id.
    pub(crate) fn executors(&self, slave: &str) -> Vec<Known> {
        let mut found = Vec::new();
        for framework in names(&self.slaves().join(slave).join("frameworks")) {
            let folder = self.framework(slave, &framework);
            let Some(info) = read(&folder.join("framework.info")) else { continue };
            let framework_pid = fs::read_to_string(folder.join("framework.pid")).unwrap_or_default();
            for executor in names(&folder.join("executors")) {
                let Some(run) =
                    fs::canonicalize(folder.join("executors").join(&executor).join("runs").join("latest")).ok()
                else {
                    continue;
                };
                let task = run.join("tasks").join(&executor);
                let Some(written) = read(&task.join("task.info")) else { continue };
                let updates = fs::read_to_string(task.join("task.updates")).unwrap_or_default();
                found.push(Known {
                    framework: info.clone(),
                    framework_pid: framework_pid.clone(),
                    uuid: run.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                    executor,
                    task: written,
                    state: updates.lines().last().unwrap_or("TASK_STAGING").to_owned(),
                    pid: fs::read_to_string(run.join("pids/forked.pid"))
                        .ok()
                        .and_then(|text| text.parse().ok())
                        .unwrap_or_default(),
                });
            }
        }
        found
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Length first, then the message, as the real files have it.
fn write(path: &Path, value: &Value) {
    if let Some(parent) = path.parent() {
        let _ = fs::create_dir_all(parent);
    }
    let text = value.to_string();
    let length = u32::try_from(text.len()).unwrap_or_default().to_le_bytes();
    let _ = fs::write(path, [&length, text.as_bytes()].concat());
}

fn read(path: &Path) -> Option<Value> {
    let bytes = fs::read(path).ok()?;
    serde_json::from_slice(bytes.get(4..)?).ok()
}
