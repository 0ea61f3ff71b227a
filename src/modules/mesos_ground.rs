//! What a preflight looks at on a host besides its daemons' answers: whether a daemon that dies is started again, and what
//! a slave has checkpointed.
//!
//! Not a module itself. It can't know of a supervisor that it does not know (monit, runit): it says nothing of those.

use super::mesos_look::{Local, Process};
use super::{Answer, Question};
use crate::base::Script;
use crate::cluster::mesos::Daemon;

/// Where slaves keep what they work with when no flag says so.
const WORK_DIR: &str = "/tmp/mesos";

/// Flags that are part of what a slave checkpoints of itself: it refuses to recover when one of them has changed.
const IDENTITY: [&str; 2] = ["resources", "attributes"];

/// What stands on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ground {
    /// What manages a daemon, and whether that starts it again: by program.
    kept: Vec<(String, String, bool)>,
    /// Programs whose unit kills what they have started along with them.
    sweeps: Vec<String>,
    /// The id under which a slave has checkpointed here.
    latest: Option<String>,
}

/// Asks for it.
pub(super) fn ask(local: &Local) -> Question {
    let slave = local.process(Daemon::Slave);
    let work_dir = slave.and_then(|process| process.flag("work_dir")).unwrap_or_else(|| WORK_DIR.to_owned());
    let programs = [Daemon::Master, Daemon::Slave].into_iter().filter(|daemon| local.process(*daemon).is_some());
    let script = Script::new().set("work", &work_dir).arguments(programs.map(Daemon::program)).line(
        r#"for program in "$@"; do
  if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
    unit=$(systemctl show -p LoadState -p Restart -p KillMode "$program" 2>/dev/null)
    case $unit in *LoadState=loaded*) ;; *) continue ;; esac
    case $unit in *Restart=no*) echo "K no $program systemd" ;; *) echo "K yes $program systemd" ;; esac
    case $unit in *KillMode=control-group* | *KillMode=mixed*) echo "S $program" ;; esac
  elif [ -f "/etc/init/$program.conf" ]; then
    if grep -q '^[[:space:]]*respawn[[:space:]]*$' "/etc/init/$program.conf"; then echo "K yes $program upstart"
    else echo "K no $program upstart"; fi
  elif [ "$(cat /proc/1/comm 2>/dev/null)" = init ] && [ -x "/etc/init.d/$program" ]; then
    grep -q "$program" /etc/inittab 2>/dev/null || echo "K no $program init.d"
  fi
done
latest=$work/meta/slaves/latest
if [ -L "$latest" ]; then latest=$(readlink "$latest"); echo "M ${latest##*/}"; fi
echo Z"#,
    );
    Question::Script(script)
}

/// Reads the answer to [`ask`].
///
/// # Errors
/// The host is out of reach, or the output is cut.
pub(super) fn read(answer: Option<&Answer>) -> Result<Ground, String> {
    let output = match answer {
        Some(Answer::Script(Ok(output))) => output,
        Some(Answer::Script(Err(why))) => return Err(why.clone()),
        _ => return Err("was not asked".to_owned()),
    };
    let mut ground = Ground::default();
    let text = output.out();
    for line in text.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("K"), Some(again), Some(program), Some(manager)) => {
                ground.kept.push((program.to_owned(), manager.to_owned(), again == "yes"));
            }
            (Some("S"), Some(program), ..) => ground.sweeps.push(program.to_owned()),
            (Some("M"), Some(id), ..) => ground.latest = Some(id.to_owned()),
            _ => {}
        }
    }
    if text.lines().last().is_some_and(|line| line.starts_with('Z')) {
        Ok(ground)
    } else {
        Err(format!("the look at the host was cut off (status {})", output.status))
    }
}

impl Ground {
    /// What an operator should know before the first stop.
    pub(super) fn warnings(&self, local: &Local, set: &[(String, String)]) -> Vec<String> {
        let mut warnings = Vec::new();
        let master = Daemon::Master.program();
        if let Some((_, manager, _)) = self.kept.iter().find(|(program, _, again)| program == master && !again) {
            warnings.push(format!(
                "nothing starts {master} again when it dies ({manager}): a master that loses ZooKeeper for 10 s aborts itself, \
                 and would stay away"
            ));
        }
        let slave = Daemon::Slave.program();
        if self.sweeps.iter().any(|program| program == slave) {
            warnings.push(format!(
                "the unit of {slave} kills its executors when it stops: tasks outlive their slave only with KillMode=process"
            ));
        }
        if let (Some(process), Some(id)) = (local.process(Daemon::Slave), &self.latest)
            && !checkpoints(process)
            && set.iter().any(|(name, value)| name == "checkpoint" && value == "true")
        {
            let work = process.flag("work_dir").unwrap_or_else(|| WORK_DIR.to_owned());
            warnings.push(format!(
                "{work}/meta/slaves/latest is left from when this slave checkpointed as {id}: with --checkpoint it will try to \
                 recover that; remove the link if it is not wanted"
            ));
        }
        warnings
    }
}

/// Whether a slave's process checkpoints, by its flags.
pub(super) fn checkpoints(process: &Process) -> bool {
    process.flag("checkpoint").is_some_and(|value| value == "true" || value == "1")
}

/// Flags that a slave that checkpoints would be given, and that make it refuse to recover.
pub(super) fn changes_identity(process: &Process, set: &[(String, String)]) -> Option<String> {
    let (name, value) = set.iter().find(|(name, value)| {
        IDENTITY.contains(&name.as_str()) && process.flag(name).is_none_or(|now| now != *value)
    })?;
    let now = process.flag(name).unwrap_or_else(|| "nothing".to_owned());
    Some(format!(
        "this slave checkpoints, and `{name}` would change from {now} to {value}: it would refuse to recover (Incompatible slave \
         info). Leave `{name}` as it is in this upgrade"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::{SHELLS, run_script};

    #[test]
    fn a_link_of_checkpoints_is_found_on_every_shell() {
        let folder = tempfile::tempdir().expect("a folder");
        let meta = folder.path().join("meta/slaves");
        std::fs::create_dir_all(&meta).expect("a folder");
        let mut process = Process::default();
        process.pid = 5;
        process.words = vec!["mesos-slave".to_owned(), format!("--work_dir={}", folder.path().display())];
        let local = Local { processes: vec![(Daemon::Slave, process)], ..Local::default() };
        let look = |shell| {
            let Question::Script(script) = ask(&local) else { panic!("a script") };
            read(Some(&Answer::Script(Ok(run_script(shell, &script)))))
        };
        for shell in SHELLS {
            assert_eq!(look(shell).map(|ground| ground.latest), Ok(None), "{shell:?}");
        }
        std::os::unix::fs::symlink(meta.join("S7"), meta.join("latest")).expect("a link");
        for shell in SHELLS {
            assert_eq!(look(shell).map(|ground| ground.latest), Ok(Some("S7".to_owned())), "{shell:?}");
        }
    }
}
