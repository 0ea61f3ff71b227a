//! The modules of a hop on a rehearsal cluster, each by itself: what a preflight finds, and a scheduler linked anew.

use super::lab::wait;
use super::mesos::{Cluster, Ran};

const PREFLIGHT: &str = r#"
- hosts: masters:slaves
  become: true
  tasks:
    - mesos_preflight:
        to: 0.14.2
        master_flags: {roles: web}
        slave_flags: {checkpoint: true}
        binaries: {mesos-master: "{{ mesos_releases }}/0.14.2/mesos-master", mesos-slave: "{{ mesos_releases }}/0.14.2/mesos-slave"}
        within: 20s
"#;

const LINK: &str = r#"
- hosts: schedulers
  become: true
  tasks:
    - mesos_link:
        version: 0.14.2
        src: "{{ mesos_releases }}/0.14.2/libmesos"
        restart: service sleeper restart
        confirm: {checkpoint: true}
"#;

fn told(ran: &Ran) -> String {
    let events: Vec<String> = ran.events.iter().map(ToString::to_string).collect();
    format!("{}\n{}", events.join("\n"), ran.stderr)
}

#[test]
fn a_hop_is_looked_at_and_a_scheduler_linked_on_a_whole_cluster() {
    let cluster = Cluster::up(150, 1);
    let lab = &cluster.lab;
    let ran = cluster.run(PREFLIGHT, &[]);
    assert_eq!(ran.code, 0, "{}", told(&ran));

    // One server of ZooKeeper away is told; the rest is put right or wrong on the host that has it.
    lab.run("m3", "service zookeeper stop");
    let ran = cluster.run(PREFLIGHT, &["--limit", "m1,m2"]);
    assert!(ran.code == 0 && told(&ran).contains("2 of 3 ZooKeeper servers answer"), "{}", told(&ran));
    lab.run("m3", "service zookeeper start");

    lab.run(
        "s1",
        "mkdir -p /opt/stagger/mesos-slave/0.14.2; printf '#!/no/such/loader\\n' >/opt/stagger/mesos-slave/0.14.2/mesos-slave; \
         chmod 755 /opt/stagger/mesos-slave/0.14.2/mesos-slave; echo 1 >/etc/mesos-slave/webui_port",
    );
    let ran = cluster.run(PREFLIGHT, &[]);
    let text = told(&ran);
    assert_ne!(ran.code, 0, "{text}");
    assert!(text.contains("mesos-slave 0.14.2 has no flag `webui_port`"), "{text}");
    assert!(text.contains("/opt/stagger/mesos-slave/0.14.2/mesos-slave does not run here"), "{text}");
    lab.run("s1", "rm -r /opt/stagger /etc/mesos-slave/webui_port");

    let ids = || {
        let (_, state) = lab.leader()?;
        let active = state["frameworks"].as_array()?.iter().filter(|one| one["active"] == 1);
        Some(active.map(|one| one["id"].to_string()).collect::<Vec<_>>()).filter(|ids| !ids.is_empty())
    };
    let before = wait("a framework is active", 20, ids);
    let ran = cluster.run(LINK, &[]);
    assert_eq!(ran.code, 0, "{}", told(&ran));
    let programs = lab.run("f1", "readlink /proc/[0-9]*/exe | grep libmesos | sort -u");
    assert_eq!(programs.trim(), "/opt/stagger/libmesos/0.14.2/libmesos");
    let after = wait("the framework is back", 20, || ids().filter(|ids| *ids == before));
    assert_eq!(before, after);
    let again = cluster.run(LINK, &[]);
    let changed = again.events.iter().any(|event| event["status"] == "changed");
    assert!(again.code == 0 && !changed, "{}", told(&again));
}
