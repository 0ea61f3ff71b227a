//! Real sshd servers for tests: on a free loopback port, with throw-away keys, in a folder that is removed afterwards.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use super::{Options, Target};
use crate::base::{Output, Script};

/// A running sshd.
pub(crate) struct Server {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    child: Child,
}

/// The shells that a host may have.
pub(crate) const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];

/// Starts a script in a shell of this machine, with its output in pipes.
pub(crate) fn begin(shell: &[&str], script: &Script) -> Child {
    let (program, first) = shell.split_first().unwrap();
    Process::new(program)
        .args(first)
        .args(["-c", script.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The end of such a script.
pub(crate) fn end(child: Child) -> Output {
    let done = child.wait_with_output().unwrap();
    Output { status: done.status.code().unwrap(), stdout: done.stdout, stderr: done.stderr, ..Output::default() }
}

/// Runs a program to its end; the test fails when it fails.
pub(crate) fn must(program: &str, arguments: &[&str]) {
    let output = Process::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A folder that sshd trusts: root's, and not writable for others on the whole way up.
pub(crate) fn trusted_folder() -> tempfile::TempDir {
    let home = std::env::var("HOME").expect("HOME");
    let folder = tempfile::Builder::new().prefix(".stagger-test-").tempdir_in(home).expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    folder
}

/// A free port of the loopback interface.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port()
}

/// A port where nobody listens and nobody else can begin to while the socket is held: connections to it are refused.
pub(crate) fn refusing_port() -> (tokio::net::TcpSocket, u16) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let port = socket.local_addr().expect("its number").port();
    (socket, port)
}

impl Server {
    /// Starts sshd with these further options (`Key=value`).
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_in(trusted_folder(), free_port(), options, None)
    }

    /// Starts sshd where a shell text has prepared users and files that this machine does not have.
    ///
    /// In the text `$folder` is the server's folder, and `/etc` may be written.
    pub(crate) fn start_prepared(options: &[&str], prepare: &str) -> Self {
        let folder = trusted_folder();
        let text = format!(
            "folder={0}; mkdir $folder/over; mount -t tmpfs -o mode=755 tmpfs $folder/over; mkdir $folder/over/up $folder/over/work; \
             mount -t overlay overlay -o lowerdir=/etc,upperdir=$folder/over/up,workdir=$folder/over/work /etc; {prepare}",
            folder.path().display()
        );
        Self::start_in(folder, free_port(), options, Some(&text))
    }

    /// Starts sshd in a folder that may hold keys from before.
    pub(crate) fn start_in(folder: tempfile::TempDir, port: u16, options: &[&str], prepare: Option<&str>) -> Self {
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["host", "user"] {
            if !Path::new(&path(name)).exists() {
                must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path(name)]);
            }
        }
        if !Path::new(&path("authorized")).exists() {
            fs::copy(path("user.pub"), path("authorized")).expect("authorized keys");
        }
        // sshd wants its folder for unprivileged children, which a machine that never ran it lacks.
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::create(path("log")).expect("a log");
        let mut command = match prepare {
            // A mount namespace of its own: what is prepared there is nowhere else, and gone with it.
            Some(prepare) => {
                let mut command = Process::new("unshare");
                let text = format!("set -e; mount --make-rprivate /; {prepare}; exec /usr/sbin/sshd \"$@\"");
                command.args(["--mount", "sh", "-c", &text, "sh"]);
                command
            }
            None => Process::new("/usr/sbin/sshd"),
        };
        command.args(["-D", "-e", "-f", "/dev/null", "-h", &path("host"), "-p", &port.to_string()]);
        for option in options.iter().copied().chain([
            "ListenAddress=127.0.0.1",
            "UsePAM=no",
            "PermitRootLogin=yes",
            "UseDNS=no",
            "PidFile=none",
            "PasswordAuthentication=no",
            "KbdInteractiveAuthentication=no",
            "LogLevel=VERBOSE",
            "MaxStartups=100",
        ]) {
            // sshd takes the last MaxStartups, and the first of everything else.
            if option != "MaxStartups=100" || !options.iter().any(|o| o.starts_with("MaxStartups")) {
                command.args(["-o", option]);
            }
        }
        command.args(["-o", &format!("AuthorizedKeysFile={}", path("authorized"))]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.unwrap_or_else(|error| panic!("these tests need openssh-server: {error}"));
        let mut server = Self { folder, port, child };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = server.log();
            if log.contains("Server listening") {
                break;
            }
            let ended = server.child.try_wait().expect("its state");
            assert!(ended.is_none() && Instant::now() < deadline, "sshd did not start: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
        server.know_host("host");
        server
    }

    /// Writes the known_hosts file with one of the folder's public keys.
    pub(crate) fn know_host(&self, key: &str) {
        self.know_host_at(key, self.port);
    }

    /// The same for another port that leads to it.
    pub(crate) fn know_host_at(&self, key: &str, port: u16) {
        let text = fs::read_to_string(self.path(&format!("{key}.pub"))).expect("a public key");
        fs::write(self.path("known_hosts"), format!("[127.0.0.1]:{port} {text}")).expect("known_hosts");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Nothing of this machine's user: neither configuration nor agent.
    pub(crate) fn options(&self) -> Options {
        Options {
            config_files: vec![self.path("config")],
            known_hosts: vec![self.path("known_hosts")],
            global_known_hosts: Vec::new(),
            agent: None,
            ..Options::default()
        }
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            address: Some("127.0.0.1".to_owned()),
            port: Some(self.port),
            user: Some("root".to_owned()),
            private_key: Some(self.path("user").display().to_string()),
            ..Target::named("host")
        }
    }

    /// The processes that serve connections.
    pub(crate) fn children(&self) -> Vec<u32> {
        children_of(self.child.id())
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

/// The children of a process, and theirs.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        let above =
            stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).and_then(|p| p.parse::<u32>().ok());
        if above == Some(parent) {
            found.push(process);
            found.extend(children_of(process));
        }
    }
    found
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(process: u32, name: &str) {
    must("kill", &[&format!("-{name}"), &process.to_string()]);
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in self.children() {
            let _ = Process::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
