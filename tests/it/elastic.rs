//! Real Elasticsearch nodes on rehearsal hosts, rolled by the playbook while a client writes and reads. The servers come from Maven
//! Central, once, into `target/elastic`.

#![allow(clippy::format_push_string, reason = "a test is in no hurry")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::hermetic::{Place, Said, wait};
use super::rehearsal::as_root;

/// A node's heap: small, and enough for what is tested.
const HEAP: &str = "256m";

fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/elastic")
}

/// The folder of a version, fetched and unpacked the first time.
fn server(version: &str) -> PathBuf {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = cache().join(format!("elasticsearch-{version}"));
    if folder.join("bin").exists() {
        return folder;
    }
    let whole = matches!(version.split('.').next(), Some("5")) || version.starts_with("6.2.");
    let group = if whole { "zip" } else { "integ-test-zip" };
    let artifact = format!("org.elasticsearch.distribution.{group}:elasticsearch:{version}:zip");
    let zips = cache().join("zip");
    run(Command::new("mvn")
        .args(["-q", "-B", "dependency:copy", &format!("-Dartifact={artifact}")])
        .arg(format!("-DoutputDirectory={}", zips.display())));
    let fresh = tempfile::tempdir_in(cache()).expect("a folder");
    run(Command::new("unzip")
        .arg("-q")
        .arg(zips.join(format!("elasticsearch-{version}.zip")))
        .arg("-d")
        .arg(fresh.path()));
    let unpacked = fresh.path().join(format!("elasticsearch-{version}"));
    std::fs::create_dir_all(unpacked.join("plugins")).expect("a folder");
    run(Command::new("sh").arg("-c").arg("chmod -R a+rX \"$0\" && chmod a+x \"$0\"/bin/*").arg(&unpacked));
    std::fs::rename(unpacked, &folder).expect("moved");
    folder
}

#[track_caller]
fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [done.stdout.as_slice(), done.stderr.as_slice()].map(String::from_utf8_lossy).concat();
    assert!(done.status.success(), "{command:?}: {text}");
}

/// Java 17: what Debian has, or what PATH leads to.
fn java() -> String {
    let there = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().filter_map(Result::ok);
    let mut homes: Vec<PathBuf> =
        there.map(|entry| entry.path()).filter(|path| path.join("bin/java").exists()).collect();
    homes.sort();
    let fits = homes.iter().find(|path| path.to_string_lossy().contains("17"));
    fits.unwrap_or_else(|| panic!("no Java 17 in /usr/lib/jvm: {homes:?} (package openjdk-17-jre-headless)"))
        .display()
        .to_string()
}

/// Nodes, one a host: `n1` to `n3`.
struct Nodes {
    held: tempfile::TempDir,
    net: u32,
}

const NAMES: &[&str] = &["n1", "n2", "n3"];

impl Nodes {
    /// Hosts without Elasticsearch.
    fn hosts(block: u32) -> Self {
        let held = tempfile::tempdir().expect("a folder");
        let nodes = Self { held, net: block * 50 + std::process::id() % 50 };
        std::fs::write(nodes.held.path().join("hosts.yml"), nodes.inventory("")).expect("an inventory");
        let inventory = nodes.held.path().join("hosts.yml").display().to_string();
        let up = nodes.lab(&["up", "-i", &inventory]);
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        nodes
    }

    fn lab(&self, words: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stagger"));
        command.args(["lab", "--dir"]).arg(self.held.path().join("lab")).args(words).output().expect("stagger runs")
    }

    fn address(&self, name: &str) -> String {
        let last = NAMES.iter().position(|node| *node == name).expect("a node") + 1;
        format!("127.86.{}.{last}", self.net)
    }

    fn inventory(&self, more: &str) -> String {
        let folder = self.held.path().join("lab").display().to_string();
        let hosts: String =
            NAMES.iter().map(|name| format!("        {name}: {{ansible_host: {}}}\n", self.address(name))).collect();
        format!(
            "all:\n  vars:\n    lab_disk_mib: 2048\n    ansible_port: 2222\n    ansible_user: root\n    ansible_ssh_private_key_file: {folder}/id_ed25519\n    ansible_ssh_common_args: -o UserKnownHostsFile={folder}/known_hosts\n{more}  children:\n    elasticsearch:\n      hosts:\n{hosts}"
        )
    }

    /// Runs a script as root on a host.
    #[track_caller]
    fn on(&self, host: &str, script: &str) -> String {
        as_root(&self.held.path().join("lab"), host, script)
    }

    /// Sends a folder of this machine: a host has folders of its own in some places.
    fn send(&self, host: &str, folder: &Path, to: &str) {
        let config = self.held.path().join("lab/ssh_config");
        let script = "tar -C \"$1\" -cf - . | ssh -F \"$2\" -o BatchMode=yes -l root \"$3\" \"mkdir -p '$4' && tar -C '$4' -xf -\"";
        run(Command::new("sh").args(["-c", script, "send"]).arg(folder).arg(config).args([host, to]));
    }

    /// The settings of a node, in the words of its version.
    fn config(&self, name: &str, version: &str, first: bool) -> String {
        let major: u32 = version.split('.').next().and_then(|text| text.parse().ok()).expect("a version");
        let all: Vec<String> = NAMES.iter().map(|name| format!("\"{}\"", self.address(name))).collect();
        let all = all.join(", ");
        let mut text = format!(
            "cluster.name: lab\nnode.name: {name}\nnetwork.host: {}\nhttp.port: 9200\npath.data: /srv/es/data\npath.logs: /srv/es/logs\ncluster.routing.allocation.disk.threshold_enabled: false\n",
            self.address(name)
        );
        if major <= 6 {
            text.push_str(&format!(
                "discovery.zen.ping.unicast.hosts: [{all}]\ndiscovery.zen.minimum_master_nodes: 2\n"
            ));
        } else {
            text.push_str(&format!("discovery.seed_hosts: [{all}]\n"));
            if first {
                text.push_str("cluster.initial_master_nodes: [n1, n2, n3]\n");
            }
            if server(version).join("modules/x-pack-security").exists() {
                text.push_str("xpack.security.enabled: false\n");
            }
        }
        text
    }

    /// What starts a node: as an own user, in the background.
    fn start_command() -> String {
        let java = java();
        format!(
            "cd /srv/es && exec setsid su -s /bin/sh esnode -c 'JAVA_HOME={java} ES_JAVA_HOME={java} ES_TMPDIR=/srv/es/tmp ES_PATH_CONF=/srv/es/config /srv/es/home/bin/elasticsearch -d -p /srv/es/pid' </dev/null >>/srv/es/logs/start.log 2>&1"
        )
    }

    /// A cluster of three on a version.
    fn up(block: u32, version: &str) -> Self {
        let from = server(version);
        let nodes = Self::hosts(block);
        for name in NAMES {
            let config = nodes.config(name, version, true);
            nodes.send(name, &from, "/srv/es/old");
            nodes.on(
                name,
                &format!(
                    "set -e; id esnode >/dev/null 2>&1 || useradd -r -M -s /bin/sh esnode; cd /srv/es; mkdir -p data logs tmp; cp -r old/config config; ln -sfn /srv/es/old home; printf -- '-Xms{HEAP}\\n-Xmx{HEAP}\\n-XX:+UseSerialGC\\n' >config/jvm.options; cat >config/elasticsearch.yml <<'END'\n{config}END\nchown -R esnode /srv/es"
                ),
            );
        }
        for name in NAMES {
            nodes.on(name, &Self::start_command());
        }
        wait("three nodes", 120, || {
            let health = nodes.get("n1", "/_cluster/health");
            health.contains("\"number_of_nodes\":3").then_some(())
        });
        nodes
    }

    fn ask(&self, node: &str, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
        request(&self.address(node), method, path, body)
    }

    /// The body of a GET, empty when there is none.
    fn get(&self, node: &str, path: &str) -> String {
        self.ask(node, "GET", path, "").map(|(_, body)| body).unwrap_or_default()
    }

    #[track_caller]
    fn put(&self, node: &str, path: &str, body: &str) {
        let (status, said) = self.ask(node, "PUT", path, body).expect("an answer");
        assert!(matches!(status, 200 | 201), "{path}: {status} {said}");
    }

    fn versions(&self) -> Vec<String> {
        let one = |name: &&str| {
            let body: serde_json::Value =
                serde_json::from_str(&self.get(name, "/_nodes/_local/no-metrics")).unwrap_or_default();
            let node = body["nodes"].as_object().and_then(|nodes| nodes.values().next()).cloned().unwrap_or_default();
            node["version"].as_str().unwrap_or("down").to_owned()
        };
        NAMES.iter().map(one).collect()
    }

    /// Whether shards are allocated as ever: nothing in either scope.
    fn settings(&self) -> String {
        NAMES.iter().map(|name| self.get(name, "/_cluster/settings")).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// A place to run the playbook in.
    fn place(&self, to: &str) -> Place {
        let place = Place::new();
        let folder = server(to);
        let start = serde_json::to_string(&Self::start_command()).expect("text");
        let more = format!(
            "    elastic_to: {to}\n    elastic_release: {}\n    elastic_release_strip: 0\n    elastic_home: /srv/es/home\n    elastic_config: /srv/es/config/elasticsearch.yml\n    elastic_java_home: {}\n    elastic_pid_file: /srv/es/pid\n    elastic_start_command: {start}\n    elastic_logs: [/srv/es/logs/lab.log, /srv/es/logs/start.log]\n    elastic_may_be_out: [r0]\n",
            folder.display(),
            java()
        );
        place.write("hosts.yml", &self.inventory(&more));
        place
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.lab(&["down"]);
    }
}

fn playbook() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks/elasticsearch/rolling-upgrade.yml").display().to_string()
}

/// One request over a connection of its own.
fn request(address: &str, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
    let at = (address, 9200).to_socket_addrs().map_err(|e| e.to_string())?.next().ok_or("no address")?;
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(2)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(|error| error.to_string())?;
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said).map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let status =
        said.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| format!("no answer: {said}"))?;
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok((status, if chunked { unchunked(body) } else { body.to_owned() }))
}

fn unchunked(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Some(part) =
            usize::from_str_radix(size.trim(), 16).ok().filter(|size| *size > 0).and_then(|size| after.get(..size))
        else {
            break;
        };
        whole.push_str(part);
        rest = after.get(part.len() + 2..).unwrap_or_default();
    }
    whole
}

/// A client that writes and reads all the time, round all nodes, and a look at how many of them are out.
struct Client {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeMap<String, Vec<usize>>>>,
    fewest: Arc<AtomicUsize>,
    refused: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Client {
    fn start(nodes: &Nodes) -> Self {
        let addresses: Vec<String> = NAMES.iter().map(|name| nodes.address(name)).collect();
        let mut client = Self {
            stop: Arc::default(),
            acknowledged: Arc::default(),
            fewest: Arc::new(AtomicUsize::new(NAMES.len())),
            refused: Arc::default(),
            threads: Vec::new(),
        };
        for index in ["r1", "r2"] {
            let (stop, acknowledged, refused) =
                (Arc::clone(&client.stop), Arc::clone(&client.acknowledged), Arc::clone(&client.refused));
            let addresses = addresses.clone();
            client.threads.push(std::thread::spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::SeqCst) {
                    // Many writes, and cores left for what is tested.
                    std::thread::park_timeout(Duration::from_millis(5));
                    number += 1;
                    let path = format!("/{index}/_doc/{number}");
                    // A client goes on to the next node when one does not answer; what no node takes is an outage.
                    let tried = addresses.iter().cycle().skip(number).take(addresses.len());
                    let answers: Vec<_> = tried
                        .map(|address| request(address, "PUT", &path, "{\"n\":1}"))
                        .scan(false, |over, answer| {
                            let last = *over;
                            *over = matches!(answer, Ok((200 | 201, _)));
                            (!last).then_some(answer)
                        })
                        .collect();
                    if matches!(answers.last(), Some(Ok((200 | 201, _)))) {
                        let mut all = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                        all.entry(index.to_owned()).or_default().push(number);
                    } else {
                        refused.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{path}: {answers:?}"));
                    }
                }
            }));
        }
        let (stop, fewest) = (Arc::clone(&client.stop), Arc::clone(&client.fewest));
        client.threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let up =
                    addresses.iter().filter(|address| TcpStream::connect((address.as_str(), 9200)).is_ok()).count();
                fewest.fetch_min(up, Ordering::SeqCst);
                std::thread::park_timeout(Duration::from_millis(50));
            }
        }));
        client
    }

    /// Ends it; every write that was acknowledged is read back. Gives how many there were.
    fn end(mut self, nodes: &Nodes) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().expect("the client");
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(refused.is_empty(), "writes that no node took: {} of them: {:?}", refused.len(), refused.first());
        let fewest = self.fewest.load(Ordering::SeqCst);
        assert!(fewest >= NAMES.len() - 1, "{fewest} of {} nodes were up at once", NAMES.len());
        let all = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0;
        for (index, numbers) in all.iter() {
            nodes.ask("n1", "POST", &format!("/{index}/_refresh"), "").expect("a refresh");
            for number in numbers {
                let (status, said) = nodes.ask("n1", "GET", &format!("/{index}/_doc/{number}"), "").expect("an answer");
                assert_eq!(status, 200, "{index} {number} was acknowledged and is lost: {said}");
                count += 1;
            }
        }
        count
    }
}

/// Indices with no, one and two replicas.
fn indices(nodes: &Nodes) {
    for (index, shards, replicas) in [("r0", 2, 0), ("r1", 2, 1), ("r2", 1, 2)] {
        let body = format!("{{\"settings\":{{\"number_of_shards\":{shards},\"number_of_replicas\":{replicas}}}}}");
        nodes.put("n1", &format!("/{index}"), &body);
        for number in 1..=20 {
            nodes.put("n1", &format!("/{index}/_doc/first-{number}"), "{\"n\":0}");
        }
    }
    green(nodes);
}

fn green(nodes: &Nodes) {
    wait("green", 120, || nodes.get("n1", "/_cluster/health").contains("\"status\":\"green\"").then_some(()));
}

#[track_caller]
fn good(said: &Said) {
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

#[test]
fn three_real_nodes_go_from_6_8_to_7_17_and_no_acknowledged_write_is_lost() {
    let nodes = Nodes::up(0, "6.8.23");
    indices(&nodes);
    let preview = nodes.place("7.17.29").call("stagger", &["run", &playbook(), "-i", "hosts.yml", "--check", "--diff"]);
    good(&preview);
    assert!(preview.out.contains("set shard allocation from all (not set) to primaries"), "{}", preview.out);
    assert_eq!(nodes.versions(), ["6.8.23", "6.8.23", "6.8.23"]);

    let hops = nodes
        .place("7.17.29")
        .call("stagger", &["upgrade", "elasticsearch", "--to", "8.17.0", "-i", "hosts.yml", "--plan"]);
    good(&hops);
    assert!(
        hops.out.contains("6.8.23 runs on n1, n2, n3\nto 8.17.0 in 2 hops:\n  1. to 7.17.29\n  2. to 8.17.0\n"),
        "{}",
        hops.out
    );
    assert!(hops.out.contains("r1 (made by 6.x)"), "{}", hops.out);

    // Killed with allocation off: it is back when the run is given up, and when it is gone on with.
    let killed = |at: &str| {
        let place = nodes.place("7.17.29");
        let mut run = place.start("stagger", &["run", &playbook(), "-i", "hosts.yml"]);
        run.until_journal(at, &place);
        run.signal("KILL");
        run.end(30);
        wait("allocation off", 10, || nodes.settings().contains("primaries").then_some(()));
        place
    };
    let given_up = killed("flush all indices");
    good(&given_up.call("stagger", &["abort"]));
    assert!(!nodes.settings().contains("enable"), "{}", nodes.settings());
    let place = killed("flush all indices");
    let client = Client::start(&nodes);
    let began = Instant::now();
    let said = place.call("stagger", &["resume", "--redo-unknown"]);
    good(&said);
    let took = began.elapsed();
    assert_eq!(nodes.versions(), ["7.17.29", "7.17.29", "7.17.29"]);
    assert!(!nodes.settings().contains("enable"), "{}", nodes.settings());
    green(&nodes);
    let count = client.end(&nodes);
    assert!(count > 3000, "{count} acknowledged writes in {} s", took.as_secs());
    let again = place.call("stagger", &["run", &playbook(), "-i", "hosts.yml"]);
    good(&again);
    assert!(again.out.contains("changed=0"), "{}", again.out);
}
