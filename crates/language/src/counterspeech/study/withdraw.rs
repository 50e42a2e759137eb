//! Deletion for good: a participant's answers, or all that a study says of a record.

use std::path::Path;

use base::job::jsonl;
use base::job::log::{Log, LogError};
use serde_json::Value;

use super::super::SystemError;
use super::super::store::read_lines;
use super::form::{Answer, Joined};
use super::{Design, read_participants, read_ratings, write_participants, write_ratings};

/// Removes a participant from all files of a study; how many lines went.
///
/// # Errors
/// [`SystemError::Input`] when the folder holds no design.
pub fn withdraw(folder: &Path, participant: &str) -> Result<usize, SystemError> {
    Design::open(&folder.join("design.json"))?;
    let mut gone = 0;
    gone += filter::<Joined>(&folder.join("participants.jsonl"), |it| {
        it.participant != participant
    })?;
    gone += filter::<Answer>(&folder.join("answers.jsonl"), |it| {
        it.participant != participant
    })?;
    let path = folder.join("participants.csv");
    if path.exists() {
        let all = read_participants(&path)?;
        let kept: Vec<_> = all
            .iter()
            .filter(|it| it.participant != participant)
            .cloned()
            .collect();
        gone += all.len() - kept.len();
        write_participants(&path, &kept)?;
    }
    gone += filter_ratings(folder, |it| it.participant != participant)?;
    Ok(gone)
}

/// Removes all texts of records from a study, with the ratings of their replies; how many lines and items went.
///
/// # Errors
/// As [`withdraw`].
pub fn forget_records(
    folder: &Path,
    forgotten: &dyn Fn(&str) -> bool,
) -> Result<usize, SystemError> {
    let path = folder.join("design.json");
    let mut design = Design::open(&path)?;
    let about = |design: &Design, answer: &Answer| {
        let plan = design
            .plans
            .iter()
            .find(|it| it.participant == answer.participant);
        let at = plan.and_then(|plan| plan.items.get(answer.place));
        at.is_some_and(|at| forgotten(&design.items[*at].record))
    };
    let mut gone = filter::<Answer>(&folder.join("answers.jsonl"), |it| !about(&design, it))?;
    gone += filter_ratings(folder, |it| !forgotten(&it.record))?;
    // Places stay, so that other answers keep theirs; the form passes over items without a message.
    for item in design.items.iter_mut().filter(|it| forgotten(&it.record)) {
        gone += 1;
        for text in [
            &mut item.record,
            &mut item.community,
            &mut item.message,
            &mut item.reply,
        ] {
            text.clear();
        }
        item.thread.clear();
    }
    design.write(&path)?;
    Ok(gone)
}

fn filter_ratings(
    folder: &Path,
    keep: impl Fn(&super::Rating) -> bool,
) -> Result<usize, SystemError> {
    let path = folder.join("ratings.csv");
    if !path.exists() {
        return Ok(0);
    }
    let all = read_ratings(&path)?;
    let kept: Vec<_> = all.iter().filter(|it| keep(it)).cloned().collect();
    write_ratings(&path, &kept)?;
    Ok(all.len() - kept.len())
}

/// Keeps the objects of a JSON-lines file that are wanted, and how many went; broken lines go with them.
pub(in super::super) fn filter<T: serde::de::DeserializeOwned>(
    path: &Path,
    keep: impl Fn(&T) -> bool,
) -> Result<usize, SystemError> {
    if !path.exists() {
        return Ok(0);
    }
    // Nobody else writes meanwhile.
    let _log = Log::open(path).map_err(|error| match error {
        LogError::Busy { path } => SystemError::Input(format!(
            "`{}` is being written: stop `study serve` or `generate` first, then run this again",
            path.display()
        )),
        error => error.into(),
    })?;
    let (rows, _) = read_lines::<Value>(path, "row")?;
    let wanted =
        |row: &Value| serde_json::from_value::<T>(row.clone()).map_or(true, |it| keep(&it));
    let kept: Vec<&Value> = rows.iter().filter(|row| wanted(row)).collect();
    if kept.len() < rows.len() {
        jsonl::write(path, &kept)?;
    }
    Ok(rows.len() - kept.len())
}
