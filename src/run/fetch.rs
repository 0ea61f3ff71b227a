//! A file of a host is brought here.

use std::path::{Path, PathBuf};

use crate::base::Output;
use crate::transport::{Command, Connection, Lost};

/// Brings a file here: to a name of its own beside the wanted one, checked, then renamed.
pub(super) async fn fetch(
    connection: &dyn Connection,
    command: &Command,
    to: &Path,
    sha1: Option<&str>,
) -> Result<Output, Lost> {
    let local = |error: std::io::Error| Lost::Local(format!("cannot write {}: {error}", to.display()));
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(parent).map_err(local)?;
    let temporary = tempfile::Builder::new().prefix(".stagger-").tempfile_in(parent).map_err(local)?;
    let path: PathBuf = temporary.path().to_owned();
    let mut output = connection.fetch(command, &path).await?;
    if output.status != 0 {
        return Ok(output);
    }
    if let Some(wanted) = sha1 {
        let read = path.clone();
        let got = tokio::task::spawn_blocking(move || super::controller::Digests::default().once(&read))
            .await
            .map_err(|error| Lost::Local(error.to_string()))?
            .map_err(Lost::Local)?;
        if got.sha1 != wanted {
            output.status = 1;
            output.stderr = format!(
                "what arrived has the SHA-1 {}, the host's file has {wanted}: it changed while it was read",
                got.sha1
            )
            .into_bytes();
            return Ok(output);
        }
    }
    temporary.persist(to).map_err(|error| local(error.error))?;
    Ok(output)
}
