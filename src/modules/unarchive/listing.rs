//! What is in an archive that lies on the host: what `tar -tv` (GNU's and busybox's) and `unzip -l` (Info-ZIP's and busybox's) say of
//! it, in UTC.

use crate::modules::archive::{Kind, Member};

/// A listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// The members, in their order.
    pub(super) members: Vec<Member>,
    /// Whether times are told to the minute only.
    pub(super) minutes: bool,
}

/// Reads the lines of `tar -tv`.
///
/// # Errors
/// A line that can't be read, or a member that is no file, directory or link.
pub(super) fn of_tar(lines: &[&str]) -> Result<Listing, String> {
    let mut listing = Listing { members: Vec::new(), minutes: false };
    for line in lines {
        let wrong = || format!("the host's `tar` lists a member in a way that can't be read: `{line}`");
        let (words, name) = words(line, 5).ok_or_else(wrong)?;
        let [mode, _, size, date, clock] = words.as_slice() else { return Err(wrong()) };
        listing.minutes |= clock.matches(':').count() == 1;
        // GNU's tar may give parts of a second.
        let mtime = time(date, clock.split('.').next().unwrap_or(clock)).ok_or_else(wrong)?;
        let parts = |between: &str| name.split_once(between).map(|(name, target)| (clean(name), target.to_owned()));
        let (name, kind, size) = match mode.chars().next() {
            Some('d') => (clean(name), Kind::Directory, 0),
            Some('l') => {
                let (name, target) = parts(" -> ").ok_or_else(wrong)?;
                (name, Kind::Link(target), 0)
            }
            Some('h') => {
                let (name, target) = parts(" link to ").or_else(|| parts(" -> ")).ok_or_else(wrong)?;
                (name, Kind::Hard(clean(&target)), 0)
            }
            // busybox shows another name of a member as an empty file with an arrow.
            Some('-') if *size == "0" && name.contains(" -> ") => {
                let (name, target) = parts(" -> ").ok_or_else(wrong)?;
                (name, Kind::Hard(clean(&target)), 0)
            }
            Some('-') => (clean(name), Kind::File, size.parse().map_err(|_| wrong())?),
            _ => return Err(format!("`{name}` is neither file, directory nor link (`{mode}`)")),
        };
        listing.members.push(Member { name, kind, size, mtime });
    }
    Ok(listing)
}

/// Reads the lines of `unzip -l` between its two rules. Links can't be told from files there.
///
/// # Errors
/// A line that can't be read.
pub(super) fn of_zip(lines: &[&str]) -> Result<Listing, String> {
    let mut listing = Listing { members: Vec::new(), minutes: false };
    for line in lines {
        let wrong = || format!("the host's `unzip` lists a member in a way that can't be read: `{line}`");
        let (words, name) = words(line, 3).ok_or_else(wrong)?;
        let [size, date, clock] = words.as_slice() else { return Err(wrong()) };
        let mtime = time(date, clock).ok_or_else(wrong)?;
        let name = name.trim_start();
        let kind = if name.ends_with('/') { Kind::Directory } else { Kind::File };
        listing.members.push(Member { name: clean(name), kind, size: size.parse().map_err(|_| wrong())?, mtime });
    }
    Ok(listing)
}

/// The first words, and the rest after one blank.
fn words(line: &str, count: usize) -> Option<(Vec<&str>, &str)> {
    let mut words = Vec::new();
    let mut rest = line;
    for _ in 0..count {
        rest = rest.trim_start();
        let (word, after) = rest.split_once(' ')?;
        words.push(word);
        rest = after;
    }
    (!rest.is_empty()).then_some((words, rest))
}

/// A name without `/` at its end.
fn clean(name: &str) -> String {
    name.trim_end_matches('/').to_owned()
}

/// `2026-11-25` or `11-25-2026` (busybox's unzip), and `02:13` or `02:13:25`, in seconds since 1970.
fn time(date: &str, clock: &str) -> Option<u64> {
    let parts: Vec<i16> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] if *year > 31 => (*year, *month, *day),
        [month, day, year] => (*year, *month, *day),
        _ => return None,
    };
    let clock: Vec<i8> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = match clock.as_slice() {
        [hour, minute] => [*hour, *minute, 0],
        [hour, minute, second] => [*hour, *minute, *second],
        _ => return None,
    };
    let date =
        jiff::civil::DateTime::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?, hour, minute, second, 0);
    let time = date.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    Some(u64::try_from(time).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_of_all_programs_are_one() {
        let gnu = [
            "drwxr-xr-x 0/0               0 2026-11-25 02:13:25 d/",
            "-rw-r--r-- 0/0               3 2026-11-25 02:13:25.123 d/a b",
            "lrwxrwxrwx 0/0               0 2026-11-25 02:13:25 d/link -> one",
            "hrw-r--r-- 0/0               0 2026-11-25 02:13:25 d/hard link to d/one",
        ];
        let busybox = [
            "drwxr-xr-x root/root         0 2026-11-25 02:13:25 d/",
            "-rw-r--r-- root/root         3 2026-11-25 02:13:25 d/a b",
            "lrwxrwxrwx root/root         0 2026-11-25 02:13:25 d/link -> one",
            "-rw-r--r-- root/root         0 2026-11-25 02:13:25 d/hard -> d/one",
        ];
        let listing = of_tar(&gnu).unwrap();
        assert_eq!(listing, of_tar(&busybox).unwrap());
        let members = &listing.members;
        assert_eq!((members[1].name.as_str(), members[1].size, members[1].mtime), ("d/a b", 3, 1_795_572_805));
        assert_eq!(members[2].kind, Kind::Link("one".to_owned()));
        assert_eq!(members[3].kind, Kind::Hard("d/one".to_owned()));
        assert!(of_tar(&["-rw-r--r-- root/root 3 2013-09-20 02:13 old"]).unwrap().minutes);
        assert!(of_tar(&["crw-r--r-- root/root 1,3 2013-09-20 02:13 null"]).unwrap_err().contains("neither"));
        let zip = ["        0  2026-11-25 02:13   d/", "        3  2026-11-25 02:13   d/a b"];
        let small = ["        0  11-25-2026 02:13   d/", "        3  11-25-2026 02:13   d/a b"];
        assert_eq!(of_zip(&zip).unwrap(), of_zip(&small).unwrap());
        assert_eq!(of_zip(&zip).unwrap().members[1].mtime, 1_795_572_780);
        assert!(of_zip(&["rubbish"]).is_err() && of_tar(&["rubbish and more of it"]).is_err());
    }
}
