//! A lease on a host: who changes it at the moment, told on the host itself, so that two operators on two bastions meet.
//!
//! A lease is a folder `/var/tmp/.stagger-lease.N` (`/tmp` where a host has no `/var/tmp`) of the login user, made by `mkdir`, which
//! only one of two can do. It survives a start of the host, and needs no entry in sudoers. Its time of change is the heartbeat: whether
//! it is alive is judged by the host's clock alone. In it, `lease` says in four lines which run, by whom, what, since when.
//!
//! In a folder like `/var/tmp` nobody but root can remove what another user made. Whoever takes over from a dead run of another user
//! therefore makes the next number, and looks once more whether another lease is alive: two that take at the same time both look
//! after they made theirs, so that never both hold. The dead one is removed by who may.
//!
//! Anybody with an account on the host can make such a folder. Nothing that it says is believed beyond being shown, cleaned and cut
//! short; whose it is says the file system.
//!
//! What it cannot know: whether a run whose heartbeat stopped is dead or can't reach the host; or what the host's clock was when it
//! was set back.

use std::time::Duration;

use crate::base::{Output, RunId, Script};

use super::{Command, Connection, Lost};

/// Where a lease may be, the first that is a folder. All who look must come to the same.
const ROOTS: &str = "/var/tmp /tmp";

/// A lease without a heartbeat for so long is dead. Longer than a host takes to start.
pub(crate) const EXPIRY: Duration = Duration::from_secs(600);

/// How often a heartbeat is sent.
pub(crate) const BEAT: Duration = Duration::from_secs(60);

/// How long one of these commands may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// No more characters of a line are shown.
const SHOWN: usize = 120;

/// A run's wish to be the only one that changes a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The run's id.
    pub(crate) run: String,
    /// `user@bastion`.
    pub(crate) operator: String,
    /// What the run is, for people.
    pub(crate) what: String,
}

/// What was found on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its folder.
    pub(crate) place: String,
    /// The user who made it, as the host calls it.
    pub(crate) account: String,
    /// The run, when it says one.
    pub(crate) run: Option<String>,
    /// `user@bastion`, as it says.
    pub(crate) operator: String,
    /// What the run is, as it says.
    pub(crate) what: String,
    /// How long ago it was taken, by the host's clock, in seconds.
    pub(crate) since: Option<i64>,
    /// How long ago the last heartbeat was, by the host's clock, in seconds; less than nothing when the clock was set back.
    pub(crate) beat: i64,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What something with the name of a lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A folder whose last heartbeat is young enough.
    Alive,
    /// A folder whose last heartbeat is too old.
    Dead,
    /// No folder: whatever it is, it is no lease and keeps nobody out.
    Odd,
}

/// What came of taking one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is this run's.
    Held {
        /// Its folder.
        place: String,
        /// It was this run's before.
        before: bool,
        /// Leases of dead runs that it took the place of.
        dead: Vec<Found>,
    },
    /// Others have the host.
    Other(Vec<Found>),
    /// There can be none: why.
    Open(String),
}

/// What came of a heartbeat or of giving one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Still {
    /// It was this run's.
    Mine,
    /// It is no longer there, or another's.
    Gone,
    /// It can't be said.
    Unclear,
}

/// What came of breaking what was on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// What was there.
    pub(crate) found: Found,
    /// Why it is there still; `None` when it is gone.
    pub(crate) trouble: Option<String>,
}

impl Lease {
    /// Takes the lease, or finds out who has it. One round trip.
    ///
    /// # Errors
    /// The connection.
    pub(crate) async fn take(&self, connection: &dyn Connection) -> Result<Taken, Lost> {
        Ok(taken(&run(connection, self.take_script(ROOTS)).await?))
    }

    /// Looks who else has the host, and takes nothing.
    ///
    /// # Errors
    /// The connection.
    pub(crate) async fn others(&self, connection: &dyn Connection) -> Result<Vec<Found>, Lost> {
        let mut found = look(connection).await?;
        found.retain(|found| found.kind == Kind::Alive && found.run.as_deref() != Some(&self.run));
        Ok(found)
    }

    /// Says that the run still has the host.
    ///
    /// # Errors
    /// The connection.
    pub(crate) async fn beat(&self, connection: &dyn Connection, place: &str) -> Result<Still, Lost> {
        Ok(still(&run(connection, self.own_script(place, TOUCH)).await?))
    }

    /// Gives it back.
    ///
    /// # Errors
    /// The connection.
    pub(crate) async fn release(&self, connection: &dyn Connection, place: &str) -> Result<Still, Lost> {
        Ok(still(&run(connection, self.own_script(place, REMOVE)).await?))
    }

    /// Gives back what an earlier process of this run left, wherever it lies.
    ///
    /// # Errors
    /// The connection.
    pub(crate) async fn release_any(&self, connection: &dyn Connection) -> Result<(), Lost> {
        run(connection, self.common(ROOTS).line(SCAN).line(RELEASE)).await.map(|_| ())
    }

    fn common(&self, roots: &str) -> Script {
        Script::new()
            .set("stagger_roots", roots)
            .set("stagger_run", &clean(&self.run))
            .set("stagger_expiry", &EXPIRY.as_secs().to_string())
            .line(ROOT)
    }

    fn take_script(&self, roots: &str) -> Script {
        let (operator, what) = (clean(&self.operator), clean(&self.what));
        self.common(roots)
            .set("stagger_operator", &operator)
            .set("stagger_what", &what)
            .set("stagger_log", &format!("run {} by {operator} changes this host: {what}", clean(&self.run)))
            .line(SCAN)
            .line(TAKE)
            .line(LOG)
    }

    fn own_script(&self, place: &str, then: &'static str) -> Script {
        Script::new().set("stagger_run", &clean(&self.run)).set("stagger_l", place).line(OWN).line(then)
    }
}

/// What is on a host, alive or not.
///
/// # Errors
/// The connection.
pub(crate) async fn look(connection: &dyn Connection) -> Result<Vec<Found>, Lost> {
    Ok(every(&run(connection, look_script(ROOTS)).await?))
}

fn look_script(roots: &str) -> Script {
    let nobody = Lease { run: String::new(), operator: String::new(), what: String::new() };
    nobody.common(roots).line(SCAN).line(LOOK)
}

/// Removes what is on a host, and writes a line to its log. `by` is the person who says so.
///
/// # Errors
/// The connection.
pub(crate) async fn break_all(
    connection: &dyn Connection,
    r#become: Option<super::Become>,
    by: &str,
    reason: &str,
) -> Result<Vec<Broken>, Lost> {
    let mut command = command(break_script(ROOTS, by, reason));
    command.r#become = r#become;
    Ok(broken(&connection.run(&command).await?))
}

fn break_script(roots: &str, by: &str, reason: &str) -> Script {
    let nobody = Lease { run: String::new(), operator: String::new(), what: String::new() };
    let log = format!("lease on this host broken by {}: {}", clean(by), clean(reason));
    nobody.common(roots).set("stagger_log", &log).line(SCAN).line(BREAK).line(LOG)
}

fn command(script: Script) -> Command {
    let mut command = Command::new(script);
    command.timeout = Some(PATIENCE);
    command.keep = 64 * 1024;
    command.looks = true;
    command
}

async fn run(connection: &dyn Connection, script: Script) -> Result<String, Lost> {
    // It may also have to wait for a shell.
    match tokio::time::timeout(PATIENCE * 2, connection.run(&command(script))).await {
        Ok(output) => Ok(answer(&output?)),
        Err(_) => Err(Lost::TimedOut(PATIENCE.as_secs() * 2)),
    }
}

/// What a script said; an answer of no script of ours says why.
fn answer(output: &Output) -> String {
    if output.status == 0 {
        return output.out();
    }
    let said: Vec<String> = output.err().lines().map(clean).collect();
    format!("open the host's shell did not run it (status {}): {}\n", output.status, said.join(" "))
}

/// One line of text for people: what others wrote must neither move the cursor nor look like lines of ours.
fn clean(text: &str) -> String {
    let unseen =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let shown = |c: &char| !c.is_control() && !unseen(*c);
    text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }).filter(shown).take(SHOWN).collect()
}

/// Finds the folder in which leases are.
const ROOT: &str = r#"umask 022
stagger_r=
for stagger_d in $stagger_roots; do [ ! -d "$stagger_d" ] || { stagger_r=$stagger_d; break; }; done
if [ -z "$stagger_r" ]; then echo "open the host has none of $stagger_roots"; exit 0; fi"#;

/// Lists what is there: `stagger_live`, `stagger_dead` are lines about others, `stagger_mine` is the folder of this run,
/// `stagger_top` the highest number. What is no folder of ours to begin with is told (`odd`), and never in the way.
/// A line is `lease KIND PLACE AGE USER NOW`, and after it at most four lines of text behind a bar.
const SCAN: &str = r#"stagger_about() {
  printf 'lease %s %s %s %s %s\n' "$1" "$stagger_l" "$stagger_age" "$stagger_w" "$stagger_now"
  if [ -f "$stagger_l/lease" ] && [ ! -h "$stagger_l/lease" ] && [ ! -h "$stagger_l" ]; then
    head -c 1500 "$stagger_l/lease" 2>/dev/null | head -n 4 | sed 's/^/| /'
    echo
  fi
}
stagger_first() {
  stagger_x=
  if [ -f "$stagger_l/lease" ] && [ ! -h "$stagger_l/lease" ] && [ ! -h "$stagger_l" ]; then
    stagger_x=$(head -c 100 "$stagger_l/lease" 2>/dev/null | head -n 1)
  fi
}
stagger_scan() {
  stagger_now=$(date +%s); stagger_top=0; stagger_mine=; stagger_live=; stagger_dead=; stagger_odd=; stagger_new=
  for stagger_l in "$stagger_r"/.stagger-lease.*; do
    stagger_n=${stagger_l##*.}
    case $stagger_n in ''|[!1-9]*|*[!0-9]*|???????*) continue ;; esac
    [ -e "$stagger_l" ] || [ -h "$stagger_l" ] || continue
    [ "$stagger_n" -le "$stagger_top" ] || stagger_top=$stagger_n
    [ "$stagger_l" != "$stagger_made" ] || continue
    set -- $(stat -c '%Y %U' "$stagger_l" 2>/dev/null)
    stagger_age=0; stagger_w=${2:-?}
    [ -z "$1" ] || stagger_age=$((stagger_now - $1))
    if [ -h "$stagger_l" ] || [ ! -d "$stagger_l" ]; then
      stagger_odd="$stagger_odd
$(stagger_about odd)"; continue
    fi
    stagger_first
    if [ -n "$stagger_run" ] && [ "$stagger_x" = "$stagger_run" ]; then
      [ ! -O "$stagger_l" ] || stagger_mine=$stagger_l
    elif [ "$stagger_age" -gt "$stagger_expiry" ]; then
      stagger_dead="$stagger_dead
$(stagger_about dead)"
    else
      [ -n "$stagger_x" ] || stagger_new=yes
      stagger_live="$stagger_live
$(stagger_about live)"
    fi
  done
}
stagger_made="#;

/// Takes it, unless somebody else has it. The first line of the answer: `taken PLACE`, `held PLACE`, `other`, `open WHY`.
const TAKE: &str = r#"stagger_k=0
while :; do
  stagger_scan
  # Another is just writing down who it is.
  if [ -n "$stagger_new" ] && [ $stagger_k -lt 5 ]; then
    stagger_k=$((stagger_k + 1)); sleep 0.1 2>/dev/null || sleep 1; continue
  fi
  if [ -n "$stagger_live" ]; then printf 'other%s\n' "$stagger_live"; exit 0; fi
  if [ -n "$stagger_mine" ] && touch -c "$stagger_mine" 2>/dev/null; then echo "held $stagger_mine"; exit 0; fi
  stagger_l=$stagger_r/.stagger-lease.$((stagger_top + 1))
  if [ "$stagger_top" -ge 999999 ]; then
    echo "open somebody made $stagger_r/.stagger-lease.$stagger_top, a number that no run comes to: look who, and remove it"; exit 0
  fi
  if stagger_e=$(mkdir "$stagger_l" 2>&1); then break; fi
  if [ ! -e "$stagger_l" ] && [ ! -h "$stagger_l" ]; then echo "open $stagger_e"; exit 0; fi
  stagger_k=$((stagger_k + 1))
  if [ $stagger_k -ge 20 ]; then echo "open leases in $stagger_r come and go"; exit 0; fi
done
stagger_made=$stagger_l
# On a full disk the folder alone is a lease, too.
printf '%s\n%s\n%s\n%s\n' "$stagger_run" "$stagger_operator" "$stagger_what" "$stagger_now" 2>/dev/null >"$stagger_made/lease" ||
  rm -f "$stagger_made/lease"
stagger_scan
if [ -n "$stagger_live" ]; then
  rm -f "$stagger_made/lease"; rmdir "$stagger_made"
  printf 'other%s\n' "$stagger_live"; exit 0
fi
printf 'taken %s%s%s\n' "$stagger_made" "$stagger_dead" "$stagger_odd"
for stagger_l in "$stagger_r"/.stagger-lease.*; do
  stagger_n=${stagger_l##*.}
  case $stagger_n in ''|[!1-9]*|*[!0-9]*|???????*) continue ;; esac
  [ -d "$stagger_l" ] && [ ! -h "$stagger_l" ] && [ "$stagger_l" != "$stagger_made" ] || continue
  { rm -f "$stagger_l/lease" && rmdir "$stagger_l"; } 2>/dev/null
done"#;

/// One line for the host's log. A log that hangs must not hold anybody up.
const LOG: &str = r#"if command -v logger >/dev/null 2>&1; then
  ( logger -t stagger -- "$stagger_log" </dev/null >/dev/null 2>&1 & )
fi"#;

/// Whether a folder is this run's: of this user, and with its id in it, or with nothing (the disk was full).
const OWN: &str = r#"stagger_own() {
  [ -d "$stagger_l" ] && [ ! -h "$stagger_l" ] && [ -O "$stagger_l" ] || return 1
  [ -e "$stagger_l/lease" ] || [ -h "$stagger_l/lease" ] || return 0
  [ -f "$stagger_l/lease" ] && [ ! -h "$stagger_l/lease" ] || return 1
  [ "$(head -c 100 "$stagger_l/lease" 2>/dev/null | head -n 1)" = "$stagger_run" ]
}
if ! stagger_own; then echo gone; exit 0; fi"#;

const TOUCH: &str = r#"if touch -c "$stagger_l" 2>/dev/null; then echo mine; else echo unclear; fi"#;

const REMOVE: &str =
    r#"if { rm -f "$stagger_l/lease" && rmdir "$stagger_l"; } 2>/dev/null; then echo mine; else echo unclear; fi"#;

const RELEASE: &str = r#"stagger_scan
[ -z "$stagger_mine" ] || { rm -f "$stagger_mine/lease" && rmdir "$stagger_mine"; } 2>/dev/null"#;

const LOOK: &str = r#"stagger_scan
printf '%s\n' "$stagger_live$stagger_dead$stagger_odd""#;

/// Removes each, and says what it was: `broken PLACE`, or `kept PLACE WHY`.
const BREAK: &str = r#"stagger_scan
printf '%s\n' "$stagger_live$stagger_dead$stagger_odd"
stagger_k=0
for stagger_l in "$stagger_r"/.stagger-lease.*; do
  stagger_n=${stagger_l##*.}
  case $stagger_n in ''|[!1-9]*|*[!0-9]*|???????*) continue ;; esac
  [ -e "$stagger_l" ] || [ -h "$stagger_l" ] || continue
  if [ -h "$stagger_l" ] || [ ! -d "$stagger_l" ]; then
    stagger_e=$(rm -f "$stagger_l" 2>&1)
  else
    stagger_e=$({ rm -f "$stagger_l/lease" && rmdir "$stagger_l"; } 2>&1)
  fi
  if [ -e "$stagger_l" ] || [ -h "$stagger_l" ]; then
    printf 'kept %s %s\n' "$stagger_l" "$stagger_e" | head -n 1
  else
    stagger_k=1; echo "broken $stagger_l"
  fi
done
[ $stagger_k = 1 ] || exit 0"#;

fn taken(answer: &str) -> Taken {
    let first = answer.lines().next().unwrap_or_default();
    let (word, rest) = first.split_once(' ').unwrap_or((first, ""));
    match word {
        "taken" => Taken::Held { place: rest.to_owned(), before: false, dead: every(answer) },
        "held" => Taken::Held { place: rest.to_owned(), before: true, dead: Vec::new() },
        "other" => Taken::Other(every(answer)),
        "open" => Taken::Open(clean(rest)),
        _ => Taken::Open(format!("the host's shell did not run it: {}", clean(first))),
    }
}

fn still(answer: &str) -> Still {
    match answer.trim() {
        "mine" => Still::Mine,
        "gone" => Still::Gone,
        _ => Still::Unclear,
    }
}

fn broken(output: &Output) -> Vec<Broken> {
    let text = answer(output);
    let mut all: Vec<Broken> = every(&text).into_iter().map(|found| Broken { found, trouble: None }).collect();
    for line in text.lines() {
        let Some((place, why)) = line.strip_prefix("kept ").map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
        else {
            continue;
        };
        if let Some(one) = all.iter_mut().find(|one| one.found.place == place) {
            one.trouble = Some(clean(why));
        }
    }
    all
}

/// The leases of an answer.
fn every(answer: &str) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    let mut said: Vec<&str> = Vec::new();
    let mut now = 0;
    for line in answer.lines().chain(["lease end"]) {
        if let Some(text) = line.strip_prefix("| ") {
            said.push(text);
            continue;
        }
        let Some(rest) = line.strip_prefix("lease ") else { continue };
        if let Some(last) = all.last_mut() {
            last.says(&said, now);
        }
        said.clear();
        let words: Vec<&str> = rest.split(' ').collect();
        let [kind, place, age, account, time] = words.as_slice() else { continue };
        let (Ok(beat), Ok(time)) = (age.parse(), time.parse()) else { continue };
        let kind = match *kind {
            "live" => Kind::Alive,
            "dead" => Kind::Dead,
            _ => Kind::Odd,
        };
        now = time;
        all.push(Found {
            place: clean(place),
            account: clean(account),
            run: None,
            operator: String::new(),
            what: String::new(),
            since: None,
            beat,
            kind,
        });
    }
    all
}

impl Found {
    /// What its file says, when it is of a run.
    fn says(&mut self, lines: &[&str], now: i64) {
        let [run, operator, what, since] = lines else { return };
        if RunId::parse(run).is_none() {
            return;
        }
        self.run = Some((*run).to_owned());
        self.operator = clean(operator);
        self.what = clean(what);
        self.since = since.parse::<i64>().ok().map(|since| now.saturating_sub(since));
    }
}

#[cfg(test)]
mod tests;
