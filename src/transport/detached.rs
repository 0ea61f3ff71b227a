//! Commands that outlive their connection: each in a session of its own on the host, with a folder that tells how it goes.
//!
//! Starting and finding it again are one script. Whoever makes the folder's `run` runs the command, so it is never started twice, not
//! by two who try at once either. The folder is `/var/tmp/.stagger-UID/RUN-STEP` of mode 0700 and of the user who runs the command
//! (`/tmp` where a host has no `/var/tmp`): a home may be missing, read-only, or the same on many hosts. In it are
//! `pid` (supervisor, command, start of the host), `out.*` and `err.*` (beginning and end of what was printed, at most 3 MiB
//! each), and at the end `status`. Files that are read are written beside and renamed. The time limit is kept on the host, too: by the
//! supervisor, whether anybody is connected or not.
//!
//! What it cannot know: how a command ended whose supervisor was killed, or whose host was started anew. That is [`Found::Lost`],
//! never "failed". A host whose `logind` has `KillUserProcesses=yes` kills it when the session ends: that is the same.

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::base::{Output, Script};

use super::wrapping::{full_script, pieces, small_text};
use super::{Command, Connection, Lost};

/// Where folders of steps may be, the first that can be written.
const ROOTS: &str = "/var/tmp /tmp";

/// A command that outlives its connection.
#[derive(Debug, Clone)]
pub(crate) struct Detached {
    /// What to run, as whom, with what environment and (short) input. Its timeout is not looked at.
    pub(crate) command: Command,
    /// By which shell.
    pub(crate) shell: String,
    /// The run's id.
    pub(crate) run: String,
    /// What tells this command from others of the run on any host and for any user: the same text finds it again.
    pub(crate) step: String,
    /// How long it may take; then it is killed on the host.
    pub(crate) within: Duration,
}

/// How it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It has ended.
    Finished {
        /// What it left.
        output: Output,
        /// When it began and ended, by the host's clock in seconds since 1970.
        times: (i64, i64),
        /// It was killed because its time was over.
        late: bool,
    },
    /// It runs.
    Running {
        /// Since when, by the host's clock.
        elapsed: Duration,
    },
    /// It was begun, and how it ended is not known: why.
    Lost(String),
    /// It was never begun, and was not to be now.
    Absent,
    /// The host can't run it so; it was not begun: why.
    Refused(String),
}

impl Detached {
    /// Starts it unless it was started before (`start`), waits on the host for at most `wait`, and says how it goes.
    ///
    /// # Errors
    /// The connection; it goes on without one. Ask again over the next.
    pub(crate) async fn attach(&self, connection: &dyn Connection, start: bool, wait: Duration) -> Result<Found, Lost> {
        let script = self.script(ROOTS, start, wait).map_err(Lost::Local)?;
        let mut command = self.on_host(script);
        command.timeout = Some(wait + Duration::from_secs(60));
        let mut output = connection.run(&command).await?;
        Ok(read(&mut output))
    }

    /// Removes what it left on the host. Only when its end is known and written down: without the folder it would be started again.
    ///
    /// # Errors
    /// The connection.
    pub(crate) async fn clean_up(&self, connection: &dyn Connection) -> Result<(), Lost> {
        connection.run(&self.on_host(self.folder(ROOTS).line(CLEAN))).await.map(|_| ())
    }

    fn on_host(&self, script: Script) -> Command {
        let mut command = Command::new(script);
        command.r#become.clone_from(&self.command.r#become);
        command.keep = self.command.keep;
        command
    }

    /// The name of its folder.
    fn name(&self) -> String {
        let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let mut name: String = self.run.chars().filter(plain).take(64).collect();
        name.push('-');
        for byte in Sha256::digest(format!("{}\0{}", self.run, self.step).as_bytes()).iter().take(12) {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    fn folder(&self, roots: &str) -> Script {
        Script::new().set("stagger_roots", roots).set("stagger_name", &self.name()).line(FOLDER)
    }

    fn script(&self, roots: &str, start: bool, wait: Duration) -> Result<Script, String> {
        let text = full_script(&self.command)?;
        let input = match &self.command.stdin {
            None => None,
            Some(content) => {
                Some(small_text(content).ok_or("the input of a detached command is text of at most 32 KiB")?)
            }
        };
        let mut script = self
            .folder(roots)
            .set("stagger_start", if start { "yes" } else { "" })
            .set("stagger_wait", &wait.as_secs().to_string())
            .set("stagger_limit", &self.within.as_secs().max(1).to_string())
            .set("stagger_shell", &self.shell)
            .set("stagger_input", if input.is_some() { "yes" } else { "" })
            .line(REPORT);
        if start {
            let (mut names, mut values) = (String::new(), String::new());
            let mut parts = String::new();
            for (number, piece) in pieces(&text).into_iter().enumerate() {
                let _ = write!(names, " stagger_s{number}");
                let _ = write!(values, "$stagger_s{number}");
                let _ = writeln!(parts, "stagger_s{number}={}", crate::base::quote(piece));
            }
            let own = "stagger_d stagger_limit stagger_shell stagger_input stagger_command stagger_boot stagger_umask";
            script = script
                .user_text(&parts)
                .set("stagger_command", &format!("umask \"$stagger_umask\"; eval \"unset {own}{names}; {values}\""))
                .set("stagger_names", names.trim())
                .set("stagger_typed", input.unwrap_or_default())
                .set("stagger_supervise", SUPERVISE)
                .line(START);
        }
        Ok(script.line("stagger_report"))
    }
}

/// Finds the folder of the step, or where it is to be; `stagger_d`. A place that others could have prepared is refused.
const FOLDER: &str = r#"
stagger_umask=$(umask); umask 077
stagger_d=
stagger_refuse() { printf 'refused %s\n' "$1"; exit 0; }
for stagger_r in $stagger_roots; do
  [ ! -d "$stagger_r/.stagger-$(id -u)/$stagger_name" ] || { stagger_d=$stagger_r/.stagger-$(id -u); break; }
done
if [ -z "$stagger_d" ]; then
  for stagger_r in $stagger_roots; do
    if [ -d "$stagger_r" ] && [ -w "$stagger_r" ]; then stagger_d=$stagger_r/.stagger-$(id -u); break; fi
  done
fi
[ -n "$stagger_d" ] || stagger_refuse "there is no folder for its state: none of $stagger_roots can be written"
if [ -e "$stagger_d" ] || [ -h "$stagger_d" ]; then
  if [ -h "$stagger_d" ] || [ ! -d "$stagger_d" ] || [ ! -O "$stagger_d" ]; then
    stagger_refuse "$stagger_d is not a folder of $(id -un): look who made it, and remove it"
  fi
  chmod 700 "$stagger_d"
fi
stagger_d=$stagger_d/$stagger_name
"#;

/// How it goes. The first line of the answer: `finished STATUS BEGAN ENDED LATE CUT CUT`, `running SECONDS`, `lost WHY`, `absent`,
/// `refused WHY`. After `finished` comes what was printed, on both streams.
const REPORT: &str = r#"
stagger_boot=none; { read -r stagger_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
stagger_lives() {
  [ "$2" = "$(sed -n 's/^[0-9]* .*) [^ZX] \([^ ]* \)\{18\}\([0-9]*\) .*/\2/p' "/proc/$1/stat" 2>/dev/null)" ]
}
stagger_number() { stagger_n=$(cat "$1" 2>/dev/null); echo "${stagger_n:-0}"; }
stagger_finished() {
  [ -f "$stagger_d/status" ] || return 1
  printf 'finished %s %s %s\n' "$(cat "$stagger_d/status")" \
    "$(stagger_number "$stagger_d/out.cut")" "$(stagger_number "$stagger_d/err.cut")"
  for stagger_f in "$stagger_d"/out.[0-9]*; do [ ! -f "$stagger_f" ] || cat "$stagger_f"; done
  for stagger_f in "$stagger_d"/err.[0-9]*; do [ ! -f "$stagger_f" ] || cat "$stagger_f" >&2; done
  exit 0
}
stagger_report() {
  stagger_until=$(($(date +%s) + stagger_wait)); stagger_k=0
  while :; do
    stagger_finished
    stagger_now=$(date +%s)
    if [ -f "$stagger_d/pid" ]; then
      { read -r stagger_c stagger_cs stagger_b stagger_p stagger_ps stagger_t <"$stagger_d/pid"; } 2>/dev/null
      if [ "$stagger_b" != "$stagger_boot" ]; then
        stagger_finished
        echo "lost the host was started anew while it ran"; exit 0
      fi
      if ! stagger_lives "$stagger_p" "$stagger_ps" && ! stagger_lives "$stagger_c" "$stagger_cs"; then
        stagger_finished
        echo "lost it was killed together with what watched it"; exit 0
      fi
      if [ "$stagger_now" -ge "$stagger_until" ]; then echo "running $((stagger_now - stagger_t))"; exit 0; fi
    elif [ -d "$stagger_d/run" ]; then
      if [ $stagger_k -ge 50 ]; then echo "lost it was killed when it was about to begin"; exit 0; fi
    elif [ -z "$stagger_start" ]; then
      echo absent; exit 0
    elif [ $stagger_k -ge 100 ]; then
      stagger_refuse "it did not begin: $(head -c 300 "$stagger_d/trouble" 2>/dev/null)"
    fi
    stagger_k=$((stagger_k + 1))
    if [ $stagger_k -lt 60 ] && sleep 0.1 2>/dev/null; then :; else sleep 1; fi
  done
}
"#;

/// Starts the supervisor unless there is one. Old folders of steps that have ended are removed on this occasion.
const START: &str = r#"
if [ ! -d "$stagger_d/run" ]; then
  command -v setsid >/dev/null 2>&1 || stagger_refuse "the host has no setsid program, which a command needs to outlive its connection"
  command -v mkfifo >/dev/null 2>&1 || stagger_refuse "the host has no mkfifo program"
  stagger_e=$(mkdir -p "$stagger_d" 2>&1) || stagger_refuse "$stagger_e"
  [ -O "${stagger_d%/*}" ] && [ ! -h "${stagger_d%/*}" ] || stagger_refuse "${stagger_d%/*} is not a folder of $(id -un)"
  if [ -n "$stagger_input" ] && [ ! -e "$stagger_d/in" ]; then
    { printf %s "$stagger_typed" >"$stagger_d/in.$$" && mv "$stagger_d/in.$$" "$stagger_d/in"; } 2>/dev/null ||
      stagger_refuse "$stagger_d/in can't be written"
  fi
  export stagger_d stagger_limit stagger_shell stagger_input stagger_command stagger_boot stagger_umask $stagger_names
  setsid "$stagger_shell" -c "$stagger_supervise" stagger </dev/null >/dev/null 2>>"$stagger_d/trouble" &
  find "${stagger_d%/*}" -name status -mtime +14 2>/dev/null | while read -r stagger_f; do rm -rf "${stagger_f%/status}"; done
fi
"#;

/// The supervisor: runs the command in a session of its own, bounds what it prints and how long it takes, and writes down its end.
///
/// `dd` reads what is there and no more, whatever its kind; pieces of output are files, of which the first and the last two stay.
const SUPERVISE: &str = r#"
mkdir "$stagger_d/run" 2>/dev/null || exit 0
stagger_keep() {
  stagger_i=1000000; stagger_x=0; : >"$1.$stagger_i"
  while :; do
    stagger_a=$(wc -c <"$1.$stagger_i")
    dd bs=16384 count=16 >>"$1.$stagger_i" 2>/dev/null
    stagger_z=$(wc -c <"$1.$stagger_i") || break
    [ "$stagger_z" -gt "$stagger_a" ] || break
    [ "$stagger_z" -ge 524288 ] || continue
    stagger_i=$((stagger_i + 1)); : >"$1.$stagger_i"
    stagger_o=$1.$((stagger_i - 2))
    if [ $stagger_i -gt 1000002 ]; then
      stagger_x=$((stagger_x + $(wc -c <"$stagger_o")))
      rm -f "$stagger_o"; echo $stagger_x >"$1.cut"
    fi
  done
  : >"$1.end"
}
stagger_since() { sed -n 's/^[0-9]* .*) [A-Z] \([^ ]* \)\{18\}\([0-9]*\) .*/\2/p' "/proc/$1/stat"; }
mkfifo "$stagger_d/o" "$stagger_d/e" || exit 1
stagger_keep "$stagger_d/out" <"$stagger_d/o" &
stagger_keep "$stagger_d/err" <"$stagger_d/e" &
[ -n "$stagger_input" ] && stagger_from=$stagger_d/in || stagger_from=/dev/null
setsid "$stagger_shell" -c "$stagger_command" <"$stagger_from" >"$stagger_d/o" 2>"$stagger_d/e" &
stagger_c=$!
printf '%s %s %s %s %s %s\n' "$stagger_c" "$(stagger_since $stagger_c)" "$stagger_boot" "$$" "$(stagger_since $$)" \
  "$(date +%s)" >"$stagger_d/pid.new" && mv "$stagger_d/pid.new" "$stagger_d/pid"
# Whoever outlives both must not kill a stranger that has the number by then.
setsid "$stagger_shell" -c 'sleep "$1"
is() { [ "$2" = "$(sed -n "s/^[0-9]* .*) [^ZX] \([^ ]* \)\{18\}\([0-9]*\) .*/\2/p" "/proc/$1/stat" 2>/dev/null)" ]; }
theirs() { read -r c cs b p ps t <"$d/pid" && { is "$p" "$ps" || is "$c" "$cs"; }; }
c=$2; d=$3
theirs 2>/dev/null || exit 0
: >"$d/late"; kill -TERM -"$c"; sleep 3; theirs 2>/dev/null && kill -KILL -"$c"' \
  stagger "$stagger_limit" "$stagger_c" "$stagger_d" &
stagger_w=$!
wait $stagger_c
stagger_r=$?
stagger_k=0
while [ ! -e "$stagger_d/out.end" ] || [ ! -e "$stagger_d/err.end" ]; do
  [ $stagger_k -lt 20 ] || break
  stagger_k=$((stagger_k + 1)); sleep 0.05 2>/dev/null || { sleep 1; stagger_k=20; }
done
[ -e "$stagger_d/late" ] && stagger_l=1 || stagger_l=0
{ read -r stagger_p stagger_p stagger_p stagger_p stagger_p stagger_t <"$stagger_d/pid"; }
printf '%s %s %s %s\n' $stagger_r "$stagger_t" "$(date +%s)" $stagger_l >"$stagger_d/status.new"
mv "$stagger_d/status.new" "$stagger_d/status"
kill -KILL -$stagger_w 2>/dev/null
rm -f "$stagger_d/o" "$stagger_d/e" "$stagger_d/in"
"#;

const CLEAN: &str = "[ ! -d \"$stagger_d\" ] || rm -rf \"$stagger_d\"";

/// Reads the script's answer.
fn read(output: &mut Output) -> Found {
    let end = output.stdout.iter().position(|byte| *byte == b'\n').unwrap_or(output.stdout.len());
    let line = String::from_utf8_lossy(output.stdout.get(..end).unwrap_or_default()).into_owned();
    let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
    let mut numbers = rest.split(' ').map(|word| word.parse::<i64>().ok());
    let mut number = || numbers.next().flatten();
    match word {
        "finished" => {
            let (Some(status), Some(began), Some(ended), Some(late)) = (number(), number(), number(), number()) else {
                return Found::Lost(format!("what it left can't be read: {line}"));
            };
            let cut = [number(), number()].map(|cut| cut.and_then(|cut| u64::try_from(cut).ok()).unwrap_or(0));
            let mut output = std::mem::take(output);
            output.status = i32::try_from(status).unwrap_or(255);
            output.stdout.drain(..(end + 1).min(output.stdout.len()));
            output.stdout_cut += cut[0];
            output.stderr_cut += cut[1];
            Found::Finished { output, times: (began, ended), late: late != 0 }
        }
        "running" => {
            Found::Running { elapsed: Duration::from_secs(number().and_then(|s| u64::try_from(s).ok()).unwrap_or(0)) }
        }
        "lost" => Found::Lost(rest.to_owned()),
        "absent" => Found::Absent,
        "refused" => Found::Refused(rest.to_owned()),
        _ => {
            let said = format!("{line} {}", output.err());
            let said: String = said.trim().chars().filter(|c| !c.is_control()).take(300).collect();
            Found::Refused(format!("the host's shell did not run it (status {}): {said}", output.status))
        }
    }
}

#[cfg(test)]
mod tests;
