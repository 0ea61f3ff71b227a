//! The folder of a rehearsal on this machine: keys, layers, what is running.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::MountFlags;

use super::error::LabError;
use super::program::{find, output_of};
use super::spec::{HostKind, LabSpec};

/// Paths below a lab's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Folder {
        Folder { root: root.into() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The private key that logs in as root, `operator` and `deputy`.
    pub(crate) fn key(&self) -> PathBuf {
        self.root.join("id_ed25519")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.root.join("known_hosts")
    }

    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.root.join("ssh_config")
    }

    /// The password of `operator` and `deputy`.
    pub(crate) fn password_file(&self) -> PathBuf {
        self.root.join("password")
    }

    /// A tmpfs with what the hosts share: a layer may not lie within another layer's file system, which here is the whole root.
    fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn releases(&self) -> PathBuf {
        self.layers().join("releases")
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.root.join("lab.json")
    }

    pub(crate) fn seed(&self, kind: HostKind) -> PathBuf {
        self.layers().join("seed").join(match kind {
            HostKind::Debian => "debian",
            HostKind::Busybox => "busybox",
        })
    }

    pub(crate) fn host(&self, name: &str) -> HostFolder {
        HostFolder { root: self.root.join("hosts").join(name) }
    }

    /// Makes the folder, its keys and its password, where they are not there yet.
    pub(crate) fn prepare(&self) -> Result<(), LabError> {
        fs::create_dir_all(&self.root).map_err(LabError::file("create", &self.root))?;
        fs::set_permissions(&self.root, fs::Permissions::from_mode(0o755))
            .map_err(LabError::file("set the mode of", &self.root))?;
        mount_tmpfs(&self.layers(), 4096)?;
        make_key(&self.key(), "rehearsal")?;
        let path = self.password_file();
        if !path.exists() {
            // Random: these hosts share user ids and loopback with the machine, so no constant may open them.
            let mut random = [0_u8; 12];
            let source = Path::new("/dev/urandom");
            File::open(source)
                .and_then(|mut file| file.read_exact(&mut random))
                .map_err(LabError::file("read", source))?;
            let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(LabError::file("write", &path))?;
        }
        Ok(())
    }

    pub(crate) fn public_key(&self) -> Result<String, LabError> {
        let path = self.key().with_extension("pub");
        fs::read_to_string(&path).map_err(LabError::file("read", &path))
    }

    /// The password's hash for /etc/shadow.
    pub(crate) fn password_hash(&self) -> Result<String, LabError> {
        let path = self.password_file();
        let password = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
        let mut command = match find("openssl", "openssl") {
            Ok(openssl) => {
                let mut command = Command::new(openssl);
                command.args(["passwd", "-6", "-stdin"]);
                command
            }
            Err(_) => {
                let mut command = Command::new(find("busybox", "busybox-static")?);
                command.args(["mkpasswd", "-m", "sha512", "-P", "0"]);
                command
            }
        };
        let program = Path::new(command.get_program()).display().to_string();
        let failed = |detail: String| LabError::Program { program: program.clone(), detail };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(format!("{}\n", password.trim()).as_bytes()).map_err(|error| failed(error.to_string()))?;
        }
        let done = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        let hash = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        if !done.status.success() || !hash.starts_with("$6$") {
            return Err(failed("no hash came out".to_owned()));
        }
        Ok(hash)
    }

    /// Writes known_hosts and ssh_config for the hosts.
    pub(crate) fn write_client_files(&self, lab: &LabSpec) -> Result<(), LabError> {
        let mut known = String::new();
        let mut config = String::from("# ssh -F this-file HOST\n");
        for host in &lab.hosts {
            let path = self.host(&host.name).host_key().with_extension("pub");
            let key = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
            let key: Vec<&str> = key.split_whitespace().take(2).collect();
            known.push_str(&format_args!("[{}]:{} {}\n", host.address, host.port, key.join(" ")).to_string());
            config.push_str(
                &format_args!(
                    "Host {}\n  HostName {}\n  Port {}\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n",
                    host.name,
                    host.address,
                    host.port,
                    self.key().display(),
                    self.known_hosts().display(),
                )
                .to_string(),
            );
        }
        fs::write(self.known_hosts(), known).map_err(LabError::file("write", &self.known_hosts()))?;
        fs::write(self.ssh_config(), config).map_err(LabError::file("write", &self.ssh_config()))
    }
}

/// Paths of one host on this machine.
#[derive(Debug, Clone)]
pub(crate) struct HostFolder {
    root: PathBuf,
}

impl HostFolder {
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A tmpfs of the host's disk size.
    pub(crate) fn disk(&self) -> PathBuf {
        self.root.join("disk")
    }

    /// The layer that the host writes to.
    pub(crate) fn upper(&self) -> PathBuf {
        self.disk().join("upper")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.disk().join("work")
    }

    /// What fills the disk: beside the layer, since a layer in use may not be touched from outside.
    pub(crate) fn ballast(&self) -> PathBuf {
        self.disk().join("ballast")
    }

    pub(crate) fn mount_point(&self) -> PathBuf {
        self.root.join("root")
    }

    /// The process id of the host's init, as this machine counts, and its start time (against reuse).
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.root.join("pid")
    }

    /// The same of the process that holds its mounts.
    pub(crate) fn outer_file(&self) -> PathBuf {
        self.root.join("outer")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(crate) fn host_key(&self) -> PathBuf {
        self.root.join("host_key")
    }
}

/// Mounts a tmpfs of so many MiB at most, unless there is one already.
pub(crate) fn mount_tmpfs(path: &Path, mib: u32) -> Result<(), LabError> {
    fs::create_dir_all(path).map_err(LabError::file("create", path))?;
    let device = |path: &Path| path.metadata().map(|data| std::os::unix::fs::MetadataExt::dev(&data)).ok();
    if path.parent().is_some_and(|parent| device(parent) != device(path)) {
        return Ok(());
    }
    let data = std::ffi::CString::new(format!("size={mib}m,mode=755")).unwrap_or_default();
    rustix::mount::mount("stagger-lab", path, "tmpfs", MountFlags::empty(), data.as_c_str())
        .map_err(|error| LabError::Refused { what: format!("a tmpfs on {}", path.display()), source: error.into() })
}

/// An ed25519 key pair, unless it is there.
pub(crate) fn make_key(path: &Path, comment: &str) -> Result<(), LabError> {
    if path.exists() {
        return Ok(());
    }
    let program = find("ssh-keygen", "openssh-client")?;
    output_of(Command::new(program).args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]).arg(path)).map(drop)
}
