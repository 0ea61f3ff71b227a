//! Looking at leases on hosts, and breaking them: no play, no task, nothing in a journal.

use std::sync::Arc;

use futures::StreamExt as _;

use super::Run;
use super::host::Host;
use crate::transport::lease::{self, Broken};

/// What a host has, or why that can't be said.
pub(crate) type Surveyed = (String, Result<Vec<Broken>, String>);

impl Run {
    /// Looks at hosts in their order; with a person and a reason, removes what is there.
    pub(crate) async fn survey(
        self: &Arc<Self>,
        names: &[String],
        breaking: Option<(String, String)>,
    ) -> Vec<Surveyed> {
        let asked: Vec<_> =
            names.iter().map(|name| Arc::clone(self).leases_of(name.clone(), breaking.clone())).collect();
        let all = futures::stream::iter(asked).buffered(self.options.forks.max(32)).collect().await;
        self.close().await;
        all
    }

    async fn leases_of(self: Arc<Self>, name: String, breaking: Option<(String, String)>) -> Surveyed {
        let found = self.leases_on(&self.hosts.get(&name), breaking).await;
        (name, found)
    }

    async fn leases_on(
        self: &Arc<Self>,
        host: &Arc<Host>,
        breaking: Option<(String, String)>,
    ) -> Result<Vec<Broken>, String> {
        let way = self.way_to(host).await?;
        if way.target.connection == "local" {
            return Ok(Vec::new());
        }
        let connection = self.connection(host, &way).await.map_err(|reason| reason.to_string())?;
        let said = match breaking {
            Some((by, reason)) => lease::break_all(connection.as_ref(), way.r#become, &by, &reason).await,
            None => lease::look(connection.as_ref())
                .await
                .map(|all| all.into_iter().map(|found| Broken { found, trouble: None }).collect()),
        };
        said.map_err(|lost| lost.to_string())
    }
}
