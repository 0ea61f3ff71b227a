//! The command line of ansible-vault: each of the two programs reads what the other wrote, and both end with the same words and codes.

#![allow(clippy::disallowed_methods, reason = "a test reads what the program wrote, and is in no hurry")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use super::ansible::venv;
use super::hermetic::{Place, Said};

/// A place with passwords, plain and encrypted text.
fn place() -> Place {
    let place = Place::new();
    place.write("a", "alpha\n").write("b", "beta\n").write("plain.yml", "user: root\npassword: hunter2-ä\n");
    place.write("closed.yml", include_str!("../vault/1.1.yml")).write("correct", "correct horse\n");
    place
}

fn ours(place: &Place, words: &str, stdin: &str) -> Said {
    with(place.command("ansible-vault", &shlex::split(words).expect("words")), stdin)
}

/// Ansible's own.
fn theirs(place: &Place, words: &str, stdin: &str) -> Said {
    let like = place.command("ansible-vault", &[""; 0]);
    let mut command = Command::new(venv().join("bin/ansible-vault"));
    command.args(shlex::split(words).expect("words")).env_clear();
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(place.path("")).env("PYTHONDONTWRITEBYTECODE", "1");
    with(command, stdin)
}

fn with(mut command: Command, stdin: &str) -> Said {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("it starts");
    // A program that reads none of it may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
    Said::of(&child.wait_with_output().expect("it ends"))
}

fn mode(place: &Place, name: &str) -> u32 {
    fs::metadata(place.path(name)).expect("a file").permissions().mode() & 0o777
}

/// One writes, the other reads; files, labels, values and modes.
#[test]
fn each_of_the_two_programs_reads_what_the_other_wrote() {
    type Program = fn(&Place, &str, &str) -> Said;
    for (writes, reads) in [(ours as Program, theirs as Program), (theirs as Program, ours as Program)] {
        let place = place();
        let plain = place.read("plain.yml");
        let fine = |said: Said| assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
        fine(writes(&place, "encrypt --vault-id dev@a plain.yml", ""));
        assert!(place.read("plain.yml").starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n"));
        assert_eq!(mode(&place, "plain.yml"), 0o600);
        assert_eq!(reads(&place, "view --vault-id dev@a plain.yml", "").out, plain);
        assert_eq!(reads(&place, "decrypt --vault-password-file a --output - plain.yml", "").out, plain);

        fs::set_permissions(place.path("plain.yml"), fs::Permissions::from_mode(0o640)).expect("a mode");
        let said = writes(&place, "rekey --vault-id dev@a --new-vault-id prod@b plain.yml", "");
        assert_eq!((said.code, said.err.as_str()), (0, "Rekey successful\n"));
        assert!(place.read("plain.yml").starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n"));
        assert_eq!(mode(&place, "plain.yml"), 0o640);
        fine(reads(&place, "decrypt --vault-id b plain.yml", ""));
        assert_eq!(place.read("plain.yml"), plain);

        let said = writes(&place, "encrypt_string --vault-password-file a -n one -n two first second", "");
        let expected = "# The encrypted version of variable (\"one\", the string #1 from the command line args).\n\
                        # The encrypted version of variable (\"two\", the string #2 from the command line args).\n";
        assert_eq!(said.err, expected);
        assert!(said.out.starts_with("one: !vault |\n          $ANSIBLE_VAULT;1.1;AES256\n          "), "{}", said.out);
        let of_second = said.out.split("two: !vault |\n").nth(1).expect("the second");
        let second: String = of_second.lines().map(|line| format!("{}\n", line.trim())).collect();
        assert_eq!(reads(&place, "decrypt --vault-password-file a", &second).out, "second");
        let said = writes(&place, "encrypt --vault-password-file a", "from stdin");
        assert_eq!(reads(&place, "decrypt --vault-password-file a --output -", &said.out).out, "from stdin");
    }
}

/// What can go wrong, with the code of both, and the words where no more can be said.
#[test]
fn what_goes_wrong_has_the_words_and_the_code_of_ansible_vault() {
    let place = place();
    place.write("other.yml", include_str!("../vault/1.2.yml"));
    let same_words = [
        "encrypt --vault-password-file a closed.yml",
        "decrypt --vault-password-file a plain.yml",
        "create --vault-password-file a new.yml",
        "create --vault-password-file a",
        "encrypt --vault-id a@a --vault-id b@b plain.yml",
        "encrypt --vault-id a@a --vault-id b@b --encrypt-vault-id c plain.yml",
        "encrypt_string --vault-password-file a",
        "encrypt_string --vault-password-file a ''",
        "encrypt_string --vault-password-file a -p -",
        "decrypt --vault-password-file a --output x closed.yml plain.yml",
        "create --skip-tty-check --vault-password-file a closed.yml",
        "encrypt --vault-id 'a;b@a' plain.yml",
    ];
    for words in same_words {
        let (ours, theirs) = (ours(&place, words, ""), theirs(&place, words, ""));
        assert_eq!(ours.code, theirs.code, "{words}: {} {}", ours.err, theirs.err);
        let said = |said: &Said| {
            let last = said.err.lines().rfind(|line| line.contains("ERROR") || line.starts_with("error"));
            last.unwrap_or_default().trim_start_matches("[ERROR]: ").trim_start_matches("error: ").to_owned()
        };
        assert_eq!(said(&ours), said(&theirs), "{words}");
    }
    let same_code = [
        "decrypt --vault-password-file a closed.yml",
        "view --vault-password-file correct nosuch",
        "edit --vault-password-file a closed.yml",
        "rekey --vault-password-file a --new-vault-password-file b closed.yml",
        "encrypt --vault-password-file nosuch plain.yml",
        "frobnicate",
        "encrypt --no-such-flag",
        "rekey --vault-password-file correct --new-vault-password-file b --new-vault-id x@b closed.yml",
    ];
    for words in same_code {
        let (ours, theirs) = (ours(&place, words, ""), theirs(&place, words, ""));
        assert_eq!(ours.code, theirs.code, "{words}: {} {}", ours.err, theirs.err);
    }
    assert_eq!(place.read("closed.yml"), include_str!("../vault/1.1.yml"), "nothing was changed");
    // Under its own name it says more, and has the codes of `stagger run`.
    let said = place.call("stagger", &["vault", "view", "--vault-password-file", "a", "closed.yml"]);
    assert_eq!(said.code, 65);
    assert!(said.err.contains("wrong vault password") && said.err.contains("closed.yml:1"), "{}", said.err);
    let said = place.call("stagger", &["vault", "view", "--vault-password-file", "a", "nosuch"]);
    assert_eq!(said.code, 66, "{}", said.err);
}

#[test]
fn an_editor_works_on_a_private_copy_that_does_not_stay() {
    let place = place();
    let editor = |text: &str| {
        place.write("editor", text);
        fs::set_permissions(place.path("editor"), fs::Permissions::from_mode(0o755)).expect("a mode");
    };
    let call = |words: &str| {
        let mut command = place.command("ansible-vault", &shlex::split(words).expect("words"));
        command.env("EDITOR", format!("{} --flag", place.path("editor").display()));
        command.env("TMPDIR", place.path("tmp"));
        Said::of(&command.output().expect("it runs"))
    };
    fs::create_dir(place.path("tmp")).expect("a folder");
    // Copies what the editor sees, with modes, and adds a line; some editors write a new file and keep the old one.
    editor(
        "#!/bin/sh\nfile=$2\nstat -c '%a %n' \"$file\" \"${file%/*}\" > seen\ncat \"$file\" > before\ncp \"$file\" \"$file~\"\n(cat \"$file~\"; echo 'added: 1') > \"$file.new\" && mv \"$file.new\" \"$file\"\n",
    );
    fs::set_permissions(place.path("closed.yml"), fs::Permissions::from_mode(0o644)).expect("a mode");
    std::os::unix::fs::symlink("closed.yml", place.path("link.yml")).expect("a link");
    let said = call("edit --vault-password-file correct link.yml");
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let plain = include_str!("../vault/plain.yml");
    assert_eq!(place.read("before"), plain);
    let seen = place.read("seen");
    assert!(seen.starts_with("600 ") && seen.lines().nth(1).expect("the folder").starts_with("700 "), "{seen}");
    assert!(seen.lines().next().expect("the file").ends_with("/closed.yml"), "{seen}");
    assert_eq!(fs::read_dir(place.path("tmp")).expect("the folder").count(), 0);
    assert_eq!(mode(&place, "closed.yml"), 0o644);
    assert!(fs::symlink_metadata(place.path("link.yml")).expect("the link").is_symlink());
    let text = theirs(&place, "view --vault-password-file correct closed.yml", "").out;
    assert_eq!(text, format!("{plain}added: 1\n"));

    // Nothing was changed: the file stays as it is, to the byte.
    let before = place.read("closed.yml");
    editor("#!/bin/sh\nexit 0\n");
    assert_eq!(call("edit --vault-password-file correct closed.yml").code, 0);
    assert_eq!(place.read("closed.yml"), before);
    // An editor that gives up changes nothing.
    editor("#!/bin/sh\necho lost > \"$2\"\nexit 1\n");
    assert_eq!(call("edit --vault-password-file correct closed.yml").code, 1);
    assert_eq!(place.read("closed.yml"), before);
    // Somebody else changed it meanwhile: neither text is lost.
    editor("#!/bin/sh\necho mine > \"$2\"\necho theirs > closed.yml\n");
    let said = call("edit --vault-password-file correct closed.yml");
    assert_eq!((said.code, place.read("closed.yml").as_str()), (1, "theirs\n"), "{}", said.err);
    assert_eq!(theirs(&place, "view --vault-password-file correct closed.yml.edited", "").out, "mine\n");

    editor("#!/bin/sh\necho 'new: 1' > \"$2\"\n");
    assert_eq!(call("create --skip-tty-check --vault-id dev@a sub/new.yml").code, 0);
    assert_eq!(mode(&place, "sub/new.yml"), 0o600);
    assert!(place.read("sub/new.yml").starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n"));
    assert_eq!(theirs(&place, "view --vault-id dev@a sub/new.yml", "").out, "new: 1\n");
}

#[test]
fn a_password_that_is_typed_to_encrypt_is_typed_twice() {
    let place = place();
    let (screen, code) = place.on_terminal(
        &["vault", "encrypt", "plain.yml"],
        &[("New Vault password: ", "typed\n"), ("Confirm New Vault password: ", "tiped\n")],
    );
    assert!(code == 1 && screen.contains("Passwords do not match"), "{screen}");
    assert!(place.read("plain.yml").starts_with("user"), "nothing was changed");
    let (screen, code) = place.on_terminal(
        &["vault", "encrypt", "plain.yml"],
        &[("New Vault password: ", "typed\n"), ("Confirm New Vault password: ", "typed\n")],
    );
    assert!(code == 0 && screen.contains("Encryption successful"), "{screen}");
    let (screen, code) = place.on_terminal(
        &["vault", "encrypt_string", "--vault-password-file", "a", "-p"],
        &[("Variable name (enter for no name): ", "word\n"), ("String to encrypt (hidden): ", "s3cret\n")],
    );
    assert!(code == 0 && screen.contains("word: !vault |") && !screen.contains("s3cret"), "{screen}");
}
