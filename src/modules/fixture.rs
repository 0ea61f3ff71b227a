//! A controller for tests: variables, files and groups in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{self, Archive, Format};
use super::{Arguments, Bound, Controller, Done, Failure, Folder, Gate, LocalEntry, ModuleSpec, TemplateOptions};
use crate::base::{Content, LocalFile, Map, Node, Output, Script, Secret, Span, Value};

/// What tests give a module.
#[derive(Debug, Default)]
pub(crate) struct Fixture {
    /// Variables by host.
    pub(crate) variables: BTreeMap<String, Map>,
    /// Local files by path.
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Groups.
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    /// Whether diffs are wanted.
    pub(crate) diff: bool,
}

/// The host that [`Fixture`] speaks for.
pub(crate) const HOST: &str = "h1";

impl Controller for Fixture {
    fn host(&self) -> &str {
        HOST
    }
    fn find(&self, _folder: Folder, name: &str) -> Result<PathBuf, Failure> {
        let path = PathBuf::from(name);
        let below = |file: &PathBuf| file == &path || file.starts_with(&path);
        if self.files.keys().any(below) { Ok(path) } else { Err(Failure::new(format!("no file `{name}`"))) }
    }
    fn variables_folder(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }
    fn variables(&self, path: &Path) -> Result<Vec<(String, Arc<Node>)>, Failure> {
        let read: Map = serde_yaml::from_slice(&self.read(path)?).map_err(|error| Failure::new(error.to_string()))?;
        let entry = |(name, value): (String, Value)| (name, Arc::new(Node::from_value(&value, Span::NONE)));
        Ok(read.into_iter().map(entry).collect())
    }
    fn render(&self, node: &Node) -> Result<Value, Failure> {
        Ok(node.to_value())
    }
    fn digest(&self, path: &Path) -> Result<Arc<LocalFile>, Failure> {
        use sha2::Digest as _;
        let bytes = self.read(path)?;
        let hex = |digest: &[u8]| digest.iter().map(|b| format!("{b:02x}")).collect::<String>();
        Ok(Arc::new(LocalFile {
            path: path.to_owned(),
            size: bytes.len() as u64,
            sha256: hex(&sha2::Sha256::digest(&bytes)),
            sha1: hex(&sha1::Sha1::digest(&bytes)),
            md5: hex(&md5::Md5::digest(&bytes)),
            mode: 0o644,
        }))
    }
    fn read(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        self.files.get(path).cloned().ok_or_else(|| Failure::new(format!("no file `{}`", path.display())))
    }
    fn archive(&self, path: &Path) -> Result<Arc<Archive>, Failure> {
        let mut bytes = self.read(path)?;
        let format = archive::format(&mut std::io::Cursor::new(&bytes)).map_err(Failure::new)?;
        let mut content = Content::File { file: self.digest(path)?, offset: 0 };
        let mut sha256 = self.digest(path)?.sha256.clone();
        if !matches!(format, Format::Tar | Format::Gzip) {
            let mut packed = Vec::new();
            archive::repack(format, &mut std::io::Cursor::new(&bytes), &mut packed).map_err(Failure::new)?;
            content = Content::Bytes(packed.clone().into());
            sha256 = super::host_file::hex_sha256(&packed);
            bytes = packed;
        }
        let zipped = format != Format::Tar;
        let members = archive::members(&mut bytes.as_slice(), zipped).map_err(Failure::new)?;
        Ok(Arc::new(Archive { format, members, content, zipped, sha256 }))
    }
    fn list(&self, path: &Path) -> Result<Vec<LocalEntry>, Failure> {
        let inside = self.files.keys().filter_map(|file| Some((file, file.strip_prefix(path).ok()?)));
        let entries: Vec<LocalEntry> = inside
            .filter(|(_, name)| !name.as_os_str().is_empty())
            .map(|(file, name)| LocalEntry {
                name: name.display().to_string(),
                path: file.clone(),
                directory: false,
                mode: 0o644,
            })
            .collect();
        if entries.is_empty() { Err(Failure::new(format!("`{}` is no folder", path.display()))) } else { Ok(entries) }
    }
    fn render_file(&self, path: &Path, _options: &TemplateOptions) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }
    fn evaluate(&self, expression: &str) -> Result<Value, Failure> {
        self.variable(expression).ok_or_else(|| Failure::new(format!("`{expression}` is undefined")))
    }
    fn variable(&self, name: &str) -> Option<Value> {
        self.variable_of(HOST, name)
    }
    fn variable_of(&self, host: &str, name: &str) -> Option<Value> {
        self.variables.get(host)?.get(name).cloned()
    }
    fn group(&self, name: &str) -> Option<Vec<String>> {
        self.groups.get(name).cloned()
    }
    fn wants_diff(&self) -> bool {
        self.diff
    }
    fn hide(&self, _secret: &Secret) {}
    fn verbosity(&self) -> u8 {
        0
    }
}

/// Binds a module to arguments as they are after rendering.
pub(crate) fn bind(spec: &'static ModuleSpec, arguments: Value, here: &dyn Controller) -> Result<Bound, Failure> {
    let Value::Object(rendered) = arguments else { return Err(Failure::new("arguments must be a mapping")) };
    let checked = Arguments::check(spec, rendered)?;
    if let Some(check) = spec.check {
        check(&checked).map_err(Failure::new)?;
    }
    (spec.build)(&checked, here)
}

/// Runs a run module.
pub(crate) fn course(spec: &'static ModuleSpec, arguments: Value, here: &dyn Controller) -> Result<Done, Failure> {
    match bind(spec, arguments, here)? {
        Bound::Course(course) => course.run(here),
        other => Err(Failure::new(format!("no run module: {other:?}"))),
    }
}

/// Binds a gate.
pub(crate) fn gate(
    spec: &'static ModuleSpec,
    arguments: Value,
    here: &dyn Controller,
) -> Result<Box<dyn Gate>, Failure> {
    match bind(spec, arguments, here)? {
        Bound::Gate(gate) => Ok(gate),
        other => Err(Failure::new(format!("no gate: {other:?}"))),
    }
}

/// The shells that scripts are run with: Debian's, and busybox's with nothing but busybox in the path.
pub(crate) const SHELLS: &[Shell] = &[Shell::Dash, Shell::Busybox];

/// A shell of [`SHELLS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    /// dash with the machine's own tools.
    Dash,
    /// busybox sh, and no command but busybox's applets.
    Busybox,
}

impl Shell {
    /// A command that runs a script file given as its argument.
    pub(crate) fn command(self) -> std::process::Command {
        match self {
            Self::Dash => std::process::Command::new("dash"),
            Self::Busybox => {
                let mut command = std::process::Command::new("busybox");
                command.arg("sh").env("PATH", applets());
                command
            }
        }
    }
}

/// A folder with a link for each applet, made once.
fn applets() -> &'static Path {
    use std::sync::OnceLock;
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder for applets");
            let status = std::process::Command::new("busybox")
                .args(["--install", "-s"])
                .arg(folder.path())
                .status()
                .expect("busybox runs (package busybox-static)");
            assert!(status.success(), "busybox --install");
            folder
        })
        .path()
}

/// Runs a script to its end here, without standard input.
pub(crate) fn run_script(shell: &Shell, script: &Script) -> Output {
    run_script_with(shell, script, &[])
}

/// Runs a script to its end here with something on its standard input.
pub(crate) fn run_script_with(shell: &Shell, script: &Script, input: &[u8]) -> Output {
    use std::io::{Seek as _, Write as _};
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(script.as_str().as_bytes()).expect("the script is written");
    let mut stdin = tempfile::tempfile().expect("a file");
    stdin.write_all(input).expect("the input is written");
    stdin.rewind().expect("rewinds");
    let ended = shell.command().arg(file.path()).stdin(stdin).output().expect("the shell runs");
    let status = std::os::unix::process::ExitStatusExt::signal(&ended.status)
        .map_or_else(|| ended.status.code().unwrap_or(-1), |signal| 128 + signal);
    Output { status, stdout: ended.stdout, stderr: ended.stderr, stdout_cut: 0, stderr_cut: 0 }
}
