//! Sizes of a file that does not say its own.

use std::path::Path;

use base::command::Failure;

use crate::acdit::AcditConfig;

/// The longest file that is read, in bytes.
const MOST: u64 = 1 << 20;

/// The sizes in the JSON file at `path`; what is absent is as in the published image model of 130M.
///
/// # Errors
/// When it cannot be read or the sizes do not fit together.
pub fn read_sizes(path: &Path) -> Result<AcditConfig, Failure> {
    let refuse = |reason: String| {
        Failure::input(format!(
            "`{}` holds no sizes of a model: {reason}",
            path.display()
        ))
    };
    let length = std::fs::metadata(path)
        .map_err(|error| refuse(error.to_string()))?
        .len();
    if length > MOST {
        return Err(refuse("it is larger than 1 MiB".into()));
    }
    let text = base::files::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let config: AcditConfig =
        serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    match config.problem() {
        Some(problem) => Err(refuse(problem)),
        None => Ok(config),
    }
}
