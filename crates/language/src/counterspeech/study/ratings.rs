//! Ratings and participants in CSV files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base::files::write_bytes;
use serde::{Deserialize, Serialize};

use super::super::SystemError;
use super::super::store::read_text;

/// One rating, a line of `ratings.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rating {
    /// Who rated, a number of the study's and no name.
    pub participant: String,
    /// `context` or `no_context`.
    pub condition: String,
    /// The record.
    pub record: String,
    /// The configuration.
    pub config: String,
    /// The aspect.
    pub aspect: String,
    /// On the scale, from 1 on.
    pub value: i64,
    /// At which place the participant saw the reply, from 1 on.
    pub order: usize,
    /// Seconds for the item.
    pub seconds: f64,
    /// Whether the attention check of this item was passed; empty where it had none.
    pub attention_ok: Option<bool>,
}

/// A line of `participants.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// As in ratings.
    pub participant: String,
    /// `context` or `no_context`.
    pub condition: String,
    /// Whether consent was given.
    pub consent: bool,
    /// Age group, gender, politics, use of social media…
    #[serde(flatten)]
    pub covariates: BTreeMap<String, String>,
}

/// Reads ratings.
///
/// # Errors
/// [`SystemError::Input`]: unreadable, a line that is not a rating, no line at all, something rated twice by one person.
pub fn read_ratings(path: &Path) -> Result<Vec<Rating>, SystemError> {
    let ratings: Vec<Rating> = read(path, "rating")?;
    let mut seen = BTreeSet::new();
    let key = |it: &Rating| {
        let parts = [&it.participant, &it.record, &it.config, &it.aspect];
        parts.map(String::clone)
    };
    match ratings.iter().find(|it| !seen.insert(key(it))) {
        None => Ok(ratings),
        Some(it) => Err(SystemError::Input(format!(
            "`{}` has the {} of `{}` as `{}` by `{}` twice: take one line out",
            path.display(),
            it.aspect,
            it.record,
            it.config,
            it.participant
        ))),
    }
}

/// Reads participants.
///
/// # Errors
/// As [`read_ratings`]; also for a participant that is there twice.
pub fn read_participants(path: &Path) -> Result<Vec<Participant>, SystemError> {
    let all: Vec<Participant> = read(path, "participant")?;
    let mut seen = BTreeSet::new();
    match all.iter().find(|it| !seen.insert(&it.participant)) {
        None => Ok(all),
        Some(it) => Err(SystemError::Input(format!(
            "`{}` has the participant `{}` twice: take one line out",
            path.display(),
            it.participant
        ))),
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<Vec<T>, SystemError> {
    let text = read_text(path)?;
    let place = path.display();
    let mut rows = Vec::new();
    for row in csv::Reader::from_reader(text.as_bytes()).deserialize() {
        rows.push(row.map_err(|error| {
            SystemError::Input(format!(
                "`{place}` has a line that is not a {what}: {error}"
            ))
        })?);
    }
    match rows.is_empty() {
        true => Err(SystemError::Input(format!("`{place}` holds no {what}"))),
        false => Ok(rows),
    }
}

/// Writes ratings.
///
/// # Errors
/// When the file cannot be written.
pub fn write_ratings(path: &Path, ratings: &[Rating]) -> Result<(), SystemError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for rating in ratings {
        table
            .serialize(rating)
            .map_err(|error| unwritten(path, &error))?;
    }
    let bytes = table
        .into_inner()
        .map_err(|error| unwritten(path, &error))?;
    Ok(write_bytes(path, &bytes)?)
}

/// Writes participants, a column for each covariate that any of them has.
///
/// # Errors
/// When the file cannot be written.
pub fn write_participants(path: &Path, all: &[Participant]) -> Result<(), SystemError> {
    let columns: BTreeSet<&String> = all.iter().flat_map(|it| it.covariates.keys()).collect();
    let mut table = csv::Writer::from_writer(Vec::new());
    let head = ["participant", "condition", "consent"].into_iter();
    let head = head.chain(columns.iter().map(|it| it.as_str()));
    table
        .write_record(head)
        .map_err(|error| unwritten(path, &error))?;
    for it in all {
        let consent = it.consent.to_string();
        let given = [&it.participant, &it.condition, &consent]
            .into_iter()
            .map(String::as_str);
        let known = |column: &&String| it.covariates.get(*column).map_or("", String::as_str);
        let row = given.chain(columns.iter().map(known));
        table
            .write_record(row)
            .map_err(|error| unwritten(path, &error))?;
    }
    let bytes = table
        .into_inner()
        .map_err(|error| unwritten(path, &error))?;
    Ok(write_bytes(path, &bytes)?)
}

fn unwritten(path: &Path, error: &dyn std::fmt::Display) -> SystemError {
    SystemError::Failed(format!("cannot write `{}`: {error}", path.display()))
}
