//! Detectors from PyPI, in the Python that `ORRERY_PEER_PYTHON` names.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use base::command::Failure;
use serde_json::Value;

static SCRIPT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../benches/guardian_peers.py"
));

/// Score and own flag of each text by each detector, and their versions; none where no Python is named.
pub(super) type Peers = (BTreeMap<String, Vec<(f64, bool)>>, String);

/// Asks the detectors.
///
/// # Errors
/// When Python or the detectors fail.
pub(super) fn ask(texts: &[String]) -> Result<Option<Peers>, Failure> {
    let Ok(python) = std::env::var("ORRERY_PEER_PYTHON") else {
        return Ok(None);
    };
    let failed = |what: &dyn std::fmt::Display| {
        Failure::failed(format!(
            "the detectors of `{python}` cannot be asked: {what}"
        ))
    };
    let mut child = Command::new(&python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut input = child.stdin.take().ok_or_else(|| failed(&"no input"))?;
    let lines: String = texts
        .iter()
        .map(|text| format!("{}\n", Value::from(text.as_str())))
        .collect();
    // The script reads everything before it writes.
    input
        .write_all(lines.as_bytes())
        .map_err(|error| failed(&error))?;
    drop(input);
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(
            &"the script ended with an error; are alt-profanity-check and securevector-guardian-model installed?",
        ));
    }
    let mut scores: BTreeMap<String, Vec<(f64, bool)>> = BTreeMap::new();
    let mut versions = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let row: BTreeMap<String, Value> =
            serde_json::from_str(line).map_err(|error| failed(&error))?;
        for (name, value) in row {
            match (
                value.get(0).and_then(Value::as_f64),
                value.get(1).and_then(Value::as_bool),
            ) {
                (Some(score), Some(flag)) => scores.entry(name).or_default().push((score, flag)),
                _ => versions = value.to_string(),
            }
        }
    }
    match scores.values().all(|all| all.len() == texts.len()) {
        true => Ok(Some((scores, versions))),
        false => Err(failed(&"they did not score every text")),
    }
}
