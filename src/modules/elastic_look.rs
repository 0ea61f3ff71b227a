//! What the Elasticsearch modules ask of a cluster, and what comes back: who is master by the word of several nodes, and then nodes,
//! health, settings and shards of one look, from one node that has that master.
//!
//! Not a module itself. Every question goes to a node over HTTP, through its own host where this machine can't reach it. None is
//! about `local=true`. It asks up to [`SPEAKERS`] nodes who is master, this host's own among them: two that name different masters are
//! two clusters.

use std::time::Duration;

use super::{Answer, Arguments, Controller, Failure, Folder, HttpRequest, Opt, OptKind, Question, Tls, to_bool};
use crate::base::{Secret, Value, to_text};
use crate::cluster::elastic::{
    Cluster, Copy, Explanation, Health, Node, Nodes, Settings, Version, failure_text, parse_explanation, parse_health,
    parse_master, parse_nodes, parse_settings, parse_shards,
};

/// How many nodes are asked who is master.
const SPEAKERS: usize = 5;

/// How many copies without a node are asked about in one look.
const EXPLAINED: usize = 50;

/// How long a look at a node may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Options that all of them have; what is not given is the host's variable `elastic_…` of that name.
pub(super) const GROUP: Opt =
    Opt::new("group", OptKind::Text, "the group of the Elasticsearch nodes").default("elasticsearch");
/// See [`GROUP`].
pub(super) const NODE: Opt =
    Opt::new("node", OptKind::Text, "node.name of this host's node, if it is not to be found by its address");
/// See [`GROUP`].
pub(super) const USER: Opt = Opt::new("user", OptKind::Text, "user for basic authentication");
/// See [`GROUP`].
pub(super) const PASSWORD: Opt =
    Opt::new("password", OptKind::Text, "password for it; better the variable elastic_password");
/// See [`GROUP`].
pub(super) const API_KEY: Opt =
    Opt::new("api_key", OptKind::Text, "API key (base64 of id:key); better the variable elastic_api_key");
/// See [`GROUP`].
pub(super) const SCHEME: Opt = Opt::new("scheme", OptKind::Choice(&["http", "https"]), "how nodes are asked");
/// See [`GROUP`].
pub(super) const CA_PATH: Opt =
    Opt::new("ca_path", OptKind::LocalPath, "certificates trusted instead of this machine's: PEM, file or folder");
/// See [`GROUP`].
pub(super) const VALIDATE: Opt =
    Opt::new("validate_certs", OptKind::Bool, "whether a node's certificate must be one that is trusted");

/// A module's options: its own, and those that say how the cluster is asked (see [`GROUP`]).
macro_rules! with_ring {
    ($($own:expr),* $(,)?) => {{
        use crate::modules::elastic_look as look;
        &[
            $($own,)*
            look::GROUP,
            look::NODE,
            look::USER,
            look::PASSWORD,
            look::API_KEY,
            look::SCHEME,
            look::CA_PATH,
            look::VALIDATE,
        ]
    }};
}
pub(super) use with_ring;

/// A node of the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its inventory name.
    pub(super) host: String,
    address: String,
    port: u16,
}

impl Member {
    fn of(here: &dyn Controller, host: &str) -> Self {
        let text =
            |name: &str| here.variable_of(host, name).map(|value| to_text(&value)).filter(|text| !text.is_empty());
        Self {
            host: host.to_owned(),
            address: text("elastic_address").or_else(|| text("ansible_host")).unwrap_or_else(|| host.to_owned()),
            port: text("elastic_port").and_then(|text| text.parse().ok()).unwrap_or(9200),
        }
    }
}

impl Member {
    /// Whether it is reached on an address that only its host has.
    pub(super) fn is_loopback(&self) -> bool {
        self.address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The nodes of the inventory, and how they are asked.
#[derive(Clone)]
pub(super) struct Ring {
    /// All of them.
    pub(super) members: Vec<Member>,
    /// Those that are asked who is master, this host's own first.
    speakers: Vec<Member>,
    /// This host's `node.name`, as far as it was said.
    node: Option<String>,
    /// What was known of this host's node before.
    before: Option<String>,
    scheme: String,
    basic: Option<(String, Secret)>,
    api_key: Option<Secret>,
    tls: Tls,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("members", &self.members).field("node", &self.node).finish_non_exhaustive()
    }
}

impl Ring {
    /// From the options, and the host's variables.
    ///
    /// # Errors
    /// The group is empty, or this host is none of its nodes.
    pub(super) fn of(arguments: &Arguments, here: &dyn Controller) -> Result<Self, Failure> {
        let group = arguments.required("group");
        let hosts = here.group(&group).unwrap_or_default();
        let Some(own) = hosts.iter().position(|host| host == here.host()) else {
            let what = if hosts.is_empty() { "the inventory has no hosts in" } else { "this host is not in" };
            return Err(Failure::new(format!(
                "{what} the group `{group}`: name the group of the Elasticsearch nodes with `group`"
            )));
        };
        let members: Vec<Member> = hosts.iter().map(|host| Member::of(here, host)).collect();
        let speakers = members.iter().cycle().skip(own).take(members.len().min(SPEAKERS)).cloned().collect();
        let variable = |name: &str| here.variable(&format!("elastic_{name}")).filter(|value| !value.is_null());
        let text = |name: &str| {
            let given = arguments.text(name).or_else(|| variable(name).map(|value| to_text(&value)));
            given.filter(|text| !text.is_empty())
        };
        let verify = match arguments.value("validate_certs").cloned().or_else(|| variable("validate_certs")) {
            Some(value) => to_bool(&value).unwrap_or(true),
            None => true,
        };
        let authorities = text("ca_path").map(|path| here.find(Folder::Files, &path)).transpose()?;
        Ok(Self {
            members,
            speakers,
            node: text("node"),
            before: here
                .variable("elastic")
                .and_then(|facts| Some(to_text(facts.get("node")?)))
                .filter(|n| !n.is_empty()),
            scheme: text("scheme").unwrap_or_else(|| "http".to_owned()),
            basic: text("user").map(|user| (user, Secret::new(text("password").unwrap_or_default()))),
            api_key: text("api_key").map(Secret::new),
            tls: Tls { verify, authorities, client: None },
        })
    }

    /// A request to a node.
    pub(super) fn request(&self, member: &Member, method: &str, path: &str, body: Option<&Value>) -> HttpRequest {
        let address =
            if member.address.contains(':') { format!("[{}]", member.address) } else { member.address.clone() };
        let mut request = HttpRequest::get(format!("{}://{address}:{}{path}", self.scheme, member.port));
        method.clone_into(&mut request.method);
        if let Some(body) = body {
            // Without it 6.0 and later answer 406.
            request.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
            request.body = body.to_string().into_bytes();
        }
        if let Some(key) = &self.api_key {
            request.headers.push(("Authorization".to_owned(), format!("ApiKey {}", key.reveal())));
        } else {
            request.basic.clone_from(&self.basic);
        }
        request.tls = Box::new(self.tls.clone());
        request.timeout = PATIENCE;
        request
    }

    /// A GET of a node, through its own host if need be.
    pub(super) fn ask(&self, member: &Member, path: &str) -> Question {
        Question::Http { request: self.request(member, "GET", path, None), via: Some(member.host.clone()) }
    }

    /// This host's own node.
    pub(super) fn own(&self) -> Option<&Member> {
        self.speakers.first()
    }

    /// A node by its inventory name.
    pub(super) fn member(&self, host: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.host == host)
    }

    /// How many questions the first round has.
    pub(super) fn first_round(&self) -> usize {
        1 + self.speakers.len()
    }

    /// The questions of a look, round by round; empty when there are all answers that can be had. `from` is how many answers there
    /// were before those of this look.
    pub(super) fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        let first = self.first_round();
        if answers.is_empty() {
            let mut round: Vec<Question> =
                self.own().map(|own| self.ask(own, "/_nodes/_local/no-metrics")).into_iter().collect();
            round
                .extend(self.speakers.iter().map(|one| self.ask(one, "/_cluster/state/master_node?master_timeout=1s")));
            return round;
        }
        let Ok((speaker, _)) = self.speaker(answers) else { return Vec::new() };
        if answers.len() == first {
            return [
                "/_nodes/_all/no-metrics",
                "/_cluster/health?master_timeout=1s",
                "/_cluster/settings",
                "/_cat/shards?format=json&h=index,shard,prirep,state,node",
            ]
            .into_iter()
            .map(|path| self.ask(speaker, path))
            .collect();
        }
        if answers.len() == first + 4
            && let Ok(copies) = body(answers.get(first + 3)).and_then(|body| parse_shards(&body))
        {
            let waiting = copies.iter().filter(|copy| !copy.works() && !copy.primary).take(EXPLAINED);
            return waiting
                .map(|copy| {
                    let asked = serde_json::json!({"index": copy.index, "shard": copy.shard, "primary": false});
                    let request = self.request(speaker, "POST", "/_cluster/allocation/explain", Some(&asked));
                    Question::Http { request, via: Some(speaker.host.clone()) }
                })
                .collect();
        }
        Vec::new()
    }

    /// The node that is believed, and the master that it has.
    ///
    /// # Errors
    /// No node has a master, or two have different ones.
    fn speaker(&self, answers: &[Answer]) -> Result<(&Member, String), String> {
        let mut named: Vec<(&Member, String)> = Vec::new();
        let mut silent = Vec::new();
        for (place, member) in self.speakers.iter().enumerate() {
            match body(answers.get(1 + place)).and_then(|body| parse_master(&body)) {
                Ok(Some(master)) => named.push((member, master)),
                Ok(None) => silent.push(format!("{} has no master", member.host)),
                Err(why) => silent.push(format!("{}: {why}", member.host)),
            }
        }
        let Some((member, master)) = named.first() else {
            return Err(format!("no node says who is master: {}", silent.join("; ")));
        };
        match named.iter().find(|(_, other)| other != master) {
            Some((other, _)) => {
                Err(format!("{} and {} have different masters: there are two clusters", member.host, other.host))
            }
            None => Ok((member, master.clone())),
        }
    }

    /// This host's own node by its own word; `None` when it does not answer.
    pub(super) fn local(&self, answers: &[Answer]) -> Option<Node> {
        let nodes = body(answers.first()).and_then(|body| parse_nodes(&body)).ok()?;
        nodes.list.into_iter().next()
    }

    /// What all answers of a look come to.
    ///
    /// # Errors
    /// There are not enough: why.
    pub(super) fn seen(&self, answers: &[Answer]) -> Result<Seen, String> {
        // What it is that answers matters more than that it has no master.
        if let Ok(body) = body(answers.first()) {
            parse_nodes(&body)?;
        }
        let (speaker, elected) = self.speaker(answers)?;
        let first = self.first_round();
        let at = |place: usize| body(answers.get(first + place)).map_err(|why| format!("{}: {why}", speaker.host));
        let nodes = parse_nodes(&at(0)?)?;
        let local = self.local(answers);
        Ok(Seen {
            own: self.own_name(&nodes, local.as_ref()),
            local,
            speaker: speaker.host.clone(),
            health: parse_health(&at(1)?)?,
            settings: parse_settings(&at(2)?)?,
            copies: parse_shards(&at(3)?)?,
            explained: answers
                .iter()
                .skip(first + 4)
                .filter_map(|answer| parse_explanation(&body(Some(answer)).ok()?).ok())
                .collect(),
            nodes,
            elected,
        })
    }

    /// The name of this host's node: said, by its own word, by the facts of before, or by its address.
    fn own_name(&self, nodes: &Nodes, local: Option<&Node>) -> Option<String> {
        let by_address = || {
            let own = self.own()?;
            let mut there = nodes.list.iter().filter(|node| node.ip == own.address || node.name == own.host);
            there.next().filter(|_| there.next().is_none()).map(|node| node.name.clone())
        };
        self.node
            .clone()
            .or_else(|| local.map(|node| node.name.clone()))
            .or_else(|| self.before.clone())
            .or_else(by_address)
    }
}

/// A cluster in one look.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The host whose node was believed.
    pub(super) speaker: String,
    /// The name of this host's node.
    pub(super) own: Option<String>,
    /// This host's node by its own word.
    pub(super) local: Option<Node>,
    /// All nodes.
    pub(super) nodes: Nodes,
    /// The id of the master.
    pub(super) elected: String,
    /// The health.
    pub(super) health: Health,
    /// The settings.
    pub(super) settings: Settings,
    /// All copies.
    pub(super) copies: Vec<Copy>,
    /// Why those without a node have none.
    pub(super) explained: Vec<Explanation>,
}

impl Seen {
    /// For the verdicts.
    pub(super) fn cluster(&self) -> Cluster<'_> {
        Cluster {
            nodes: &self.nodes,
            elected: Some(&self.elected),
            health: &self.health,
            settings: &self.settings,
            copies: &self.copies,
            explained: &self.explained,
        }
    }
}

/// The body of an answer of 200, or 408 for a health that was waited for.
pub(super) fn body(answer: Option<&Answer>) -> Result<Vec<u8>, String> {
    match answer {
        Some(Answer::Http(Ok(response))) if response.status == 200 => Ok(response.body.clone()),
        Some(Answer::Http(Ok(response))) => Err(failure_text(response.status, &response.body)),
        Some(Answer::Http(Err(why))) => Err(why.clone()),
        _ => Err("was not asked".to_owned()),
    }
}

/// The version that the option `version` says.
///
/// # Errors
/// It isn't one.
pub(super) fn version_option(arguments: &Arguments) -> Result<Version, Failure> {
    Version::parse(&arguments.required("version")).map_err(Failure::new)
}

/// Checks the option `version` where it is written out.
pub(super) fn check_version(arguments: &Arguments) -> Result<(), String> {
    match arguments.text("version").filter(|text| !text.contains("{{")) {
        Some(text) => Version::parse(&text).map(|_| ()),
        None => Ok(()),
    }
}
