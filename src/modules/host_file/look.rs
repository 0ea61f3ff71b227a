//! Looking at paths on a host: the shell functions that print what is there, and the parser of what they print.
//!
//! An answer is lines `key value`; `at NAME` begins the section of one path. A value that holds a newline comes in
//! base64 under `key64`. A file's content, where one is wanted, comes last and raw after `raw SIZE` or `gzip SIZE`.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::Output;
use crate::modules::Failure;

macro_rules! substitute {
    () => {
        r#"nl='
'
substitute() {
word=$1
case $word in *'$'*)
rest=$word; word=; stagger_env="$nl$(env)"
while :; do
case $rest in *'$'*) ;; *) word=$word$rest; break;; esac
word=$word${rest%%'$'*}; rest=${rest#*'$'}
case $rest in
'{'*'}'*) key=${rest#'{'}; key=${key%%'}'*}; after=${rest#*'}'};;
*) key=${rest%%[!A-Za-z0-9_]*}; after=${rest#"$key"};;
esac
case $key in ''|[0-9]*|*[!A-Za-z0-9_]*) word=$word'$'; continue;; esac
case $stagger_env in *"$nl$key="*) eval "word=\$word\$$key"; rest=$after;; *) word=$word'$';; esac
done;;
esac
case $word in
'~'|'~/'*) word=${HOME:-/}${word#'~'};;
'~'*) who=${word#'~'}; who=${who%%/*}
case $who in *[!A-Za-z0-9_.-]*) ;; *) eval "home=~$who"; case $home in /*) word=$home${word#"~$who"};; esac;; esac;;
esac
}"#
    };
}

/// The shell function `substitute TEXT`: sets `word` to the text with environment variables and `~` expanded.
pub(crate) const SUBSTITUTE: &str = substitute!();

/// Shell functions for probes and changes.
///
/// - `say KEY VALUE` prints a line of the answer;
/// - `expand TEXT` sets `path` to the absolute path that `~`, `~user`, `$NAME` and `${NAME}` make of it (environment
///   variables only, unknown ones stay as they are, as Ansible does), without slashes at the end;
/// - `resolve` follows `path` to what it points at;
/// - `look NAME PATH [-L]` prints what is there; its status says whether something is;
/// - `uid_of NAME`, `gid_of NAME` print a number, or nothing when there is no such name;
/// - `digest PATH SIZE` sets `sum` to the file's SHA-256: for a large one by openssl where it is, which takes a third of the
///   time of `sha256sum`;
/// - `tell_ids` prints them for `$owner` and `$group`, and the umask.
pub(crate) const LOOK: &str = concat!(
    substitute!(),
    r#"
LC_ALL=C; export LC_ALL
expand() {
substitute "$1"; path=$word
case $path in /*) ;; *) path=$(pwd)/$path;; esac
while :; do case $path in ?*/) path=${path%/};; *) break;; esac; done
}
say() { case $2 in *"$nl"*) printf '%s64 %s\n' "$1" "$(printf %s "$2" | base64 | tr -d '\n')";; *) printf '%s %s\n' "$1" "$2";; esac; }
resolve() { if [ -L "$path" ]; then to=$(readlink -f -- "$path"; echo .); to=${to%"$nl".}; [ -z "$to" ] || path=$to; fi; }
look() {
printf 'at %s\n' "$1"
if stat_said=$(stat $3 -c 'mode %f
uid %u
gid %g
size %s
links %h
inode %i
device %d
rdev %t %T
blocks %b %o
atime %X %x
mtime %Y %y
ctime %Z %z
owner %U
group %G' -- "$2" 2>&1); then
printf '%s\n' "$stat_said"
if [ -z "$3" ] && [ -L "$2" ]; then to=$(readlink -- "$2"; echo .); say target "${to%"$nl".}"; fi
else
case $stat_said in *'No such file'*|*'Not a directory'*) echo absent;; *) say denied "$stat_said";; esac
return 1
fi
}
uid_of() { case $1 in *[!0-9]*) id -u -- "$1" 2>/dev/null;; *) echo "$1";; esac; }
gid_of() {
case $1 in
*[!0-9]*) gid_line=$(getent group "$1" 2>/dev/null) && { gid_line=${gid_line#*:*:}; echo "${gid_line%%:*}"; return; }
while IFS=: read -r gid_name gid_rest; do [ "$gid_name" = "$1" ] && { gid_rest=${gid_rest#*:}; echo "${gid_rest%%:*}"; return; }; done </etc/group;;
*) echo "$1";;
esac
}
tell_ids() {
[ -z "$owner" ] || printf 'owner_id %s\n' "$(uid_of "$owner")"
[ -z "$group" ] || printf 'group_id %s\n' "$(gid_of "$group")"
printf 'umask %s\n' "$(umask)"
}
digest() {
sum=
if [ "$2" -gt 2000000 ]; then sum=$(openssl dgst -sha256 -r <"$1" 2>/dev/null); sum=${sum%% *}; [ ${#sum} -eq 64 ] || sum=; fi
[ -n "$sum" ] || { sum=$(sha256sum <"$1") || return 1; sum=${sum%% *}; }
}
content() {
size=$(wc -c <"$1") || return 1
size=$((size))
if [ "$size" -gt 262144 ] && command -v gzip >/dev/null; then printf 'gzip %s\n' "$size"; gzip -c <"$1"; else printf 'raw %s\n' "$size"; cat <"$1"; fi
}"#
);

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
}

impl Kind {
    /// What it is called in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "link",
            Self::Character => "character device",
            Self::Block => "block device",
            Self::Pipe => "named pipe",
            Self::Socket => "socket",
        }
    }
}

/// What `stat` says of a path that is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// What it is.
    pub(crate) kind: Kind,
    /// Permission bits, set-id and sticky bits included.
    pub(crate) mode: u32,
    /// Owner's number.
    pub(crate) uid: u32,
    /// Group's number.
    pub(crate) gid: u32,
    /// Owner's name; `UNKNOWN` when it has none.
    pub(crate) owner: String,
    /// Group's name.
    pub(crate) group: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Hard links.
    pub(crate) links: u64,
    /// Inode number.
    pub(crate) inode: u64,
    /// Number of the device that it is on.
    pub(crate) device: u64,
    /// Major and minor number of the device that it is.
    pub(crate) rdev: (u64, u64),
    /// Blocks of 512 bytes.
    pub(crate) blocks: u64,
    /// Preferred block size.
    pub(crate) block_size: u64,
    /// Last read, seconds since 1970.
    pub(crate) atime: f64,
    /// Last written.
    pub(crate) mtime: f64,
    /// Last changed.
    pub(crate) ctime: f64,
    /// Where a link points.
    pub(crate) target: Option<String>,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Look {
    /// Nothing is there.
    Absent,
    /// This is there.
    There(Entry),
}

impl Look {
    /// What is there, if anything.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Absent => None,
            Self::There(entry) => Some(entry),
        }
    }

    /// Whether it is a thing of this kind.
    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.entry().is_some_and(|entry| entry.kind == kind)
    }
}

/// The lines of one section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Section {
    name: String,
    lines: Vec<(String, String)>,
}

impl Section {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.lines.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// All values of a key, in order.
    pub(crate) fn all(&self, key: &str) -> Vec<&str> {
        self.lines.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.split(' ').next()?.parse().ok()
    }

    fn time(&self, key: &str) -> Option<f64> {
        let (seconds, written) = self.get(key)?.split_once(' ')?;
        let fraction = written.split_once('.').map(|(_, rest)| rest);
        let digits: String = fraction.unwrap_or("").chars().take_while(char::is_ascii_digit).collect();
        format!("{seconds}.{}", if digits.is_empty() { "0" } else { &digits }).parse().ok()
    }

    /// What `look` printed.
    ///
    /// # Errors
    /// The host refused to say (no permission, a loop of links), or said nothing that can be read.
    pub(crate) fn look(&self) -> Result<Look, Failure> {
        if self.get("absent").is_some() {
            return Ok(Look::Absent);
        }
        if let Some(why) = self.get("denied") {
            return Err(Failure::new(why.trim().to_owned()));
        }
        self.entry().map(Look::There).ok_or_else(|| Failure::new("the host's `stat` gave an answer that can't be read"))
    }

    fn entry(&self) -> Option<Entry> {
        let raw = u32::from_str_radix(self.get("mode")?, 16).ok()?;
        let kind = match raw & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Link,
            0o020_000 => Kind::Character,
            0o060_000 => Kind::Block,
            0o010_000 => Kind::Pipe,
            0o140_000 => Kind::Socket,
            _ => return None,
        };
        let (major, minor) = self.get("rdev")?.split_once(' ')?;
        let (blocks, block_size) = self.get("blocks")?.split_once(' ')?;
        Some(Entry {
            kind,
            mode: raw & 0o7777,
            uid: self.number("uid")?,
            gid: self.number("gid")?,
            owner: self.get("owner")?.to_owned(),
            group: self.get("group")?.to_owned(),
            size: self.number("size")?,
            links: self.number("links")?,
            inode: self.number("inode")?,
            device: self.number("device")?,
            rdev: (u64::from_str_radix(major, 16).unwrap_or(0), u64::from_str_radix(minor, 16).unwrap_or(0)),
            blocks: blocks.parse().unwrap_or(0),
            block_size: block_size.parse().unwrap_or(0),
            atime: self.time("atime")?,
            mtime: self.time("mtime")?,
            ctime: self.time("ctime")?,
            target: self.get("target").map(str::to_owned),
        })
    }
}

/// A parsed answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    sections: Vec<Section>,
    content: Option<Vec<u8>>,
}

impl Seen {
    /// Reads an answer.
    ///
    /// # Errors
    /// The script ended with an error, or its answer is not whole: it ends with `end`, or with content of the size
    /// that was announced.
    pub(crate) fn parse(output: &Output) -> Result<Self, Failure> {
        if output.status != 0 {
            let said = output.err();
            let said = said.trim();
            let message = match said {
                "" => format!("looking ended with status {}", output.status),
                said => said.to_owned(),
            };
            return Err(Failure::new(message).with("rc", output.status));
        }
        let (seen, whole) = Self::read(output)?;
        if whole {
            return Ok(seen);
        }
        Err(if output.stdout_cut > 0 {
            Failure::new(format!("too big: {} bytes more than are read from a host at once", output.stdout_cut))
        } else {
            Failure::new("the host's answer is not whole").with("stderr", output.err())
        })
    }

    fn read(output: &Output) -> Result<(Self, bool), Failure> {
        let mut sections = vec![Section::default()];
        let mut rest: &[u8] = &output.stdout;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            let text = String::from_utf8_lossy(line);
            let (key, value) = text.split_once(' ').unwrap_or((&text, ""));
            match key {
                "at" => sections.push(Section { name: value.to_owned(), lines: Vec::new() }),
                "end" => return Ok((Self { sections, content: None }, true)),
                "raw" | "gzip" => {
                    if output.stdout_cut > 0 {
                        return Ok((Self::default(), false));
                    }
                    let content = unpack(key, rest)?;
                    let whole = value.parse() == Ok(content.len());
                    return Ok((Self { sections, content: Some(content) }, whole));
                }
                _ => {
                    let (key, value) = match key.strip_suffix("64") {
                        Some(short) => (short, decode(value)),
                        None => (key, value.to_owned()),
                    };
                    if let Some(section) = sections.last_mut() {
                        section.lines.push((key.to_owned(), value));
                    }
                }
            }
        }
        Ok((Self { sections, content: None }, false))
    }

    /// The lines before the first section.
    pub(crate) fn top(&self) -> Section {
        self.sections.first().cloned().unwrap_or_default()
    }

    /// A section; the last one of that name.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().skip(1).rev().find(|section| section.name == name)
    }

    /// All sections in order, with their names.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.sections.iter().skip(1).map(|section| (section.name.as_str(), section))
    }

    /// What is at a path that was looked at.
    ///
    /// # Errors
    /// The host did not say.
    pub(crate) fn look(&self, name: &str) -> Result<Look, Failure> {
        self.section(name).ok_or_else(|| Failure::new("the host's answer is not whole"))?.look()
    }

    /// The content at the end.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// A value anywhere.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.sections.iter().find_map(|section| section.get(key))
    }
}

fn unpack(how: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    if how == "raw" {
        return Ok(bytes.to_vec());
    }
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .take(256 << 20)
        .read_to_end(&mut content)
        .map_err(|error| Failure::new(format!("the host's answer is not whole: {error}")))?;
    Ok(content)
}

fn decode(value: &str) -> String {
    let bytes = STANDARD.decode(value.trim()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Base64 text as bytes; `None` when it isn't base64.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.trim()).ok()
}
