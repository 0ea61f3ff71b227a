//! The packages of its universe: what Cosmos knows of them.

use serde_json::{Map, Value, json};

/// How a scheduler answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Era {
    /// The development version of the guide.
    Guide,
    /// Up to 2.4.0.
    Old,
    /// Later.
    New,
}

/// A package: its version, and the ones that it may follow and go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) version: &'static str,
    pub(super) neighbours: &'static [&'static str],
    pub(super) era: Era,
}

const ALL: &[Package] = &[
    Package { version: "1.0.12-5.4.0", neighbours: &[], era: Era::Guide },
    Package { version: "1.0.13-5.4.1", neighbours: &["1.0.12-5.4.0"], era: Era::Guide },
    Package { version: "2.3.1-5.6.5", neighbours: &["2.3.0-5.6.5"], era: Era::Old },
    Package { version: "2.4.0-5.6.9", neighbours: &["2.3.1-5.6.5"], era: Era::Old },
    Package { version: "3.1.0-7.4.1", neighbours: &["3.0.0-7.3.2"], era: Era::New },
    Package { version: "3.1.1-7.6.0", neighbours: &["3.1.0-7.4.1"], era: Era::New },
    Package { version: "3.1.2-7.6.0", neighbours: &["3.1.1-7.6.0"], era: Era::New },
    Package { version: "3.2.0-7.9.3", neighbours: &["3.1.2-7.6.0"], era: Era::New },
];

impl Package {
    pub(super) fn find(version: &str) -> Option<Self> {
        ALL.iter().find(|package| package.version == version).copied()
    }

    pub(super) fn elasticsearch(self) -> &'static str {
        self.version.split_once('-').map_or("", |(_, version)| version)
    }

    pub(super) fn described(self) -> Value {
        json!({"package": {"packagingVersion": "4.0", "name": "elastic", "version": self.version, "maintainer": "support@mesosphere.io",
            "upgradesFrom": self.neighbours, "downgradesTo": self.neighbours, "minDcosReleaseVersion": "1.9"}})
    }

    /// The app that would be installed: defaults under the options.
    pub(super) fn app(self, options: &Value) -> Result<Value, String> {
        let at = |path: &[&str]| path.iter().try_fold(options, |value, name| value.get(name));
        let text = |path: &[&str], default: &str| match at(path) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => default.to_owned(),
            Some(other) => other.to_string(),
        };
        let name = text(&["service", "name"], "elastic");
        let deploy = text(&["service", "deploy_strategy"], "parallel");
        let update = text(&["service", "update_strategy"], "serial");
        let known: &[&str] = match self.era {
            Era::Guide => &["serial", "parallel", "safe"],
            Era::Old | Era::New => &["serial", "parallel"],
        };
        for (option, value) in [("deploy_strategy", &deploy), ("update_strategy", &update)] {
            if !known.contains(&value.as_str()) {
                return Err(format!("/service/{option}"));
            }
        }
        let mut env = Map::new();
        let mut set = |name: &str, value: String| env.insert(name.to_owned(), Value::from(value));
        set("FRAMEWORK_NAME", name.clone());
        set("FRAMEWORK_USER", text(&["service", "user"], "nobody"));
        set("ELASTIC_VERSION", self.elasticsearch().to_owned());
        set("DEPLOY_STRATEGY", deploy);
        set("UPDATE_STRATEGY", update);
        set("DATA_NODE_COUNT", text(&["data_nodes", "count"], "2"));
        set("INGEST_NODE_COUNT", text(&["ingest_nodes", "count"], "0"));
        set("COORDINATOR_NODE_COUNT", text(&["coordinator_nodes", "count"], "1"));
        use base64::Engine as _;
        let stored = base64::engine::general_purpose::STANDARD.encode(options.to_string());
        Ok(json!({"id": format!("/{name}"), "cmd": "scheduler", "env": env, "instances": 1,
            "labels": {"DCOS_PACKAGE_NAME": "elastic", "DCOS_PACKAGE_VERSION": self.version, "DCOS_PACKAGE_OPTIONS": stored,
                "DCOS_SERVICE_NAME": name, "DCOS_COMMONS_API_VERSION": "v1"}}))
    }
}
