//! `elastic_preflight`: whether an upgrade can be begun from this host's point of view. Changes nothing; all that is wrong is said at
//! once.
//!
//! It can't know: whether the new version runs on this host (stage it and ask it its version), whether there is a snapshot that can be
//! restored, and whether clients can follow.

use std::collections::BTreeMap;
use std::time::Duration;

use super::elastic_look::{Ring, Seen, body, check_version, version_option, with_ring};
use super::{
    Answer, Arguments, Bound, Controller, Failure, Folder, Gate, ModuleSpec, Opt, OptKind, Question, TemplateOptions,
    Timing, Verdict,
};
use crate::base::{Map, Output, Script, Value};
use crate::cluster::elastic::{
    Refusal, Stop, Version, distribution, java_variable, java_wanted, may_stop, parse_created, path, refused_product,
    removed_settings, rolls, settings_of_yaml, too_old, zen_quorum,
};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "elastic_preflight",
    aliases: &[],
    summary: "Checks that an Elasticsearch upgrade can begin: versions, nodes, indices, settings, Java, plugins",
    options: with_ring![
        Opt::new("version", OptKind::Text, "the version that is upgraded to").required(),
        Opt::new("config", OptKind::Path, "the elasticsearch.yml that the new version will read")
            .default("/etc/elasticsearch/elasticsearch.yml"),
        Opt::new("new_config", OptKind::LocalPath, "the template that the upgrade puts in its place, if it does"),
        Opt::new("java_home", OptKind::Path, "the Java that it will run on; without it the one that it brings along"),
        Opt::new("plugins", OptKind::List, "plugins that the upgrade replaces by those of the new version"),
        Opt::new("may_be_out", OptKind::List, "indices without replicas that may be out meanwhile"),
        Opt::new("few_masters", OptKind::Bool, "whether fewer than three masters are accepted, and an outage")
            .default("false"),
        Opt::new("within", OptKind::Duration, "for how long an unsettled cluster is waited for").default("30s"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check_version),
    build,
};

#[derive(Debug)]
struct Preflight {
    ring: Ring,
    to: Version,
    config: String,
    content: Option<String>,
    java_home: Option<String>,
    plugins: Vec<String>,
    may_be_out: Vec<String>,
    few_masters: bool,
    within: Duration,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::Gate(Box::new(Preflight {
        ring: Ring::of(arguments, here)?,
        to: version_option(arguments)?,
        config: arguments.required("config"),
        content: new_config(arguments, here)?,
        java_home: arguments.text("java_home").filter(|path| !path.is_empty()),
        plugins: arguments.list("plugins"),
        may_be_out: arguments.list("may_be_out"),
        few_masters: arguments.flag("few_masters"),
        within: arguments.duration("within").unwrap_or(Duration::from_secs(30)),
    })))
}

/// The text that the new version will read, where it is another.
fn new_config(arguments: &Arguments, here: &dyn Controller) -> Result<Option<String>, Failure> {
    let Some(name) = arguments.text("new_config").filter(|name| !name.is_empty()) else { return Ok(None) };
    let path = here.find(Folder::Templates, &name)?;
    let options = TemplateOptions { trim_blocks: true, lstrip_blocks: false, delimiters: Default::default() };
    here.render_file(&path, &options).map(Some)
}

/// What the host is like: the settings, the Java, and what the bootstrap checks will look at.
fn look(config: &str, java_home: Option<&str>) -> Script {
    Script::new().set("config", config).set("java", java_home.unwrap_or_default()).line(
        r#"if [ -r "$config" ]; then sed 's/^/C /' "$config"; else echo N; fi
if [ -n "$java" ]; then
  said=$("$java/bin/java" -version 2>&1 | head -n 1) && printf 'J %s\n' "$said"
fi
read -r maps 2>/dev/null </proc/sys/vm/max_map_count && printf 'M %s\n' "$maps"
for folder in /proc/[0-9]*; do
  words=$(tr '\0' ' ' 2>/dev/null <"$folder/cmdline") || continue
  case $words in *org.elasticsearch.bootstrap.Elasticsearch*) sed -n 's/^Max open files  *\([^ ]*\).*/F \1/p' "$folder/limits" 2>/dev/null;; esac
done
printf 'Z\n'"#,
    )
}

/// What [`look`] printed.
#[derive(Debug, Default)]
struct Ground {
    config: Option<String>,
    java: Option<String>,
    maps: Option<u64>,
    files: Option<u64>,
}

impl Ground {
    fn read(answer: Option<&Answer>) -> Result<Self, String> {
        let output: &Output = match answer {
            Some(Answer::Script(Ok(output))) => output,
            Some(Answer::Script(Err(why))) => return Err(why.clone()),
            _ => return Err("was not asked".to_owned()),
        };
        let text = output.out();
        if !text.lines().any(|line| line == "Z") {
            return Err("the look at the host was cut off".to_owned());
        }
        let first = |mark: &str| text.lines().find_map(|line| line.strip_prefix(mark)).map(str::to_owned);
        let config: String =
            text.lines().filter_map(|line| line.strip_prefix("C ")).map(|line| format!("{line}\n")).collect();
        Ok(Self {
            config: (!text.lines().any(|line| line == "N")).then_some(config),
            java: first("J "),
            maps: first("M ").and_then(|text| text.parse().ok()),
            files: first("F ").and_then(|text| text.parse().ok()),
        })
    }
}

/// `openjdk version "17.0.9" 2023-10-17`, `java version "1.8.0_392"`.
fn java_major(said: &str) -> Option<u32> {
    let quoted = said.split('"').nth(1)?;
    let mut parts = quoted.split(['.', '-', '_', '+']);
    let first: u32 = parts.next()?.parse().ok()?;
    if first == 1 { parts.next()?.parse().ok() } else { Some(first) }
}

/// Questions that stand between the look at the host and that at the cluster.
const OWN: usize = 2;

impl Preflight {
    fn host(&self, ground: &Ground, wrong: &mut Vec<String>, warnings: &mut Vec<String>) {
        let config = self.content.as_ref().or(ground.config.as_ref());
        match config.map(|text| settings_of_yaml(text)) {
            Some(Ok(settings)) => wrong.extend(removed_settings(&settings, self.to)),
            Some(Err(why)) => wrong.push(why),
            None => wrong.push(format!(
                "{} is not there, or can't be read: name the elasticsearch.yml with `config`",
                self.config
            )),
        }
        match (&self.java_home, ground.java.as_deref()) {
            (Some(home), None) => wrong.push(format!("{home}/bin/java does not run")),
            (Some(home), Some(said)) => match java_major(said) {
                Some(major) => wrong.extend(java_wanted(self.to, major).err().map(|why| format!("{home}: {why}"))),
                None => warnings.push(format!("{home}: `{said}` does not tell which Java it is")),
            },
            (None, _) if self.to < Version::new(7, 0, 0) => {
                warnings.push(format!(
                    "{} brings no Java along: make sure that {} leads to one, or name it with `java_home` to have it checked",
                    self.to,
                    java_variable(self.to)
                ));
            }
            (None, _) => {}
        }
        if let Some(maps) = ground.maps.filter(|maps| *maps < 262_144) {
            let text = format!("vm.max_map_count is {maps}, and 262144 is needed");
            self.bootstrap(text, wrong, warnings);
        }
        if let Some(files) = ground.files.filter(|files| *files < 65_535) {
            self.bootstrap(format!("the node may open {files} files, and 65535 are needed"), wrong, warnings);
        }
    }

    /// Bootstrap checks end a node that listens on more than loopback, and only warn otherwise.
    fn bootstrap(&self, text: String, wrong: &mut Vec<String>, warnings: &mut Vec<String>) {
        let loopback = self.ring.own().is_some_and(|own| own.is_loopback());
        if loopback { warnings.push(text) } else { wrong.push(format!("{text}: it would end by a bootstrap check")) }
    }

    /// What the node says of its own settings and plugins.
    fn own_node(&self, answer: Option<&Answer>, seen: &Seen, wrong: &mut Vec<String>) {
        let Ok(body) = body(answer) else { return };
        let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let Some(node) = value.get("nodes").and_then(Value::as_object).and_then(|nodes| nodes.values().next()) else {
            return;
        };
        for plugin in node.get("plugins").and_then(Value::as_array).into_iter().flatten() {
            let name = plugin.get("name").and_then(Value::as_str).unwrap_or("?");
            if !self.plugins.iter().any(|known| known == name) {
                wrong.push(format!(
                    "the node has the plugin {name}, which must be of the very same version as the node: name it in `plugins` and put \
                     the one of {} in its place while the node is stopped",
                    self.to
                ));
            }
        }
        let oldest = seen.nodes.oldest().unwrap_or(self.to);
        if oldest.major < 7 {
            let voters = seen.nodes.list.iter().filter(|node| node.votes()).count();
            let name = "discovery.zen.minimum_master_nodes";
            let own = node.pointer("/settings/discovery/zen/minimum_master_nodes").map(crate::base::to_text);
            let set = seen.settings.in_force(name).map(str::to_owned).or(own);
            wrong.extend(zen_quorum(set.and_then(|text| text.parse().ok()), voters).err());
        }
    }

    /// What does not change by waiting.
    fn cluster(&self, seen: &Seen, created: &BTreeMap<String, u32>, wrong: &mut Vec<String>) {
        let mut versions: Vec<Version> = seen.nodes.list.iter().map(|node| node.version).collect();
        versions.sort_unstable();
        versions.dedup();
        for version in &versions {
            if let Err(why) = rolls(*version, self.to) {
                let who: Vec<&str> = seen
                    .nodes
                    .list
                    .iter()
                    .filter(|node| node.version == *version)
                    .map(|node| node.name.as_str())
                    .collect();
                wrong.push(format!(
                    "{} {} {version}: {why}",
                    who.join(", "),
                    if who.len() == 1 { "runs" } else { "run" }
                ));
            }
        }
        if versions.iter().filter(|version| **version != self.to).count() > 1 {
            wrong.push(
                "the nodes run more than one version besides the new one: finish the upgrade before this first"
                    .to_owned(),
            );
        }
        let old = too_old(created, self.to);
        if !old.is_empty() {
            wrong.push(format!(
                "indices that {} does not open, and so does not start with: {}: reindex or delete them first",
                self.to,
                old.join(", ")
            ));
        }
        let doubled = seen.nodes.doubled();
        if !doubled.is_empty() {
            wrong.push(format!("two nodes have the name {}: give each its own node.name", doubled.join(", ")));
        }
        let (listed, there) = (self.ring.members.len(), seen.nodes.list.len());
        if there > listed {
            let names: Vec<&str> = seen.nodes.list.iter().map(|node| node.name.as_str()).collect();
            wrong.push(format!(
                "the cluster has {there} nodes ({}) and the inventory {listed}: every node must be in the group, or two could be out at \
                 once",
                names.join(", ")
            ));
        }
        if let Some(why) = seen.settings.held_back() {
            wrong.push(format!(
                "{why}: a run was cut off, or somebody is at work. See who, then put it back with `elastic_allocation: {{state: all}}`"
            ));
        }
    }

    /// What speaks against stopping this node, save for the order in which they come.
    fn stop(&self, seen: &Seen) -> Vec<Refusal> {
        let Some(node) = seen.own.as_deref() else { return Vec::new() };
        let stop = Stop {
            node,
            to: self.to,
            expected: self.ring.members.len(),
            may_be_out: &self.may_be_out,
            any_order: true,
            switched_off: false,
            few_masters: self.few_masters,
        };
        let said = ["version_may_follow", "allocation_as_ever"];
        may_stop(&seen.cluster(), &stop).into_iter().filter(|refusal| !said.contains(&refusal.predicate)).collect()
    }
}

impl Gate for Preflight {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        let Some(own) = self.ring.own() else { return Vec::new() };
        if answers.is_empty() {
            let mut round = self.ring.questions(&[]);
            round.push(Question::Script(look(&self.config, self.java_home.as_deref())));
            round.push(self.ring.ask(own, "/"));
            return round;
        }
        let (rest, asked) = self.split(answers);
        let next = self.ring.questions(&rest);
        if !next.is_empty() || asked.len() > OWN || self.ring.seen(&rest).is_err() {
            return if asked.len() > OWN { Vec::new() } else { next };
        }
        vec![
            self.ring.ask(own, "/_nodes/_local/settings,plugins"),
            self.ring.ask(own, "/_all/_settings/index.version.created?expand_wildcards=all"),
        ]
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        let (rest, asked) = self.split(answers);
        let (mut wrong, mut warnings) = (Vec::new(), Vec::new());
        match Ground::read(asked.first()) {
            Ok(ground) => self.host(&ground, &mut wrong, &mut warnings),
            Err(why) => return Verdict::NotYet(format!("the host can't be looked at: {why}")),
        }
        if let Ok(body) = body(asked.get(1))
            && let Some(name) = distribution(&body)
        {
            return Verdict::Never(Failure::new(refused_product(&format!("this node is of the distribution {name}"))));
        }
        let seen = match self.ring.seen(&rest) {
            Ok(seen) => seen,
            Err(why) if why.contains("OpenSearch") => return Verdict::Never(Failure::new(why)),
            Err(why) => return Verdict::NotYet(why),
        };
        self.own_node(asked.get(OWN), &seen, &mut wrong);
        let created = body(asked.get(OWN + 1)).and_then(|body| parse_created(&body)).unwrap_or_else(|why| {
            warnings.push(format!("by which version indices were made can't be seen: {why}"));
            BTreeMap::new()
        });
        self.cluster(&seen, &created, &mut wrong);
        let refused = self.stop(&seen);
        wrong.extend(refused.iter().filter(|refusal| !refusal.passes).map(Refusal::text));
        if !wrong.is_empty() {
            return Verdict::Never(Failure::new(wrong.join("\n")).with("refused", wrong));
        }
        if seen.own.is_none() {
            return Verdict::NotYet(
                "which node of the cluster is this host's can't be told: name it with `node`".to_owned(),
            );
        }
        if !refused.is_empty() {
            return Verdict::NotYet(refused.iter().map(Refusal::text).collect::<Vec<_>>().join("; "));
        }
        let from = seen.nodes.oldest().unwrap_or(self.to);
        let way = path(from, self.to).unwrap_or_default();
        let mut result = Map::new();
        result.insert("node".to_owned(), seen.own.clone().map_or(Value::Null, Value::from));
        result.insert("from".to_owned(), from.to_string().into());
        result.insert("to".to_owned(), self.to.to_string().into());
        result.insert("hops".to_owned(), way.iter().map(ToString::to_string).collect::<Vec<_>>().into());
        if !warnings.is_empty() {
            result.insert("warnings".to_owned(), warnings.into());
        }
        Verdict::Ready(result)
    }
}

impl Preflight {
    /// The answers of the look at the cluster, and this module's own: two after the first round, and two at the end.
    fn split(&self, answers: &[Answer]) -> (Vec<Answer>, Vec<Answer>) {
        let first = self.ring.first_round();
        let (mut rest, mut own) = (Vec::new(), Vec::new());
        for (place, answer) in answers.iter().enumerate() {
            let last = match answer {
                Answer::Http(Ok(response)) => ["/_nodes/_local/settings,plugins", "expand_wildcards=all"]
                    .iter()
                    .any(|end| response.url.ends_with(end)),
                _ => false,
            };
            if (first..first + OWN).contains(&place) || last {
                own.push(answer.clone());
            } else {
                rest.push(answer.clone());
            }
        }
        (rest, own)
    }
}
