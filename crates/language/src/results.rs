//! Files in which results are kept one by one, and from which a run goes on.

use std::path::{Path, PathBuf};

use base::command::{Failure, check_out};

/// Whether results can be kept at `out`: [`check_out`] with `input`, and no device or pipe.
///
/// # Errors
/// One line that says why not.
pub(crate) fn check_results(out: &Path, input: &PathBuf) -> Result<(), Failure> {
    check_out(out, [input])?;
    match out.exists() && !out.is_file() {
        true => Err(Failure::input(format!(
            "`{}` is a device or a pipe, in which no results can be kept: name a file",
            out.display()
        ))),
        false => Ok(()),
    }
}
