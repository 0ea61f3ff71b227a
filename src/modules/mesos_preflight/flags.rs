//! What this host's daemons would be given, and whether the target and what is checkpointed here take it.

use super::ground::{changes_identity, checkpoints, resources_differ};
use super::{Preflight, fit};
use crate::cluster::mesos::{
    Channel, Daemon, Found, Paths, SlaveState, Version, Wish, before, check_set, disk_differs, flag, plan, read_host,
};
use crate::modules::Answer;
use crate::modules::mesos_flags::read_probe;
use crate::modules::mesos_look::{Local, enumerate, read_local};

/// The flags of each role, or why they can't be told.
pub(super) type Planned = Vec<(Daemon, Result<Found, String>)>;

/// A flag that a daemon will be given.
pub(super) fn wanted(planned: &Planned, daemon: Daemon, name: &str) -> Option<String> {
    let (_, found) = planned.iter().find(|(role, _)| *role == daemon)?;
    found.as_ref().ok()?.named(name).last()?.value.clone()
}

impl Preflight {
    /// What this host's own files would make of the flags, by role. A flag of the running daemon that no file explains is the
    /// supervisor's own.
    pub(super) fn planned(&self, answers: &[Answer]) -> Planned {
        let local = read_local(answers.first()).unwrap_or_default();
        let first = 1 + self.masters.len() + usize::from(self.own().is_some());
        let one = |place: usize, daemon: Daemon, set: &[(String, String)]| {
            let output = match answers.get(first + place) {
                Some(Answer::Script(Ok(output))) => output,
                Some(Answer::Script(Err(why))) => {
                    return Err(format!("the flags of {} can't be read: {why}", daemon.program()));
                }
                _ => return Err(format!("the flags of {} were not asked for", daemon.program())),
            };
            let paths = Paths::usual(daemon);
            let mut host = read_probe(output)?;
            if let (Some(process), Ok(now)) = (local.process(daemon), read_host(daemon, self.to, &paths, &host, None)) {
                let of_files = |name: &str| name == "conf" || now.named(name).next().is_some();
                host.supervisor =
                    process.own_flags().filter(|(name, _)| !of_files(name)).map(|(_, word)| word).collect();
            }
            // What the hop renames is renamed by its playbook.
            let renamed = before(self.to).and_then(|hop| hop.renamed.get(daemon.word()));
            let rename = renamed.into_iter().flatten().map(|(old, new)| (old.clone(), new.clone())).collect();
            let wish = Wish { set: set.to_vec(), rename, ..Wish::default() };
            plan(daemon, self.to, self.release, &paths, &host, None, &wish).map(|(_, found)| found)
        };
        self.roles.iter().enumerate().map(|(place, (daemon, set))| (*daemon, one(place, *daemon, set))).collect()
    }

    /// Whether the target takes the flags, and the variables that its supervisor gives it.
    pub(super) fn flags(&self, planned: &Planned, local: &Local, wrong: &mut Vec<String>, warnings: &mut Vec<String>) {
        for (daemon, planned) in planned {
            match planned {
                Ok(found) => {
                    let verdicts = check_set(*daemon, self.release, found);
                    wrong.extend(verdicts.refused);
                    warnings.extend(verdicts.warnings);
                    wrong.extend(self.environment(*daemon, found, local));
                }
                Err(why) => wrong.push(why.clone()),
            }
        }
    }

    /// Variables of the running daemon that no file explains and that 0.13 dies on.
    fn environment(&self, daemon: Daemon, found: &Found, local: &Local) -> Option<String> {
        let process = local.process(daemon)?;
        if !self.to.same_minor(Version::new(0, 13, 0)) {
            return None;
        }
        let of_files = |name: &str| found.named(name).any(|setting| setting.channel == Channel::Environment);
        let bad: Vec<String> = process
            .environment
            .iter()
            .map(|(name, _)| (name, name.trim_start_matches("MESOS_").to_ascii_lowercase()))
            .filter(|(_, name)| flag(daemon, self.release, name).is_none() && !of_files(name))
            .map(|(variable, _)| variable.clone())
            .collect();
        (!bad.is_empty()).then(|| {
            format!(
                "{} {} dies on every variable MESOS_… that is no flag, and the one that runs has {}: take it out of what starts it (its \
                 unit or script)",
                daemon.program(),
                self.to,
                enumerate(&bad, 5)
            )
        })
    }

    /// What would keep a slave that checkpoints from recovering: it counts as another slave.
    pub(super) fn recovery(
        &self,
        local: &Local,
        state: &SlaveState,
        planned: &Planned,
        wrong: &mut Vec<String>,
        warnings: &mut Vec<String>,
    ) {
        let Some(process) = local.process(Daemon::Slave) else { return };
        // What can't be told is said already, and nothing follows from it.
        if !planned.iter().any(|(daemon, found)| *daemon == Daemon::Slave && found.is_ok()) {
            return;
        }
        let wanted = |name: &str| wanted(planned, Daemon::Slave, name);
        if let Some(resources) = wanted("resources") {
            warnings.extend(resources_differ(&resources, state.version, self.to));
        }
        let Some(runs) = state.version.filter(|_| checkpoints(process)) else { return };
        wrong.extend(changes_identity(process, &wanted));
        if let Some(name) = wanted("hostname").filter(|name| *name != state.hostname) {
            wrong.push(format!(
                "this slave checkpoints as {}, and `hostname` would make it {name}: it would refuse to recover (Incompatible slave info). \
                 Leave `hostname` out of this upgrade",
                state.hostname
            ));
        }
        let pinned = process.flag("resources").is_some_and(|resources| resources.contains("disk"));
        if !pinned && let Some(why) = disk_differs(runs, self.to) {
            wrong.push(format!(
                "this slave checkpoints and its disk is not pinned: it would refuse to recover ({why}); set `resources` with its \
                 present disk, and restart it once before the upgrade"
            ));
        }
    }

    /// Whether the release fits this host.
    pub(super) fn fits(
        &self,
        fit: Result<fit::Fit, String>,
        planned: &Planned,
        local: &Local,
        wrong: &mut Vec<String>,
        warnings: &mut Vec<String>,
    ) {
        let fit = match fit {
            Ok(fit) => fit,
            Err(why) => return warnings.push(format!("whether the release fits {} can't be seen: {why}", self.host)),
        };
        let daemons = [Daemon::Master, Daemon::Slave].map(Daemon::program);
        let absent = fit.absent();
        // A daemon's own binary counts where it is to be staged yet; what is not a daemon's, while any is.
        let counts = |program: &str| match daemons.contains(&program) {
            true => absent.contains(&program),
            false => !absent.is_empty(),
        };
        let size = self.binaries.iter().filter(|(program, _)| counts(program)).map(|(_, size)| size).sum();
        let flags = |daemon: Daemon| -> Vec<String> {
            let found = planned.iter().find(|(role, _)| *role == daemon).and_then(|(_, found)| found.as_ref().ok());
            let settings = found.into_iter().flat_map(|found| &found.settings);
            // What the table refuses is told already.
            let known = settings.filter(|setting| flag(daemon, self.release, &setting.name).is_some());
            known
                .filter(|setting| setting.channel == Channel::CommandLine)
                .map(|setting| setting.name.clone())
                .collect()
        };
        wrong.extend(fit.wrong(&self.root, size, self.staged, &flags));
        if let Some(path) = wanted(planned, Daemon::Master, "credentials") {
            let now = local.process(Daemon::Master).is_some_and(|process| process.flag("credentials").is_some());
            let (bad, told) = fit.credentials(&path, self.to, now);
            wrong.extend(bad);
            warnings.extend(told);
        }
    }
}
