//! What a command may have left running on its host when the connection broke, and how that is ended.
//!
//! A server notices a cut line late or never, and a script does not notice it at all. Whoever does the same again must know that
//! the first try is over: both would write the same files.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::Script;

use super::Become;

/// A process of a host that can't be taken for another one with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// Its number; a command's is that of its process group, too.
    pub(super) id: u32,
    /// When it began, in the kernel's ticks since it was started; 0 when that isn't known.
    pub(super) start: u64,
    /// Which start of the host it was; empty when that isn't known.
    pub(super) boot: String,
}

impl Process {
    /// Reads `NUMBER [START [BOOT]]`.
    pub(super) fn parse(facts: &str) -> Option<Self> {
        let mut words = facts.split_whitespace();
        let id = words.next()?.parse().ok().filter(|id| *id > 1)?;
        let start = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let boot = words.next().unwrap_or_default();
        let boot = boot.chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').collect();
        Some(Self { id, start, boot })
    }
}

/// One command that had not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    /// As whom it ran.
    pub(super) r#become: Option<Become>,
    /// What stands on the command line of its shell.
    pub(super) nonce: String,
    /// Its process group, once it was heard of.
    pub(super) begun: Option<Process>,
    /// The shell that was told to start it, and may do so later.
    pub(super) shell: Option<Process>,
}

/// Follows a command: what it has left when it could not be seen to its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Vec<Left>>>);

impl Trace {
    pub(super) fn add(&self, left: Left) {
        self.with(|all| all.push(left));
    }

    pub(super) fn begun(&self, nonce: &str, process: Process) {
        self.with(|all| {
            if let Some(left) = all.iter_mut().find(|left| left.nonce == nonce) {
                left.begun = Some(process);
            }
        });
    }

    pub(super) fn remove(&self, nonce: &str) {
        self.with(|all| all.retain(|left| left.nonce != nonce));
    }

    pub(super) fn all(&self) -> Vec<Left> {
        self.with(|all| all.clone())
    }

    /// Whether nothing is left that may run.
    pub(crate) fn is_empty(&self) -> bool {
        self.with(|all| all.is_empty())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Left>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The status of [`Left::end`]'s script when something lives on (`EX_TEMPFAIL`).
pub(super) const STILL_THERE: i32 = 75;

/// Fields of `/proc/PID/stat` after the name in parentheses: state, parent, process group, 16 others, the time it began.
const END: &str = r#"
stagger_b=; { read -r stagger_b </proc/sys/kernel/random/boot_id; } 2>/dev/null
[ -z "$stagger_boot" ] || [ "$stagger_b" = "$stagger_boot" ] || exit 0
stagger_started() { sed -n 's/^[0-9]* .*) [^ZX] \([^ ]* \)\{18\}\([0-9]*\) .*/\2/p' "/proc/$1/stat" 2>/dev/null; }
stagger_look() {
  stagger_g=$stagger_group; stagger_l=
  for stagger_f in $(grep -ls "$stagger_nonce" /proc/[0-9]*/cmdline 2>/dev/null); do
    stagger_n=$(sed -n 's/^[0-9]* .*) [^ZX] [0-9]* \([0-9]*\) .*/\1/p' "${stagger_f%/cmdline}/stat" 2>/dev/null)
    [ "${stagger_n:-0}" -le 1 ] || stagger_g="$stagger_g $stagger_n"
  done
  for stagger_n in $stagger_g; do
    for stagger_f in $(sed -n "s/^\([0-9]*\) .*) [^ZX] [0-9]* $stagger_n \([^ ]* \)\{16\}\([0-9]*\) .*/\1:\3/p" /proc/[0-9]*/stat 2>/dev/null); do
      [ "${stagger_f#*:}" -lt "$stagger_since" ] || stagger_l="$stagger_l ${stagger_f%:*}"
    done
  done
  [ -n "$stagger_l" ]
}
if [ "$stagger_shell" -gt 1 ] && [ "$(stagger_started "$stagger_shell")" = "$stagger_start" ]; then
  kill -KILL "$stagger_shell" 2>/dev/null
fi
stagger_t=0
while stagger_look; do
  if [ $stagger_t -ge 50 ]; then echo $stagger_l; exit 75; fi
  if [ $stagger_t -lt 20 ]; then stagger_s=TERM; else stagger_s=KILL; fi
  [ $((stagger_t % 20)) -ne 0 ] || kill -$stagger_s $stagger_l 2>/dev/null
  sleep 0.1 2>/dev/null || sleep 1
  stagger_t=$((stagger_t+1))
done
:
"#;

impl Left {
    /// A script that kills what is left: it asks, waits at most two seconds, insists, and waits for three more. What can't be
    /// killed is printed, and the status is [`STILL_THERE`].
    ///
    /// After a restart of the host nothing is left, and the numbers belong to others. Without one a number can belong to another
    /// only if that began before the shell of this command did; what is younger and has the number of the group is in it.
    pub(super) fn end(&self) -> Script {
        let boot =
            [&self.begun, &self.shell].into_iter().flatten().map(|p| p.boot.as_str()).find(|boot| !boot.is_empty());
        let since = self.shell.as_ref().or(self.begun.as_ref()).map_or(0, |process| process.start);
        let group = self.begun.as_ref().map_or(String::new(), |process| process.id.to_string());
        let (shell, shell_start) = self.shell.as_ref().map_or((0, 0), |process| (process.id, process.start));
        // The search must not find itself.
        let (first, rest) = self.nonce.split_at_checked(1).unwrap_or((".", ""));
        Script::new()
            .set("stagger_boot", boot.unwrap_or_default())
            .set("stagger_since", &since.to_string())
            .set("stagger_group", &group)
            .set("stagger_nonce", &format!("[{first}]{rest}"))
            .set("stagger_shell", &shell.to_string())
            .set("stagger_start", &shell_start.to_string())
            .line(END)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// A group that ignores polite requests, with a nonce on its first command line.
    fn stubborn(nonce: &str, text: &str) -> (Child, Process) {
        let child = Command::new("setsid")
            .args(["sh", "-c", &format!("trap '' TERM; : {nonce}; {text}")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process { id: child.id(), start: 0, boot: own_boot() };
        (child, process)
    }

    fn own_boot() -> String {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned()
    }

    fn end(left: &Left, shell: &[&str]) -> std::process::Output {
        let (program, first) = shell.split_first().unwrap();
        Command::new(program).args(first).args(["-c", left.end().as_str()]).output().unwrap()
    }

    fn lives(child: &mut Child) -> bool {
        child.try_wait().unwrap().is_none()
    }

    #[test]
    fn what_is_left_is_found_by_group_or_nonce_and_killed() {
        for (number, shell) in [&["dash"][..], &["bash"], &["busybox", "sh"]].into_iter().enumerate() {
            for by_group in [true, false] {
                let nonce = format!("0left{number}{by_group}{}", std::process::id());
                let (mut child, process) = stubborn(&nonce, "while :; do sleep 5; done");
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
                while !std::fs::read_to_string(format!("/proc/{}/cmdline", process.id)).unwrap().contains(&nonce) {
                    assert!(std::time::Instant::now() < deadline);
                }
                let left = Left { r#become: None, nonce, begun: by_group.then_some(process.clone()), shell: None };
                // Another start of the host: the numbers are somebody else's.
                let rebooted = Process { boot: "0000-1111".to_owned(), ..process.clone() };
                let output = end(&Left { begun: Some(rebooted.clone()), shell: None, ..left.clone() }, shell);
                assert!(output.status.success() && lives(&mut child), "{shell:?}: {output:?}");
                // A process that is older than the shell which is said to have started it.
                let older = Process { start: 1 << 40, id: 1 << 30, ..process.clone() };
                let output = end(&Left { shell: Some(older), nonce: "elsewhere".to_owned(), ..left.clone() }, shell);
                assert!(output.status.success() && lives(&mut child), "{shell:?}: {output:?}");
                let output = end(&left, shell);
                assert!(output.status.success() && output.stdout.is_empty(), "{shell:?}: {output:?}");
                assert!(!lives(&mut child), "{shell:?} {by_group}");
            }
        }
    }

    #[test]
    fn the_shell_that_would_start_it_later_is_killed() {
        let mut shell = Command::new("sh").stdin(Stdio::piped()).spawn().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", shell.id())).unwrap();
        let start = stat.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().parse().unwrap();
        let process = Process { id: shell.id(), start, boot: own_boot() };
        let left =
            |process: Process| Left { r#become: None, nonce: "0nowhere".to_owned(), begun: None, shell: Some(process) };
        assert!(end(&left(Process { start: start + 1, ..process.clone() }), &["dash"]).status.success());
        assert!(lives(&mut shell), "another process with its number");
        assert!(end(&left(process), &["dash"]).status.success());
        assert!(!shell.wait().unwrap().success());
    }

    #[test]
    fn facts_about_a_process_are_read_strictly() {
        let process = Process { id: 12, start: 34, boot: "ab-1".to_owned() };
        assert_eq!(Process::parse("12 34 ab-1"), Some(process));
        assert_eq!(Process::parse("12").map(|p| (p.id, p.start, p.boot)), Some((12, 0, String::new())));
        assert_eq!(Process::parse("12 34 $(x)").map(|p| p.boot), Some(String::new()));
        assert_eq!((Process::parse("1"), Process::parse("-5"), Process::parse("")), (None, None, None));
    }
}
