//! Headers of tar members: ustar, with GNU's long names.

use std::io::Write;

use super::{Kind, Member};

/// Writes the header of a member, whose content the caller writes after it with [`pad`].
///
/// # Errors
/// The stream can't be written.
pub(super) fn header(out: &mut dyn Write, member: &Member, mode: u32) -> std::io::Result<()> {
    let (kind, link) = match &member.kind {
        Kind::File => (b'0', ""),
        Kind::Hard(target) => (b'1', target.as_str()),
        Kind::Link(target) => (b'2', target.as_str()),
        Kind::Directory => (b'5', ""),
    };
    let name = match member.kind {
        Kind::Directory => format!("{}/", member.name),
        _ => member.name.clone(),
    };
    for (text, kind) in [(link, b'K'), (name.as_str(), b'L')] {
        if text.len() > 100 {
            out.write_all(&block("././@LongLink", kind, 0o644, text.len() as u64 + 1, 0, ""))?;
            out.write_all(text.as_bytes())?;
            out.write_all(&[0])?;
            pad(out, text.len() as u64 + 1)?;
        }
    }
    let size = if member.kind == Kind::File { member.size } else { 0 };
    out.write_all(&block(&name, kind, mode, size, member.mtime, link))
}

/// Fills up to a whole block after `size` bytes of content.
///
/// # Errors
/// The stream can't be written.
pub(super) fn pad(out: &mut dyn Write, size: u64) -> std::io::Result<()> {
    let over = usize::try_from(size.next_multiple_of(512) - size).unwrap_or(0);
    out.write_all([0_u8; 512].get(..over).unwrap_or_default())
}

fn block(name: &str, kind: u8, mode: u32, size: u64, mtime: u64, link: &str) -> [u8; 512] {
    let mut block = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| {
        for (to, from) in block.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    };
    put(0, name.as_bytes().get(..name.len().min(100)).unwrap_or_default());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    // Eleven octal digits end at 8 GiB; longer ones are binary with the first bit set.
    if size < 1 << 33 {
        put(124, format!("{size:011o}").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &size.to_be_bytes());
    }
    put(136, format!("{:011o}", mtime.min((1 << 33) - 1)).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes().get(..link.len().min(100)).unwrap_or_default());
    put(257, b"ustar  \0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for (to, from) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *to = from;
    }
    block
}
