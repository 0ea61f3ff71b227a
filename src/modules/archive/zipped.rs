//! zip archives as tar.

use std::io::{Read, Write};

use zip::extra_fields::ExtraField;

use super::tar_write::{header, pad};
use super::{Kind, Member, Source};

/// Longest target of a link (bytes): Linux has no longer paths.
const LONGEST_TARGET: u64 = 4096;

/// Writes the members of a zip archive as a tar stream. Times are those that were written in UTC where the archive has them; the
/// others have no time zone and are taken as UTC.
///
/// # Errors
/// It is no zip archive, is damaged, is encrypted, or is packed in a way that is not known.
pub(super) fn to_tar(input: &mut dyn Source, out: &mut dyn Write) -> Result<(), String> {
    let damaged = |error: zip::result::ZipError| format!("the zip archive can't be read: {error}");
    let wrong = |error: std::io::Error| format!("the zip archive can't be unpacked here: {error}");
    let mut archive = zip::ZipArchive::new(input).map_err(damaged)?;
    for place in 0..archive.len() {
        let mut packed = archive.by_index(place).map_err(damaged)?;
        let raw = packed.name().map_err(damaged)?.into_owned();
        if packed.encrypted() {
            return Err(format!("`{raw}` is encrypted"));
        }
        let mode = packed.unix_mode();
        let mtime = mtime(&packed);
        let size = packed.size();
        let kind = if packed.is_dir() {
            Kind::Directory
        } else if packed.is_symlink() {
            let mut target = String::new();
            packed.by_ref().take(LONGEST_TARGET).read_to_string(&mut target).map_err(wrong)?;
            Kind::Link(target)
        } else {
            Kind::File
        };
        let usual = if kind == Kind::Directory { 0o755 } else { 0o644 };
        // Writers without a notion of modes leave them out, or zero.
        let mode = mode.map(|mode| mode & 0o777).filter(|mode| *mode != 0).unwrap_or(usual);
        let member = Member { name: raw.trim_end_matches('/').to_owned(), kind, size, mtime };
        header(out, &member, mode).map_err(wrong)?;
        if member.kind == Kind::File {
            let copied = std::io::copy(&mut packed, out).map_err(wrong)?;
            if copied != size {
                return Err(format!("`{raw}` has {copied} bytes and not the {size} that the zip archive announces"));
            }
            pad(out, size).map_err(wrong)?;
        }
    }
    out.write_all(&[0; 1024]).map_err(wrong)
}

/// Seconds since 1970.
fn mtime<R: Read>(packed: &zip::read::ZipFile<'_, R>) -> u64 {
    let exact = packed.extra_data_fields().find_map(|field| match field {
        ExtraField::ExtendedTimestamp(times) => times.mod_time(),
        _ => None,
    });
    if let Some(exact) = exact {
        return u64::from(exact);
    }
    let Some(time) = packed.last_modified() else { return 0 };
    let number = |part: u8| i8::try_from(part).unwrap_or(0);
    jiff::civil::DateTime::new(
        i16::try_from(time.year()).unwrap_or(1980),
        number(time.month()),
        number(time.day()),
        number(time.hour()),
        number(time.minute()),
        number(time.second()),
        0,
    )
    .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
    .map_or(0, |time| u64::try_from(time.timestamp().as_second()).unwrap_or(0))
}
