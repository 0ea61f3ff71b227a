//! Real ZooKeeper, Debian's, as an ensemble on the hosts that are its members.

use std::path::Path;

use super::error::LabError;
use super::program::find;
use super::spec::{HostSpec, LabSpec};
use super::tree::Tree;

/// Jars: Debian's zookeeper.jar names all that it needs in its manifest, but for a logger.
const JARS: &[&str] = &["zookeeper", "slf4j-simple"];

/// What is missing on this machine for an ensemble.
pub(crate) fn check() -> Result<(), LabError> {
    find("java", "default-jre-headless")?;
    if Path::new("/usr/share/java/zookeeper.jar").exists() {
        return Ok(());
    }
    Err(LabError::Missing { program: "/usr/share/java/zookeeper.jar".to_owned(), package: "zookeeper" })
}

/// The tick in milliseconds: a session lasts from two to twenty ticks, and Mesos asks for 10 s.
fn tick(time: f64) -> u32 {
    // At most 2 s: ZooKeeper's default, which allows sessions from 4 to 40 s.
    ((2000.0 * time).clamp(50.0, 2000.0)) as u32
}

/// Writes the configuration of one member.
pub(crate) fn configure(lab: &LabSpec, host: &HostSpec, tree: &Tree) -> Result<(), LabError> {
    let ensemble = lab.ensemble();
    let mut config = format!(
        "tickTime={}\ninitLimit=50\nsyncLimit=20\ndataDir=/var/lib/zookeeper\nclientPort=2181\nclientPortAddress={}\n\
         admin.enableServer=false\n4lw.commands.whitelist=ruok,srvr,mntr\nmaxClientCnxns=0\nstandaloneEnabled=false\n\
         snapshot.sizeFactor=0\nforceSync=no\n",
        tick(lab.time),
        host.address
    );
    for (index, address) in ensemble.iter().enumerate() {
        config.push_str(&["server.", &(index + 1).to_string(), "=", &address.to_string(), ":2888:3888\n"].concat());
    }
    let own = ensemble.iter().position(|address| *address == host.address).unwrap_or_default() + 1;
    let jars: Vec<String> =
        JARS.iter().map(|jar| format!("/usr/share/java/{jar}.jar")).filter(|jar| Path::new(jar).exists()).collect();
    let defaults = format!(
        "CLASSPATH={}\nJAVA_OPTS=\"-Xmx64m -Xms16m -Xshare:auto -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Xss256k \
         -Dzookeeper.electionPortBindRetry=0 -Djava.net.preferIPv4Stack=true\"\n",
        jars.join(":")
    );
    tree.file("etc/zookeeper/zoo.cfg", config, 0o644)?;
    tree.file("etc/default/zookeeper", defaults, 0o644)?;
    tree.folder("var/lib/zookeeper", 0o755)?;
    tree.file("var/lib/zookeeper/myid", format!("{own}\n"), 0o644)
}
