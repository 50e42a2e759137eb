//! What the form knows and stores, whoever carries it to people.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::SystemError;
use super::super::store::{Journal, read_text};
use super::{Design, Plan, Preregistration};

const COVARIATES: &str = include_str!("covariates.json");
/// Longest text of a covariate, in bytes.
const LONGEST: usize = 100;

/// A line of `participants.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Joined {
    /// Drawn by the page; known to nobody else.
    client: String,
    pub(super) participant: String,
    pub(super) consent: bool,
    pub(super) covariates: BTreeMap<String, String>,
}

/// A line of `answers.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) participant: String,
    /// Among the participant's items, from 0.
    pub(super) place: usize,
    /// By aspect.
    pub(super) values: BTreeMap<String, i64>,
    /// What was chosen in the attention check.
    pub(super) check: Option<i64>,
    pub(super) seconds: f64,
}

pub(super) struct Study {
    design: Design,
    prereg: Preregistration,
    consent: String,
    joined: Journal<Joined>,
    answers: Journal<Answer>,
    stored: BTreeSet<(String, usize)>,
}

/// Why the form does not take something.
pub(super) enum Refused {
    /// What the page sent cannot be.
    Wrong(String),
    /// Nobody has joined from this page.
    Unknown,
    /// There is no place left.
    Full,
    /// The file cannot be written.
    Failed(SystemError),
}

fn refused(line: &str) -> Refused {
    Refused::Wrong(line.to_owned())
}

impl From<SystemError> for Refused {
    fn from(error: SystemError) -> Self {
        Self::Failed(error)
    }
}

impl Study {
    pub(super) fn open(folder: &Path) -> Result<Self, SystemError> {
        let design = Design::open(&folder.join("design.json"))?;
        let prereg = Preregistration::open(&folder.join("prereg.toml"))?;
        if prereg.sha != design.prereg_sha {
            return Err(SystemError::Input(format!(
                "`{}` is not the pre-registration of the design: put the old file back, or plan the study anew",
                folder.join("prereg.toml").display()
            )));
        }
        let answers: Journal<Answer> = Journal::open(&folder.join("answers.jsonl"))?;
        let stored = answers
            .rows
            .iter()
            .map(|it| (it.participant.clone(), it.place));
        Ok(Self {
            stored: stored.collect(),
            consent: read_text(&folder.join("consent.txt"))?,
            joined: Journal::open(&folder.join("participants.jsonl"))?,
            design,
            prereg,
            answers,
        })
    }

    /// What the page shows before anybody joins.
    pub(super) fn about(&self) -> Value {
        let covariates: Value = serde_json::from_str(COVARIATES).unwrap_or_default();
        let design = &self.design;
        let sha = design.prereg_sha.get(..12).unwrap_or_default();
        json!({
            "id": format!("{sha}-{}", design.seed), "title": self.prereg.title, "consent": self.consent,
            "covariates": covariates, "aspects": design.aspects, "points": design.points,
        })
    }

    fn plan(&self, participant: &str) -> Option<&Plan> {
        self.design
            .plans
            .iter()
            .find(|it| it.participant == participant)
    }

    /// The next free plan for a new client; the same one again for a known client.
    pub(super) fn join(&mut self, wanted: Wanted) -> Result<Value, Refused> {
        if !(16..=64).contains(&wanted.client.len()) {
            return Err(refused("the page sent no proper number of its own"));
        }
        let known = self
            .joined
            .rows
            .iter()
            .find(|it| it.client == wanted.client);
        let participant = match known {
            Some(joined) => joined.participant.clone(),
            None => {
                if !wanted.consent {
                    return Err(Refused::Unknown);
                }
                let long = |text: &String| text.len() > LONGEST;
                let covariates = &wanted.covariates;
                if covariates.len() > 20 || covariates.iter().any(|it| long(it.0) || long(it.1)) {
                    return Err(refused("an answer about yourself is too long"));
                }
                let taken = |plan: &&Plan| {
                    !self
                        .joined
                        .rows
                        .iter()
                        .any(|it| it.participant == plan.participant)
                };
                let Some(plan) = self.design.plans.iter().find(taken) else {
                    return Err(Refused::Full);
                };
                let joined = Joined {
                    client: wanted.client,
                    participant: plan.participant.clone(),
                    consent: true,
                    covariates: wanted.covariates,
                };
                let participant = joined.participant.clone();
                self.joined.push(joined, true)?;
                participant
            }
        };
        let Some(plan) = self.plan(&participant) else {
            return Err(refused("the design has changed since you began"));
        };
        let shown = plan.condition == "context";
        let items = plan.items.iter().enumerate().map(|(place, at)| {
            let item = &self.design.items[*at];
            json!({
                "message": item.message, "reply": item.reply, "check": plan.checks.get(&place),
                "community": shown.then_some(&item.community), "thread": shown.then_some(&item.thread),
            })
        });
        let items: Vec<Value> = items.collect();
        // Items whose record was deleted are passed over.
        let gone = |at: &usize| self.design.items[plan.items[*at]].message.is_empty();
        let stored = |at: &usize| gone(at) || self.stored.contains(&(participant.clone(), *at));
        let done: Vec<usize> = (0..items.len()).filter(stored).collect();
        Ok(json!({"participant": participant, "items": items, "stored": done}))
    }

    /// Stores answers; the places of those that are on the disk now, or were before.
    pub(super) fn store(&mut self, sent: Sent) -> Result<Value, Refused> {
        let known = self.joined.rows.iter().find(|it| it.client == sent.client);
        let Some(participant) = known.map(|it| it.participant.clone()) else {
            return Err(Refused::Unknown);
        };
        let Some(plan) = self.plan(&participant).cloned() else {
            return Err(refused("the design has changed since you began"));
        };
        let mut stored = Vec::new();
        for given in sent.answers {
            let key = (participant.clone(), given.place);
            if !self.stored.contains(&key) {
                self.check(&plan, &given)?;
                let answer = Answer {
                    participant: participant.clone(),
                    place: given.place,
                    values: given.values,
                    check: given.check,
                    seconds: given.seconds.clamp(0.0, 86_400.0),
                };
                self.answers.push(answer, true)?;
                self.stored.insert(key);
            }
            stored.push(given.place);
        }
        Ok(json!({"stored": stored}))
    }

    fn check(&self, plan: &Plan, given: &Given) -> Result<(), Refused> {
        let scale = 1..=i64::from(self.design.points);
        let names: BTreeSet<&String> = self.design.aspects.iter().map(|it| &it.name).collect();
        let found: BTreeSet<&String> = given.values.keys().collect();
        match given {
            it if it.place >= plan.items.len() => Err(refused("there is no such item")),
            _ if names != found => Err(refused("an aspect is not rated")),
            it if it
                .values
                .values()
                .chain(&it.check)
                .any(|it| !scale.contains(it)) =>
            {
                Err(refused("a rating is off the scale"))
            }
            it if it.check.is_some() != plan.checks.contains_key(&it.place) => {
                Err(refused("the attention check is not answered"))
            }
            it if !it.seconds.is_finite() => Err(refused("the time is not a number")),
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    client: String,
    consent: bool,
    #[serde(default)]
    covariates: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct Sent {
    client: String,
    answers: Vec<Given>,
}

#[derive(Deserialize)]
pub(super) struct Given {
    place: usize,
    values: BTreeMap<String, i64>,
    check: Option<i64>,
    seconds: f64,
}
