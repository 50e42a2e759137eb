//! What the form has collected, as tables.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::SystemError;
use super::super::store::read_lines;
use super::form::{Answer, Joined};
use super::{Design, Participant, Rating};

/// Participants and ratings that the form has collected.
///
/// # Errors
/// [`SystemError::Input`] when the folder holds no design. The form may be running meanwhile.
pub fn collected(folder: &Path) -> Result<(Vec<Participant>, Vec<Rating>), SystemError> {
    let design = Design::open(&folder.join("design.json"))?;
    let plan = |participant: &str| design.plans.iter().find(|it| it.participant == participant);
    let joined: Vec<Joined> = lines(&folder.join("participants.jsonl"))?;
    let answers: Vec<Answer> = lines(&folder.join("answers.jsonl"))?;
    let mut participants = Vec::new();
    for joined in &joined {
        if let Some(plan) = plan(&joined.participant) {
            participants.push(Participant {
                participant: joined.participant.clone(),
                condition: plan.condition.clone(),
                consent: joined.consent,
                covariates: joined.covariates.clone(),
            });
        }
    }
    let mut ratings = Vec::new();
    let mut seen = BTreeSet::new();
    for answer in &answers {
        let Some(plan) = plan(&answer.participant) else {
            continue;
        };
        let Some(item) = plan.items.get(answer.place).map(|at| &design.items[*at]) else {
            continue;
        };
        if !seen.insert((&answer.participant, answer.place)) {
            continue;
        }
        let check = plan
            .checks
            .get(&answer.place)
            .map(|wanted| answer.check == Some(*wanted));
        for (aspect, value) in &answer.values {
            ratings.push(Rating {
                participant: answer.participant.clone(),
                condition: plan.condition.clone(),
                record: item.record.clone(),
                config: item.config.clone(),
                aspect: aspect.clone(),
                value: *value,
                order: answer.place + 1,
                seconds: answer.seconds,
                attention_ok: check,
            });
        }
    }
    Ok((participants, ratings))
}

/// Rows of a file of the form; none where nobody was there yet. A line that was cut off is an answer that the page still has.
fn lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, SystemError> {
    match path.exists() {
        true => Ok(read_lines(path, "row")?.0),
        false => Ok(Vec::new()),
    }
}
