//! What a host says of a user and of the groups that are wanted.

use crate::base::Output;
use crate::modules::Failure;

/// A user as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) comment: String,
    pub(super) home: String,
    pub(super) shell: String,
}

impl Account {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, uid, gid, comment, home, shell] = fields.as_slice() else { return None };
        Some(Self {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            comment: (*comment).to_owned(),
            home: (*home).to_owned(),
            shell: (*shell).to_owned(),
        })
    }
}

/// A group by the word that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Name or number, as it was asked for.
    pub(super) asked: String,
    pub(super) name: String,
    pub(super) gid: i64,
}

/// What the host said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) account: Option<Account>,
    /// The SHA-256 of what stands for the password, without the marks of a lock; `None` when there is nothing.
    pub(super) hash: Option<String>,
    pub(super) locked: bool,
    /// Least, most and warning days of the password, days until it is idle, and the day on which the account expires.
    pub(super) ages: [Option<i64>; 5],
    /// The groups that name the user as a member.
    pub(super) member: Vec<String>,
    pub(super) groups: Vec<Group>,
    pub(super) home_there: bool,
    pub(super) key_path: Option<String>,
    pub(super) key_there: bool,
    pub(super) fingerprint: Option<String>,
    pub(super) public: Option<String>,
    pub(super) programs: Vec<String>,
}

impl Seen {
    /// Reads what the probe printed.
    ///
    /// # Errors
    /// It is not whole.
    pub(super) fn parse(output: &Output) -> Result<Self, Failure> {
        let mut seen = Self::default();
        let mut whole = false;
        for line in output.out().lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let text = || Some(value.to_owned());
            match key {
                "passwd" => seen.account = Account::parse(value),
                "hash" => seen.hash = text().filter(|hash| hash != "-"),
                "locked" => seen.locked = true,
                "ages" => {
                    for (slot, field) in seen.ages.iter_mut().zip(value.split(':')) {
                        *slot = field.parse().ok();
                    }
                }
                "member" => seen.member.extend(value.rsplit_once(':').map(|(name, _)| name.to_owned())),
                "group" => {
                    if let [asked, name, gid] = value.split(':').collect::<Vec<_>>().as_slice()
                        && let Ok(gid) = gid.parse()
                    {
                        seen.groups.push(Group { asked: (*asked).to_owned(), name: (*name).to_owned(), gid });
                    }
                }
                "home_there" => seen.home_there = true,
                "key_path" => seen.key_path = text(),
                "key_there" => seen.key_there = true,
                "fingerprint" => seen.fingerprint = text(),
                "public" => seen.public = text(),
                "program" => seen.programs.extend(text()),
                _ => whole |= line == "end",
            }
        }
        if whole { Ok(seen) } else { Err(Failure::new("the host's answer is not whole").with("stderr", output.err())) }
    }

    /// Whether the host has a program.
    pub(super) fn has(&self, program: &str) -> bool {
        self.programs.iter().any(|have| have == program)
    }

    /// The group of a name or number.
    pub(super) fn group(&self, asked: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.asked == asked)
    }
}
