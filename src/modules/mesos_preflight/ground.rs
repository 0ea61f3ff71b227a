//! What a preflight looks at on a host besides its daemons' answers: whether a daemon that dies is started again, and what
//! a slave has checkpointed.
//!
//! Not a module itself. It can't know of a supervisor that it does not know (monit, runit): it says nothing of those.

use crate::base::Script;
use crate::cluster::mesos::{Daemon, Version};
use crate::modules::mesos_look::{Local, Process};
use crate::modules::{Answer, Question};

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
    pub(super) fn warnings(&self, local: &Local, will_checkpoint: bool) -> Vec<String> {
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
            && will_checkpoint
        {
            let work = process.flag("work_dir").unwrap_or_else(|| WORK_DIR.to_owned());
            warnings.push(format!(
                "{work}/meta/slaves/latest is left from when this slave checkpointed as {id}: with --checkpoint it will try to \
                 recover that; remove the link if it is not wanted"
            ));
        }
        warnings
    }

    /// Why a slave that checkpoints would not find again what it has written, by the id under which it runs.
    pub(super) fn lost_sight(&self, process: &Process, id: Option<&str>, work_dir: Option<&str>) -> Vec<String> {
        if !checkpoints(process) {
            return Vec::new();
        }
        let mut wrong = Vec::new();
        let work = process.flag("work_dir").unwrap_or_else(|| WORK_DIR.to_owned());
        match (&self.latest, id) {
            (Some(latest), Some(id)) if latest != id => wrong.push(format!(
                "this slave checkpoints and runs as {id}, but {work}/meta/slaves/latest leads to {latest}: its next start would recover \
                 another slave"
            )),
            (None, _) => wrong.push(format!(
                "this slave checkpoints, but {work}/meta/slaves/latest is not there (or can't be read without `become: true`): it would \
                 come back as a new slave, its tasks lost"
            )),
            _ => {}
        }
        let wanted = work_dir.unwrap_or(WORK_DIR);
        if wanted.trim_end_matches('/') != work.trim_end_matches('/') {
            wrong.push(format!(
                "this slave checkpoints in {work}, and `work_dir` would become {wanted}: it would come back as a new slave, its tasks lost"
            ));
        }
        wrong
    }
}

/// Whether a slave's process checkpoints, by its flags.
pub(super) fn checkpoints(process: &Process) -> bool {
    process.flag("checkpoint").is_some_and(|value| value == "true" || value == "1")
}

/// What a slave that checkpoints would be given otherwise than it has it, and would refuse to recover for.
pub(super) fn changes_identity(process: &Process, wanted: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let nothing = || "nothing".to_owned();
    let differs = |name: &&&str| process.flag(name) != wanted(name);
    IDENTITY
        .iter()
        .filter(differs)
        .map(|name| {
            let (now, then) = (process.flag(name).unwrap_or_else(nothing), wanted(name).unwrap_or_else(nothing));
            format!(
                "this slave checkpoints, and `{name}` would change from {now} to {then}: it would refuse to recover (Incompatible \
                 slave info). Leave `{name}` as it is in this upgrade"
            )
        })
        .collect()
}

/// The kinds of resources that every release knows.
const RESOURCES: [&str; 4] = ["cpus", "mem", "disk", "ports"];

/// What a release makes of resources that the one before took otherwise.
pub(super) fn resources_differ(text: &str, from: Option<Version>, to: Version) -> Vec<String> {
    let names: Vec<&str> = text
        .split(';')
        .filter_map(|one| one.split(':').next())
        .map(|name| name.split('(').next().unwrap_or(name).trim())
        .filter(|name| !name.is_empty())
        .collect();
    let first = Version::new(0, 13, 0);
    let mut told = Vec::new();
    let own: Vec<&str> = names.iter().copied().filter(|name| !RESOURCES.contains(name)).collect();
    if to.same_minor(first) && !own.is_empty() {
        told.push(format!(
            "0.13 drops resources with names of one's own: {} would be gone from the offers",
            own.join(", ")
        ));
    }
    let open: Vec<&str> = RESOURCES.iter().copied().filter(|name| !names.contains(name)).collect();
    if to >= first && from.is_none_or(|from| from < first) && !open.is_empty() {
        told.push(format!(
            "`resources` does not say {}: a slave before 0.13 offers none of it, one from 0.13 on what it finds on the host. Pin it if \
             that is not wanted",
            open.join(", ")
        ));
    }
    told
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
