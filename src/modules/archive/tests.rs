use super::*;
use std::io::Cursor;

fn tar_of(members: &[(Member, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (member, content) in members {
        tar_write::header(&mut out, member, 0o644).unwrap();
        out.write_all(content).unwrap();
        tar_write::pad(&mut out, content.len() as u64).unwrap();
    }
    out.extend([0; 1024]);
    out
}

#[test]
fn what_is_written_as_tar_is_read_again_and_by_the_machines_tar() {
    let long = "long/".repeat(60) + "name";
    let file = |name: &str, size| Member { name: name.to_owned(), kind: Kind::File, size, mtime: 1_379_635_200 };
    let link = Member { kind: Kind::Link("x".repeat(300)), ..file("l", 0) };
    let folder = Member { kind: Kind::Directory, ..file("d", 0) };
    let all = [(folder, &b""[..]), (file(&long, 3), b"abc"), (link, b""), (file("d/\u{e9}", 512), &[7; 512])];
    let bytes = tar_of(&all);
    let read = members(&mut bytes.as_slice(), false).unwrap();
    assert_eq!(read, all.iter().map(|(member, _)| member.clone()).collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.tar"), &bytes).unwrap();
    let done = std::process::Command::new("tar").args(["-tf", "a.tar"]).current_dir(folder.path()).output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains(&long));
}

#[test]
fn damaged_archives_of_every_format_are_errors() {
    let whole = tar_of(&[(Member { name: "a".to_owned(), kind: Kind::File, size: 4, mtime: 0 }, b"four")]);
    for (magic, format) in [
        (&b"BZh91AY&SY"[..], Format::Bzip2),
        (b"\xfd7zXZ\0rubbish", Format::Xz),
        (b"\x28\xb5\x2f\xfdrubbish", Format::Zstd),
        (b"PK\x03\x04rubbish", Format::Zip),
    ] {
        assert_eq!(super::format(&mut Cursor::new(magic)).unwrap(), format);
        let error = repack(format, &mut Cursor::new(magic), &mut Vec::new()).unwrap_err();
        assert!(error.contains("can't be"), "{error}");
    }
    let mut packed = Vec::new();
    repack(Format::Tar, &mut Cursor::new(&whole), &mut packed).unwrap();
    assert_eq!(members(&mut packed.as_slice(), true).unwrap().len(), 1);
    assert!(members(&mut &b"not a tar archive"[..], false).is_err());
    assert!(members(&mut &whole[..513], false).unwrap_err().contains("cut"));
}
