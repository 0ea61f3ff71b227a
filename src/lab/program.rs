//! Programs of this machine that a rehearsal rests on.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::LabError;

/// Where a program is; `package` is Debian's name of what brings it.
pub(crate) fn find(program: &str, package: &'static str) -> Result<PathBuf, LabError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| LabError::Missing { program: program.to_owned(), package })
}

/// What a program prints, when it ends well.
pub(crate) fn output_of(command: &mut Command) -> Result<String, LabError> {
    let program = Path::new(command.get_program()).display().to_string();
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| LabError::Program { program: program.clone(), detail: error.to_string() })?;
    if !done.status.success() {
        let errors = String::from_utf8_lossy(&done.stderr);
        let last = errors.lines().last().unwrap_or_default();
        return Err(LabError::Program { program, detail: format!("{}: {last}", done.status) });
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
