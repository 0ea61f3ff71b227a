//! Wanted × seen → the commands that change an account.

use super::User;
use super::seen::{Account, Seen};
use crate::base::{Content, Map, Script, Value};
use crate::modules::{Act, Change, Failure, Step};

/// Commands that end at the first that fails, and what differs by them.
#[derive(Debug, Default)]
struct Commands {
    words: Vec<Vec<String>>,
    told: Vec<String>,
}

impl Commands {
    fn push<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        self.words.push(words.into_iter().map(str::to_owned).collect());
    }
}

const REFUSE: &str = r#"PATH=$PATH:/usr/sbin:/sbin
there() {
if command -v getent >/dev/null 2>&1; then getent group "$1" >/dev/null 2>&1 && return; fi
while IFS=: read -r group_name group_hidden group_number rest; do [ "$group_name" = "$1" ] || [ "$group_number" = "$1" ] && return; done </etc/group
printf 'Group %s does not exist\n' "$1" >&2
exit 1
}"#;

/// A field as text, for `-e` of `useradd`: the date of a day, or nothing for never.
fn date(day: i64) -> String {
    if day < 0 {
        return String::new();
    }
    // Days since 1970 in the calendar, counted in eras of 400 years that begin in March.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{of_month:02}")
}

impl User {
    /// The groups that the host is asked for.
    pub(super) fn asked(&self) -> Vec<&str> {
        self.group.iter().chain(self.groups.iter().flatten()).map(String::as_str).collect()
    }

    /// Wanted × seen → steps.
    pub(super) fn plan(&self, seen: &Seen) -> Result<Change, Failure> {
        let mut result = Map::new();
        result.insert("name".to_owned(), self.name.as_str().into());
        result.insert("state".to_owned(), if self.present { "present" } else { "absent" }.into());
        let shadow = seen.has("useradd");
        if !self.present {
            if seen.account.is_none() {
                return Ok(Change::none(result));
            }
            result.insert("force".to_owned(), self.force.into());
            result.insert("remove".to_owned(), self.remove.into());
            return Ok(Change { steps: vec![self.removal(shadow)?], result });
        }
        let mut steps = Vec::new();
        self.tell(seen, &mut result);
        match &seen.account {
            None => {
                result.insert("system".to_owned(), self.system.into());
                result.insert("create_home".to_owned(), self.create_home.into());
                steps.push(self.creation(seen, shadow)?);
            }
            Some(account) => {
                result.insert("append".to_owned(), self.append.into());
                result.insert("move_home".to_owned(), self.move_home.into());
                steps.extend(self.modification(seen, account, shadow)?);
                steps.extend(self.home_folder(seen, account));
            }
        }
        if self.password.is_some() {
            result.insert("password".to_owned(), "NOT_LOGGING_PASSWORD".into());
        }
        let mut warnings = self.warnings();
        if let Some(key) = &self.key {
            let path = key.file.clone().unwrap_or_else(|| format!(".ssh/id_{}", key.kind));
            if seen.key_there && !self.force {
                let path = seen.key_path.as_deref().unwrap_or(&path);
                warnings.push(format!(
                    "Found existing ssh key private file \"{path}\", no force, so skipping ssh-keygen generation"
                ));
            } else if seen.public.is_some() && !self.force {
                warnings.push(format!("Found existing ssh key public file \"{path}.pub\", no force, so skipping"));
            } else {
                if seen.account.is_some() && !seen.has("ssh-keygen") {
                    return Err(Failure::new("the host has no `ssh-keygen`, which makes SSH keys"));
                }
                let script = Script::new()
                    .set("name", &self.name)
                    .set("key", &path)
                    .set("kind", &key.kind)
                    .set("bits", &key.bits)
                    .set("comment", &key.comment)
                    .line("(")
                    .line(include_str!("key.sh"))
                    .line(") || exit 1");
                steps.push(Step::script(format!("make an SSH key for {} ({path})", self.name), script));
            }
        }
        if !warnings.is_empty() {
            result.insert("warnings".to_owned(), warnings.into_iter().map(Value::from).collect());
        }
        if let Some(Step { act: Act::Script { script, .. }, .. }) = steps.last_mut() {
            let after = Script::new().line("(").then(&crate::modules::State::probe(self)).line(")");
            *script = std::mem::take(script).then(&after);
        }
        Ok(Change { steps, result })
    }

    /// The result's keys about an account that is there.
    pub(super) fn tell(&self, seen: &Seen, result: &mut Map) {
        let Some(account) = &seen.account else { return };
        let want = |wanted: &Option<String>, now: &str| wanted.clone().unwrap_or_else(|| now.to_owned());
        let gid = self.group.as_ref().and_then(|group| seen.group(group)).map_or(account.gid, |group| group.gid);
        let pairs: [(&str, Value); 5] = [
            ("uid", self.uid.unwrap_or(account.uid).into()),
            ("group", gid.into()),
            ("comment", want(&self.comment, &account.comment).into()),
            ("home", want(&self.home, &account.home).into()),
            ("shell", want(&self.shell, &account.shell).into()),
        ];
        result.extend(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)));
        if let Some(groups) = &self.groups {
            result.insert("groups".to_owned(), groups.join(",").into());
        }
        if self.key.is_some() {
            for (key, value) in [
                ("ssh_key_file", &seen.key_path),
                ("ssh_fingerprint", &seen.fingerprint),
                ("ssh_public_key", &seen.public),
            ] {
                result.extend(value.as_ref().map(|value| (key.to_owned(), value.trim().into())));
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.append && self.groups.is_none() {
            warnings.push(
                "'append' is set, but no 'groups' are specified. Use 'groups' for appending new groups.".to_owned(),
            );
        }
        let hashed = |text: &str| {
            let fields: Vec<&str> = text.split('$').collect();
            let length = |wanted: usize| fields.last().is_some_and(|last| last.len() == wanted);
            match fields.get(1) {
                _ if matches!(text, "" | "*" | "!" | "*************") => true,
                _ if fields.len() < 3 || text.contains(['*', '!']) => false,
                Some(&"1") => length(22),
                Some(&"5" | &"y") => length(43),
                Some(&"6") => length(86),
                _ => true,
            }
        };
        if self.password.as_ref().is_some_and(|secret| !hashed(secret.reveal())) {
            warnings.push(
                "The input password appears not to have been hashed. The 'password' argument must be encrypted for this \
                 module to work properly."
                    .to_owned(),
            );
        }
        warnings
    }

    fn removal(&self, shadow: bool) -> Result<Step, Failure> {
        let mut commands = Commands::default();
        let name = self.name.as_str();
        let option = |on: bool, word: &'static str| on.then_some(word);
        if shadow {
            let words = ["userdel"].into_iter().chain(option(self.force, "-f")).chain(option(self.remove, "-r"));
            commands.push(words.chain([name]));
        } else {
            commands.push(["deluser"].into_iter().chain(option(self.remove, "--remove-home")).chain([name]));
        }
        let also = if self.remove { " and its home" } else { "" };
        Ok(self.step(format!("remove the user {name}{also}"), commands, &Seen::default(), None))
    }

    /// One step of commands; with a password, which goes to `chpasswd` behind them.
    fn step(&self, summary: String, commands: Commands, seen: &Seen, password: Option<String>) -> Step {
        let mut script = Script::new().line(REFUSE);
        // A preview may have foreseen a group that no earlier task has made after all.
        for group in self.asked().into_iter().filter(|_| self.present).filter(|group| seen.group(group).is_none()) {
            script = script.command(["there", group]);
        }
        // It goes on when the line breaks: half of it is not to be left.
        script = script.line("trap '' HUP PIPE").line("(").line("set -e");
        for words in &commands.words {
            script = script.command(words.iter().map(String::as_str));
        }
        script = script.line(":").line(") >&2 </dev/null").line("status=$?; [ $status -eq 0 ] || exit $status");
        let typed =
            |words: &Vec<String>| words.iter().map(|word| crate::base::quote(word)).collect::<Vec<_>>().join(" ");
        let by_hand = commands.words.iter().map(typed).collect::<Vec<_>>().join(" && ");
        match password {
            None => Step::script(summary, script).by_hand(by_hand),
            Some(hash) => {
                let script = Script::new()
                    .line("line=$(cat)")
                    .then(&script)
                    .line("printf '%s\\n' \"$line\" | chpasswd -e >&2 || exit 1");
                let step = Step::send(summary, script, Content::text(format!("{}:{hash}\n", self.name)));
                if by_hand.is_empty() { step.by_hand("chpasswd -e") } else { step.by_hand(by_hand + " && chpasswd -e") }
            }
        }
    }

    /// The hash as it is to stand there.
    fn hash(&self) -> Option<String> {
        let lock = if self.lock == Some(true) { "!" } else { "" };
        self.password.as_ref().map(|secret| format!("{lock}{}", secret.reveal()))
    }

    fn creation(&self, seen: &Seen, shadow: bool) -> Result<Step, Failure> {
        if !shadow && !seen.has("adduser") {
            return Err(Failure::new(
                "the host has neither `useradd` (package passwd or shadow) nor busybox's `adduser`",
            ));
        }
        let mut commands = Commands::default();
        let parent = self
            .home
            .as_deref()
            .filter(|_| self.create_home)
            .and_then(|home| home.trim_end_matches('/').rsplit_once('/'));
        if let Some((parent, _)) = parent.filter(|(parent, _)| !parent.is_empty()) {
            commands.push(["mkdir", "-p", parent]);
        }
        let mut words = vec![if shadow { "useradd" } else { "adduser" }.to_owned()];
        let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
        if let Some(uid) = self.uid {
            add("-u", &uid.to_string());
        }
        let own_group = seen.group(&self.name).is_some();
        if shadow {
            self.new_by_shadow(&mut add);
            words.extend(self.non_unique.then(|| "-o".to_owned()));
            words.extend((self.group.is_none() && own_group).then(|| "-N".to_owned()));
            words.push(if self.create_home { "-m" } else { "-M" }.to_owned());
            words.extend(self.system.then(|| "-r".to_owned()));
        } else {
            if let Some(more) = self.only_shadow() {
                return Err(Failure::new(format!(
                    "busybox's `adduser` can't set {more}: install the package shadow on the host"
                )));
            }
            self.new_by_busybox(own_group, &mut add);
            words.push("-D".to_owned());
            words.extend((!self.create_home).then(|| "-H".to_owned()));
            words.extend(self.system.then(|| "-S".to_owned()));
        }
        words.push(self.name.clone());
        commands.words.push(words);
        if !shadow {
            for group in self.groups.iter().flatten() {
                commands.push(["adduser", &self.name, group]);
            }
        }
        self.chage(&mut commands, seen);
        if shadow && self.lock == Some(true) && self.password.is_none() {
            commands.push(["usermod", "-L", &self.name]);
        }
        let uid = self.uid.map(|uid| format!("uid {uid}"));
        let groups =
            self.groups.as_ref().filter(|groups| !groups.is_empty()).map(|groups| format!("in {}", groups.join(", ")));
        let told: Vec<String> = uid.into_iter().chain(groups).collect();
        let told = if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
        Ok(self.step(format!("create the user {}{told}", self.name), commands, seen, self.hash()))
    }

    fn new_by_shadow(&self, add: &mut dyn FnMut(&str, &str)) {
        let texts = [("-g", &self.group), ("-c", &self.comment), ("-d", &self.home), ("-s", &self.shell)];
        for (flag, value) in texts {
            if let Some(value) = value {
                add(flag, value);
            }
        }
        if let Some(groups) = self.groups.as_ref().filter(|groups| !groups.is_empty()) {
            add("-G", &groups.join(","));
        }
        if self.create_home {
            if let Some(skeleton) = &self.skeleton {
                add("-k", skeleton);
            }
            if let Some(umask) = &self.umask {
                add("-K", &format!("UMASK={umask}"));
            }
        }
        for (key, value) in ["UID_MIN", "UID_MAX"].into_iter().zip(self.range) {
            if let Some(value) = value {
                add("-K", &format!("{key}={value}"));
            }
        }
        let [.., idle, expires] = self.ages;
        if let Some(idle) = idle {
            add("-f", &idle.to_string());
        }
        if let Some(day) = expires {
            add("-e", &date(day));
        }
    }

    fn new_by_busybox(&self, own_group: bool, add: &mut dyn FnMut(&str, &str)) {
        // It would make a group of the user's name, and fail where there is one.
        let main = self.group.clone().or_else(|| own_group.then(|| self.name.clone()));
        let texts =
            [("-G", &main), ("-g", &self.comment), ("-h", &self.home), ("-s", &self.shell), ("-k", &self.skeleton)];
        for (flag, value) in texts {
            if let Some(value) = value {
                add(flag, value);
            }
        }
    }

    /// What is wanted and only the package shadow can do, by name.
    fn only_shadow(&self) -> Option<String> {
        let [least, most, warn, idle, expires] = self.ages;
        let wanted = [
            ("non_unique", self.non_unique),
            ("umask", self.umask.is_some()),
            ("uid_min", self.range[0].is_some()),
            ("uid_max", self.range[1].is_some()),
            ("password_lock", self.lock.is_some()),
            ("password_expire_min", least.is_some()),
            ("password_expire_max", most.is_some()),
            ("password_expire_warn", warn.is_some()),
            ("password_expire_account_disable", idle.is_some()),
            ("expires", expires.is_some()),
        ];
        let names: Vec<String> =
            wanted.into_iter().filter(|(_, on)| *on).map(|(name, _)| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// `chage` for what is not so yet.
    fn chage(&self, commands: &mut Commands, seen: &Seen) {
        let mut words = vec!["chage".to_owned()];
        let flags = [("-m", "least days"), ("-M", "most days"), ("-W", "days of warning")];
        for (((flag, what), wanted), now) in flags.into_iter().zip(self.ages).zip(seen.ages) {
            if let Some(wanted) = wanted.filter(|wanted| Some(*wanted) != now) {
                words.extend([flag.to_owned(), wanted.to_string()]);
                commands.told.push(format!("{what} of the password"));
            }
        }
        if words.len() > 1 {
            words.push(self.name.clone());
            commands.words.push(words);
        }
    }

    fn modification(&self, seen: &Seen, account: &Account, shadow: bool) -> Result<Option<Step>, Failure> {
        let mut commands = Commands::default();
        let mut words: Vec<String> = Vec::new();
        let mut told = Vec::new();
        let mut differs = |flag: &str, what: &str, before: String, after: String, told: &mut Vec<String>| {
            if before != after {
                let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
                told.push(format!("{what} {} → {}", shown(&before), shown(&after)));
                words.extend([flag.to_owned(), after]);
                return true;
            }
            false
        };
        if let Some(uid) = self.uid {
            differs("-u", "uid", account.uid.to_string(), uid.to_string(), &mut told);
        }
        if let Some(group) = &self.group {
            let gid = seen.group(group).map_or_else(|| group.clone(), |group| group.gid.to_string());
            differs("-g", "gid", account.gid.to_string(), gid, &mut told);
        }
        let pairs = [
            ("-c", "comment", &account.comment, &self.comment),
            ("-d", "home", &account.home, &self.home),
            ("-s", "shell", &account.shell, &self.shell),
        ];
        let mut moved = false;
        for (flag, what, before, after) in pairs {
            if let Some(after) = after {
                let changed = differs(flag, what, before.clone(), after.clone(), &mut told);
                moved |= changed && what == "home";
            }
        }
        let [.., idle, expires] = self.ages;
        let [.., idle_now, expires_now] = seen.ages;
        if let Some(idle) = idle {
            differs("-f", "days until it is closed", idle_now.unwrap_or(-1).to_string(), idle.to_string(), &mut told);
        }
        if let Some(day) = expires {
            differs("-e", "end", date(expires_now.unwrap_or(-1)), date(day), &mut told);
        }
        words.extend((moved && self.move_home).then(|| "-m".to_owned()));
        words.extend((self.non_unique && words.iter().any(|word| word == "-u")).then(|| "-o".to_owned()));
        let only = (!shadow && !words.is_empty()).then(|| told.join(", "));
        let groups = self.other_groups(seen, shadow, &mut words, &mut told);
        let password = self.other_password(seen);
        // A password that is set is locked or open by what stands before it.
        let lock =
            self.lock.filter(|lock| *lock != seen.locked && password.is_none() && (*lock || seen.hash.is_some()));
        if let Some(lock) = lock {
            told.push(if lock { "lock the password" } else { "open the password" }.to_owned());
            words.push(if lock { "-L" } else { "-U" }.to_owned());
        }
        if password.is_some() {
            told.push("password".to_owned());
        }
        if !words.is_empty() {
            words.insert(0, "usermod".to_owned());
            words.push(self.name.clone());
            commands.words.push(words);
        }
        commands.words.extend(groups);
        self.chage(&mut commands, seen);
        told.append(&mut commands.told);
        if !shadow && (only.is_some() || lock.is_some()) {
            return Err(Failure::new(format!(
                "busybox can't change an account ({}): install the package shadow on the host",
                only.unwrap_or_else(|| told.join(", "))
            )));
        }
        if told.is_empty() {
            return Ok(None);
        }
        let summary = format!("change the user {}: {}", self.name, told.join(", "));
        Ok(Some(self.step(summary, commands, seen, password)))
    }

    /// The hash, where another one is there and may be replaced.
    fn other_password(&self, seen: &Seen) -> Option<String> {
        let secret = self.password.as_ref().filter(|_| !self.on_create)?;
        let bare = secret.reveal().trim_start_matches('!');
        let wanted = (!bare.is_empty()).then(|| crate::modules::host_file::hex_sha256(bare.as_bytes()));
        (wanted != seen.hash).then(|| self.hash()).flatten()
    }

    /// Membership: words for `usermod`, or busybox's commands.
    fn other_groups(
        &self,
        seen: &Seen,
        shadow: bool,
        words: &mut Vec<String>,
        told: &mut Vec<String>,
    ) -> Vec<Vec<String>> {
        let Some(groups) = &self.groups else { return Vec::new() };
        let names: Vec<String> = groups
            .iter()
            .map(|group| seen.group(group).map_or_else(|| group.clone(), |group| group.name.clone()))
            .collect();
        let missing: Vec<&String> = names.iter().filter(|name| !seen.member.contains(name)).collect();
        let many: Vec<&String> = match self.append {
            true => Vec::new(),
            false => seen.member.iter().filter(|name| !names.contains(name)).collect(),
        };
        if missing.is_empty() && many.is_empty() {
            return Vec::new();
        }
        let list: Vec<String> =
            missing.iter().map(|name| format!("+{name}")).chain(many.iter().map(|name| format!("-{name}"))).collect();
        told.push(format!("groups {}", list.join(" ")));
        if shadow {
            words.extend(self.append.then(|| "-a".to_owned()));
            words.extend(["-G".to_owned(), names.join(",")]);
            return Vec::new();
        }
        let command = |program: &str, group: &str| vec![program.to_owned(), self.name.clone(), group.to_owned()];
        let added = missing.iter().map(|group| command("adduser", group));
        added.chain(many.iter().map(|group| command("delgroup", group))).collect()
    }

    /// A home that is missing.
    fn home_folder(&self, seen: &Seen, account: &Account) -> Option<Step> {
        let home = self.home.as_ref().unwrap_or(&account.home);
        if seen.home_there || !self.create_home || (self.move_home && home != &account.home) {
            return None;
        }
        let script = Script::new()
            .set("name", &self.name)
            .set("home", home)
            .set("skeleton", self.skeleton.as_deref().unwrap_or("/etc/skel"))
            .set("umask", self.umask.as_deref().unwrap_or(""))
            .line("(")
            .line(include_str!("home.sh"))
            .line(") || exit 1");
        Some(Step::script(format!("make the home {home} of {}", self.name), script))
    }
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_dates() {
        let days = [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (19_723, "2024-01-01"), (-1, "")];
        for (day, text) in days {
            assert_eq!(date(day), text);
        }
    }
}
