//! Playbooks from a seed, with what must hold for each of their plays.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::chance::Chance;

/// A secret that only `no_log` keeps out of sight.
pub(super) const HIDDEN: &str = "hush-4711";
/// A secret that the masker knows.
pub(super) const PASSWORD: &str = "pass-0815";

/// How many hosts a play may take out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// All at once.
    None,
    /// So many in a batch; who was lost in an earlier batch stays out.
    Serial(usize),
    /// So many at once, those included that were lost.
    Window(usize),
}

/// What must hold for a play.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) bound: Bound,
    /// What `serial_by` says of each host; empty without it.
    pub(super) groups: BTreeMap<String, String>,
}

/// A playbook, and what must hold.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) text: String,
    pub(super) hosts: Vec<String>,
    pub(super) plays: Vec<Facts>,
    pub(super) forks: usize,
    /// What it leaves does not depend on whether tasks failed in between.
    pub(super) converges: bool,
}

struct Writer<'a> {
    chance: &'a mut Chance,
    text: String,
    play: usize,
    task: usize,
    hosts: Vec<String>,
    notifies: bool,
    /// A task with `run_once` is done once in the whole play.
    alone: bool,
    converges: bool,
}

/// Writes a playbook.
pub(super) fn plan(chance: &mut Chance) -> Plan {
    let hosts: Vec<String> = (1..=chance.between(2, 6)).map(|number| format!("h{number}")).collect();
    let mut writer = Writer {
        text: String::new(),
        play: 0,
        task: 0,
        hosts: hosts.clone(),
        notifies: false,
        alone: false,
        converges: true,
        chance,
    };
    let count = writer.chance.between(1, 3);
    let plays = (0..count).map(|_| writer.play()).collect();
    let (text, converges) = (writer.text, writer.converges);
    Plan { text, hosts, plays, forks: usize::try_from(chance.between(1, 5)).unwrap_or(5), converges }
}

impl Writer<'_> {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn token(&mut self) -> String {
        self.task += 1;
        format!("p{}t{}.", self.play, self.task)
    }

    fn play(&mut self) -> Facts {
        let solo = self.chance.one_in(4);
        self.line("- hosts: all");
        let (bound, groups) = self.head(solo);
        self.notifies = self.chance.one_in(2);
        self.line("  tasks:");
        self.alone = matches!(bound, Bound::None | Bound::Window(_));
        let takes_out = bound != Bound::None && !solo;
        let some = self.chance.between(0, 2);
        (0..some).for_each(|_| self.task(4, false));
        if takes_out {
            self.line("    - sim_daemon: {name: service, state: stopped}");
            if self.chance.one_in(4) {
                self.line("      undo: {sim_daemon: {name: service, state: started}}");
            }
        } else if solo {
            self.line("    - sim_daemon: {name: solo, state: started}");
        }
        let some = self.chance.between(1, 4);
        (0..some).for_each(|_| self.task(4, true));
        if takes_out {
            self.line("    - sim_daemon: {name: service, state: started}");
        } else if solo {
            self.line("    - sim_daemon: {name: solo, state: stopped}");
        }
        if self.chance.one_in(3) {
            self.task(4, false);
        }
        if self.notifies {
            let token = self.token();
            self.line("  handlers:");
            self.line("    - name: again");
            self.line(&format!("      sim_daemon: {{name: other, state: restarted, token: {token}}}"));
        }
        self.play += 1;
        Facts { bound, groups }
    }

    fn head(&mut self, solo: bool) -> (Bound, BTreeMap<String, String>) {
        let all = self.hosts.len();
        let mut groups = BTreeMap::new();
        let most = usize::try_from(self.chance.between(1, 3)).unwrap_or(1);
        let bound = match self.chance.below(5) {
            _ if solo => Bound::Serial(1),
            0 => Bound::None,
            1 | 2 => Bound::Serial(most),
            _ => Bound::Window(most),
        };
        match bound {
            Bound::None => {}
            Bound::Serial(most) if most == 3 && self.chance.one_in(2) => self.line("  serial: [1, 3]"),
            Bound::Serial(most) => self.line(&format!("  serial: {most}")),
            Bound::Window(most) => self.line(&format!("  max_unavailable: {most}")),
        }
        if !solo && bound != Bound::None && self.chance.one_in(3) {
            let rack = |at: usize| if at.is_multiple_of(2) { "a" } else { "b" };
            groups = self.hosts.iter().enumerate().map(|(at, host)| (host.clone(), rack(at).to_owned())).collect();
            self.line("  serial_by: racks[inventory_hostname]");
        }
        if self.chance.one_in(4) {
            self.line("  order_by: ranks[inventory_hostname]");
        }
        if !solo {
            match self.chance.below(6) {
                0 => self.line("  max_fail: 1"),
                1 => self.line("  max_fail_percentage: 40"),
                2 => self.line("  any_errors_fatal: true"),
                _ => {}
            }
        }
        if self.chance.one_in(5) && all > 3 {
            self.line("  gate: [{sim_gate: {daemon: service, hosts: 1}}]");
            if self.chance.one_in(2) {
                self.line("  bake: 3s");
            }
        }
        let pairs = |value: &dyn Fn(usize) -> String| -> String {
            self.hosts
                .iter()
                .enumerate()
                .map(|(at, host)| format!("{host}: {}", value(at)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let racks = pairs(&|at| if at.is_multiple_of(2) { "a".to_owned() } else { "b".to_owned() });
        let ranks = pairs(&|at| ((at * 5 + 2) % 3).to_string());
        self.line("  vars:");
        self.line(&format!("    racks: {{{racks}}}"));
        self.line(&format!("    ranks: {{{ranks}}}"));
        self.line(&format!("    ansible_password: {PASSWORD}"));
        self.line(&format!("    hidden: {HIDDEN}"));
        (bound, groups)
    }

    fn notify(&mut self, indent: &str) {
        if self.notifies && self.chance.one_in(3) {
            self.line(&format!("{indent}  notify: again"));
        }
    }

    /// One task; `blocks` says whether it may be a block.
    fn task(&mut self, indent: usize, blocks: bool) {
        let pad = " ".repeat(indent);
        let token = self.token();
        match self.chance.below(if blocks { 12 } else { 9 }) {
            0 | 1 => {
                self.line(&format!("{pad}- sim_set: {{name: s-{token}, value: v-{token}}}"));
                self.notify(&pad);
            }
            2 | 3 => {
                self.line(&format!("{pad}- raw: sim-do {token}"));
                self.notify(&pad);
            }
            4 => {
                self.line(&format!("{pad}- raw: \"sim-do {token}{{{{ item }}}}\""));
                self.line(&format!("{pad}  loop: [a., b., c.]"));
                self.notify(&pad);
            }
            5 => {
                self.line(&format!("{pad}- sim_set: {{name: \"s-{token}{{{{ item }}}}\", value: x}}"));
                self.line(&format!("{pad}  loop: [1, 2]"));
            }
            6 => {
                let name = token.trim_end_matches('.').to_owned();
                self.line(&format!("{pad}- sim_set: {{name: s-{token}, value: new}}"));
                self.line(&format!("{pad}  register: {name}"));
                self.line(&format!("{pad}- sim_set: {{name: t-{token}, value: seen}}"));
                self.line(&format!("{pad}  when: {name} is changed"));
            }
            7 => {
                self.line(&format!("{pad}- raw: sim-do {}{token}", if self.alone { "one-" } else { "each-" }));
                self.line(&format!("{pad}  run_once: true"));
            }
            8 => {
                let (secret, no_log) =
                    if self.chance.one_in(2) { ("hidden", true) } else { ("ansible_password", false) };
                self.line(&format!("{pad}- sim_set: {{name: k-{token}, value: \"{{{{ {secret} }}}}\"}}"));
                if no_log {
                    self.line(&format!("{pad}  no_log: true"));
                }
            }
            9 => {
                self.line(&format!("{pad}- sim_set: {{name: tmp-{token}, value: \"off\"}}"));
                self.line(&format!("{pad}  undo: {{sim_set: {{name: tmp-{token}, value: \"on\"}}}}"));
                if self.chance.one_in(3) {
                    self.task(indent, false);
                    self.line(&format!("{pad}- meta: undo"));
                }
            }
            10 => {
                self.converges = false;
                self.line(&format!("{pad}- block:"));
                let some = self.chance.between(1, 2);
                (0..some).for_each(|_| self.task(indent + 4, false));
                self.line(&format!("{pad}  rescue:"));
                self.line(&format!("{pad}    - sim_set: {{name: rescued-{token}, value: x}}"));
            }
            _ => {
                self.line(&format!("{pad}- block:"));
                let some = self.chance.between(1, 2);
                (0..some).for_each(|_| self.task(indent + 4, false));
                self.line(&format!("{pad}  always:"));
                self.line(&format!("{pad}    - sim_set: {{name: always-{token}, value: x}}"));
            }
        }
    }
}

/// A small plan in which everything has its place.
pub(super) fn small() -> Plan {
    let mut text = String::new();
    let _ = write!(
        text,
        "- hosts: all\n  max_unavailable: 2\n  vars: {{ansible_password: {PASSWORD}, hidden: {HIDDEN}}}\n  tasks:\n    \
         - sim_daemon: {{name: service, state: stopped}}\n    - sim_set: {{name: a, value: b}}\n      notify: again\n    \
         - raw: \"sim-do x{{{{ item }}}}\"\n      loop: [1., 2.]\n    - sim_set: {{name: tmp-a, value: \"off\"}}\n      undo: {{sim_set: {{name: tmp-a, value: \"on\"}}}}\n    - raw: sim-do one-y.\n      run_once: true\n    \
         - sim_set: {{name: k, value: \"{{{{ hidden }}}}\"}}\n      no_log: true\n    \
         - sim_daemon: {{name: service, state: started}}\n  handlers:\n    - name: again\n      \
         sim_daemon: {{name: other, state: restarted, token: t.}}\n",
    );
    Plan {
        text,
        hosts: vec!["h1".to_owned(), "h2".to_owned(), "h3".to_owned()],
        plays: vec![Facts { bound: Bound::Window(2), groups: BTreeMap::new() }],
        forks: 5,
        converges: true,
    }
}
