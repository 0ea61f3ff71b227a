//! `vars_files`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use indexmap::IndexMap;

use super::Run;
use super::play::{PlayRun, said};
use super::render::Room;
use crate::base::{Node, Value, to_text};
use crate::diag::{Severity, render_all};
use crate::plan::Layer;

impl Run {
    /// Reads `vars_files` for each host: names may depend on its variables; of a list the first that exists is taken.
    pub(super) async fn read_vars_files(self: &Arc<Self>, play: &Arc<PlayRun>) -> Result<(), String> {
        if play.plan.vars_files.is_empty() {
            return Ok(());
        }
        let mut read: HashMap<PathBuf, Layer> = HashMap::new();
        for host in &play.hosts {
            let mut layers = Vec::new();
            for node in &play.plan.vars_files {
                let room = Room::new(self, host, Some(play));
                let value =
                    room.render(node).await.map_err(|t| format!("`vars_files` for {}: {}", host.name, said(&t)))?;
                let candidates = match value {
                    Value::Array(names) => names.iter().map(to_text).collect::<Vec<_>>(),
                    name => vec![to_text(&name)],
                };
                let Some(path) = candidates.iter().find_map(|name| vars_file(&play.plan.directory, name)) else {
                    return Err(format!(
                        "none of the `vars_files` {} is there ({})",
                        candidates.join(", "),
                        self.sources.place(node.span)
                    ));
                };
                let layer = match read.get(&path) {
                    Some(layer) => Arc::clone(layer),
                    None => {
                        let layer = self.read_vars(&path)?;
                        read.insert(path, Arc::clone(&layer));
                        layer
                    }
                };
                layers.push(layer);
            }
            play.files.lock().unwrap_or_else(PoisonError::into_inner).insert(host.name.clone(), Arc::new(layers));
        }
        Ok(())
    }

    /// The variables of a file.
    pub(super) fn read_vars(&self, path: &Path) -> Result<Layer, String> {
        let (node, wrong) = crate::playbook::load_vars(&self.sources, path);
        if wrong.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return Err(render_all(&wrong, &self.sources, false));
        }
        let mut layer: IndexMap<String, Arc<Node>> = IndexMap::new();
        for (key, value) in node.as_ref().and_then(Node::as_map).unwrap_or_default() {
            layer.insert(to_text(&key.to_value()), Arc::new(value.clone()));
        }
        Ok(Arc::new(layer))
    }
}

/// Where a file of variables is: below `vars/` beside the playbook, or beside it.
pub(crate) fn vars_file(directory: &Path, name: &str) -> Option<PathBuf> {
    [directory.join("vars").join(name), directory.join(name)].into_iter().find(|path| path.exists())
}
