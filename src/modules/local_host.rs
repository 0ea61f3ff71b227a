//! A host for tests: this machine, a temporary folder, and one of two kinds of shell. Scripts really run.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::fixture::Fixture;
use super::{Act, Applied, Arguments, Bound, Change, Failure, State, find};
use crate::base::{Content, Map, Output, Script, Value};

/// The two kinds of host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// dash and GNU's programs.
    Gnu,
    /// Nothing but busybox.
    Busybox,
}

/// Both kinds.
pub(crate) const KINDS: [Kind; 2] = [Kind::Gnu, Kind::Busybox];

/// A temporary folder on a host of some kind.
#[derive(Debug)]
pub(crate) struct Host {
    kind: Kind,
    folder: tempfile::TempDir,
    /// What local files and variables the modules see.
    pub(crate) here: Fixture,
}

/// A folder with a link for each applet of busybox, and nothing else.
fn applets() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let listed = Command::new("busybox").arg("--list").output().expect("busybox must be installed");
            let program = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
            let program = program.expect("busybox must be installed");
            for applet in String::from_utf8_lossy(&listed.stdout).lines() {
                std::os::unix::fs::symlink(program, folder.path().join(applet)).expect("a link");
            }
            folder
        })
        .path()
}

impl Host {
    /// A host with an empty folder.
    pub(crate) fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { kind, folder, here: Fixture { diff: true, ..Fixture::default() } }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("the folder is there")
    }

    /// A path in the folder as text.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder().display())
    }

    /// Writes a file in the folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("a file can be written");
    }

    /// Reads a file in the folder.
    #[expect(clippy::disallowed_methods, reason = "a test looks at what was written")]
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("the file is there")
    }

    /// Permission bits of a file in the folder.
    pub(crate) fn mode(&self, name: &str) -> u32 {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::symlink_metadata(self.path(name)).expect("the file is there").mode() & 0o7777
    }

    /// Names in a folder below the folder, sorted.
    pub(crate) fn names(&self, below: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(below)).expect("the folder can be read");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn command(&self, script: &Script) -> Command {
        let mut command = match self.kind {
            Kind::Gnu => Command::new("dash"),
            Kind::Busybox => Command::new(applets().join("sh")),
        };
        command.arg("-c").arg(script.as_str()).current_dir(self.folder()).env_clear().env("HOME", self.folder());
        match self.kind {
            Kind::Gnu => command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            Kind::Busybox => command.env("PATH", applets()),
        };
        command
    }

    /// Starts a script whose standard input the test feeds.
    pub(crate) fn start(&self, script: &Script) -> Child {
        self.command(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell must be installed")
    }

    /// Runs a script to its end.
    pub(crate) fn run(&self, script: &Script, stdin: Option<&Content>) -> Output {
        let mut child = self.start(script);
        let bytes = stdin.map(|content| self.bytes(content)).unwrap_or_default();
        let mut pipe = child.stdin.take().expect("a pipe");
        let feeder = std::thread::spawn(move || {
            // A script may end before it has read everything.
            let _ = pipe.write_all(&bytes);
        });
        let ended = child.wait_with_output().expect("the shell ends");
        feeder.join().expect("the feeder ends");
        Output {
            status: ended.status.code().unwrap_or_else(|| 128 + ended.status.signal().unwrap_or(0)),
            stdout: ended.stdout,
            stderr: ended.stderr,
            stdout_cut: 0,
            stderr_cut: 0,
        }
    }

    /// What a content sends.
    pub(crate) fn bytes(&self, content: &Content) -> Vec<u8> {
        match content {
            Content::Bytes(bytes) => bytes.to_vec(),
            Content::File { file, offset } => {
                let bytes = self.here.files.get(&file.path).expect("a local file of the fixture");
                bytes.get(usize::try_from(*offset).expect("small")..).unwrap_or_default().to_vec()
            }
        }
    }

    /// Binds a state module.
    pub(crate) fn bind(&self, module: &str, arguments: Value) -> Result<Box<dyn State>, Failure> {
        let spec = find(module).expect("a module");
        let Value::Object(map) = arguments else { panic!("arguments are a mapping") };
        match (spec.build)(&Arguments::check(spec, map)?, &self.here)? {
            Bound::State(state) => Ok(state),
            other => panic!("not a state: {other:?}"),
        }
    }

    /// Looks and works out the steps.
    pub(crate) fn plan(&self, state: &dyn State) -> Result<Change, Failure> {
        let probe = state.probe();
        let seen = if probe.is_empty() { Output::default() } else { self.run(&probe, None) };
        state.steps(&seen)
    }

    /// Does what a task does: looks, changes, gives the result with `changed`.
    pub(crate) fn task(&self, module: &str, arguments: Value) -> Result<Map, Failure> {
        let state = self.bind(module, arguments)?;
        let change = self.plan(state.as_ref())?;
        let changed = !change.steps.is_empty();
        let mut outputs = Vec::new();
        for step in &change.steps {
            let output = match &step.act {
                Act::Script { script, stdin } => self.run(script, stdin.as_ref()),
                Act::Fetch { script, to, .. } => {
                    let mut output = self.run(script, None);
                    std::fs::create_dir_all(to.parent().expect("a folder")).expect("folders");
                    std::fs::write(to, &output.stdout).expect("a file can be written");
                    output.stdout.clear();
                    output
                }
                Act::Http { .. } => panic!("no HTTP here"),
            };
            let failed = output.status != 0;
            outputs.push(Applied::Output(output));
            if failed {
                break;
            }
        }
        let mut result = if changed { state.finish(change, &outputs)? } else { change.result };
        result.insert("changed".to_owned(), changed.into());
        Ok(result)
    }

    /// Does a task that must change something, and again, when it must not.
    #[track_caller]
    pub(crate) fn changes_once(&self, module: &str, arguments: Value) -> Map {
        let first =
            self.task(module, arguments.clone()).unwrap_or_else(|failure| panic!("{:?}: {failure:?}", self.kind));
        assert_eq!(first["changed"], true, "{:?}: nothing was changed: {first:?}", self.kind);
        let second = self.task(module, arguments).unwrap_or_else(|failure| panic!("{:?}: {failure:?}", self.kind));
        assert_eq!(second["changed"], false, "{:?}: the second run changed something: {second:?}", self.kind);
        first
    }

    /// Does a task that must fail, and gives its message.
    #[track_caller]
    pub(crate) fn fails(&self, module: &str, arguments: Value) -> String {
        match self.task(module, arguments) {
            Ok(result) => panic!("{:?}: it did not fail: {result:?}", self.kind),
            Err(failure) => failure.message,
        }
    }
}

/// Runs a script, sends the first bytes of its standard input and kills it with SIGKILL once the script has written
/// some of them (or ends the input when `kill` is false).
pub(crate) fn cut(host: &Host, script: &Script, content: &[u8], kill: bool) -> Option<i32> {
    let mut child = host.start(script);
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(&content[..content.len() / 2]).expect("the script reads");
    if kill {
        child.kill().expect("it can be killed");
    }
    drop(pipe);
    let mut said = String::new();
    if !kill {
        let _ = child.stderr.take().expect("a pipe").read_to_string(&mut said);
    }
    child.wait().expect("it ends").code()
}
