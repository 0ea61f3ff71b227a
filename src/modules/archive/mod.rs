//! Archives of this machine: what is in them, and the tar that travels to hosts.
//!
//! A host needs `tar` and `gzip` and nothing else: zip, bzip2, xz and zstd archives are unpacked here and packed anew as tar.gz,
//! once a run. It reads and writes streams that it is given, and opens no files. A member's content is never in memory as a whole.

mod tar_list;
mod tar_write;
mod zipped;

use std::io::{Read, Seek, SeekFrom, Write};

use crate::base::Content;

pub(crate) use tar_list::{Kind, Member};

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Plain tar.
    Tar,
    /// tar.gz.
    Gzip,
    /// tar.bz2.
    Bzip2,
    /// tar.xz.
    Xz,
    /// tar.zst.
    Zstd,
    /// zip.
    Zip,
}

impl Format {
    /// By its first bytes; what is none of the others is taken for tar, and reading it then says so.
    pub(crate) fn of(start: &[u8]) -> Self {
        let formats: [(&[u8], Self); 6] = [
            (&[0x1f, 0x8b], Self::Gzip),
            (b"BZh", Self::Bzip2),
            (b"\xfd7zXZ\0", Self::Xz),
            (b"\x28\xb5\x2f\xfd", Self::Zstd),
            (b"PK\x03\x04", Self::Zip),
            // An empty zip archive.
            (b"PK\x05\x06", Self::Zip),
        ];
        formats.iter().find(|(magic, _)| start.starts_with(magic)).map_or(Self::Tar, |(_, format)| *format)
    }

    /// What Ansible's results call the one who unpacks it.
    pub(crate) fn handler(self) -> &'static str {
        match self {
            Self::Tar => "TarArchive",
            Self::Gzip => "TgzArchive",
            Self::Bzip2 => "TarBzipArchive",
            Self::Xz => "TarXzArchive",
            Self::Zstd => "TarZstdArchive",
            Self::Zip => "ZipArchive",
        }
    }
}

/// An archive that was read.
#[derive(Debug)]
pub(crate) struct Archive {
    /// How it was packed.
    pub(crate) format: Format,
    /// What is in it, in its order.
    pub(crate) members: Vec<Member>,
    /// What travels: tar or tar.gz.
    pub(crate) content: Content,
    /// Whether what travels is gzipped.
    pub(crate) zipped: bool,
    /// Its SHA-256.
    pub(crate) sha256: String,
}

/// A stream that can be read from any place.
pub(crate) trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// What format a stream has; it is at its beginning again then.
///
/// # Errors
/// It can't be read.
pub(crate) fn format(input: &mut dyn Source) -> Result<Format, String> {
    let wrong = |error: std::io::Error| format!("the archive can't be read: {error}");
    let mut start = Vec::new();
    Read::take(&mut *input, 6).read_to_end(&mut start).map_err(wrong)?;
    input.seek(SeekFrom::Start(0)).map_err(wrong)?;
    Ok(Format::of(&start))
}

/// The members of tar, or of tar.gz when `zipped`.
///
/// # Errors
/// It is no archive, is cut, or holds what can't be stored by name.
pub(crate) fn members(input: &mut dyn Read, zipped: bool) -> Result<Vec<Member>, String> {
    let mut input = std::io::BufReader::with_capacity(1 << 16, input);
    if zipped { tar_list::list(&mut flate2::read::MultiGzDecoder::new(input)) } else { tar_list::list(&mut input) }
}

/// Packs an archive of another format anew as tar.gz.
///
/// # Errors
/// It is no archive of this format or is damaged, or the new one can't be written.
pub(crate) fn repack(format: Format, input: &mut dyn Source, out: &mut dyn Write) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("the archive can't be unpacked here: {error}");
    let out = std::io::BufWriter::with_capacity(1 << 16, out);
    let mut packed = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    let copy = |from: &mut dyn Read, to: &mut dyn Write| std::io::copy(from, to).map(|_| ()).map_err(wrong);
    match format {
        Format::Zip => zipped::to_tar(input, &mut packed)?,
        Format::Tar => copy(input, &mut packed)?,
        Format::Gzip => copy(&mut flate2::read::MultiGzDecoder::new(input), &mut packed)?,
        Format::Bzip2 => copy(&mut bzip2::read::MultiBzDecoder::new(input), &mut packed)?,
        Format::Xz => copy(&mut lzma_rust2::XzReader::new(std::io::BufReader::new(input), true), &mut packed)?,
        Format::Zstd => {
            let mut input = std::io::BufReader::new(input);
            let decoder = ruzstd::decoding::StreamingDecoder::new(&mut input);
            let mut decoder = decoder.map_err(|error| format!("the archive can't be unpacked here: {error}"))?;
            copy(&mut decoder, &mut packed)?;
        }
    }
    let out = packed.finish().map_err(wrong)?;
    out.into_inner().map_err(|error| wrong(error.into_error()))?.flush().map_err(wrong)
}

#[cfg(test)]
mod tests;
