//! Who rates what, in which order.

use std::collections::BTreeMap;
use std::path::Path;

use base::files::write_bytes;
use base::rng::Rng;
use serde::{Deserialize, Serialize};

use super::super::store::read_text;
use super::super::{Record, Row, SystemError};
use super::latin::balanced_latin_square;

/// Conditions, between participants.
pub const CONDITIONS: [&str; 2] = ["context", "no_context"];
/// Largest study.
const MOST: usize = 100_000;

/// Something that is rated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aspect {
    /// Its name in tables.
    pub name: String,
    /// The statement that people agree with or not.
    pub statement: String,
    /// What the lowest value means.
    pub low: String,
    /// What the highest value means.
    pub high: String,
}

/// A reply with what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The record.
    pub record: String,
    /// The configuration; participants never see it.
    pub config: String,
    /// Messages before, shown in one condition.
    pub thread: Vec<String>,
    /// The community, shown in the same condition.
    pub community: String,
    /// The toxic message.
    pub message: String,
    /// The reply.
    pub reply: String,
}

/// What one participant sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// A number, `p001`.
    pub participant: String,
    /// One of [`CONDITIONS`].
    pub condition: String,
    /// Numbers of items, in order.
    pub items: Vec<usize>,
    /// Attention checks: place among the items, from 0, and the value that is asked for.
    pub checks: BTreeMap<usize, i64>,
}

/// A study.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Design {
    /// SHA-256 of the pre-registration.
    pub prereg_sha: String,
    /// Seed.
    pub seed: u64,
    /// Points of the scale.
    pub points: u8,
    /// Configurations, the baseline first.
    pub configs: Vec<String>,
    /// What is rated.
    pub aspects: Vec<Aspect>,
    /// All replies.
    pub items: Vec<Item>,
    /// Participants.
    pub plans: Vec<Plan>,
}

/// How large a study is.
#[derive(Clone, Debug, PartialEq)]
pub struct DesignOptions {
    /// Configurations, the baseline first.
    pub configs: Vec<String>,
    /// Toxic messages a participant.
    pub messages: usize,
    /// Ratings that each reply gets at least, in each condition.
    pub ratings: usize,
    /// Participants; 0: as few as that takes.
    pub participants: usize,
    /// Points of the scale, 5 or 7.
    pub points: u8,
    /// Seed of which messages take part and in which order they come.
    pub seed: u64,
}

impl Design {
    /// Plans a study of `rows`, replies to `records`. Messages are those with a reply in every configuration. Conditions take
    /// turns; messages go round, so that all are rated equally often; the order of the configurations of a message is a row
    /// of the balanced Latin square, another one each time.
    ///
    /// # Errors
    /// [`SystemError::Input`]: too few replies, configurations or participants.
    pub fn plan(
        rows: &[Row],
        records: &[Record],
        prereg_sha: &str,
        options: &DesignOptions,
    ) -> Result<Self, SystemError> {
        let wrong = |line: String| Err(SystemError::Input(line));
        let configs = &options.configs;
        if configs.len() < 2 || options.messages == 0 || options.ratings == 0 {
            return wrong("a study compares at least two configurations, on at least one message, with at least one rating".into());
        }
        let mut replies: BTreeMap<(&str, &str), &Row> = BTreeMap::new();
        for row in rows.iter().filter(|row| !row.refused) {
            replies.insert((row.record.as_str(), row.config.as_str()), row);
        }
        if let Some(missing) = configs
            .iter()
            .find(|it| !replies.keys().any(|key| key.1 == **it))
        {
            return wrong(format!(
                "there is no reply as `{missing}`: choose among the configurations of the replies"
            ));
        }
        let all = |record: &&Record| {
            configs
                .iter()
                .all(|it| replies.contains_key(&(record.id.as_str(), it.as_str())))
        };
        let mut whole: Vec<&Record> = records.iter().filter(all).collect();
        if whole.len() < options.messages {
            return wrong(format!(
                "{} messages have a reply in every configuration and a participant shall see {}: generate more, or ask for fewer with `--messages`",
                whole.len(),
                options.messages
            ));
        }
        let rng = Rng::new(options.seed).child("study design");
        rng.child("messages").shuffle(&mut whole);
        // Each condition needs ratings × messages of the set ÷ messages a participant.
        let needed = 2 * (options.ratings * whole.len()).div_ceil(options.messages);
        let count = match options.participants {
            0 => needed,
            count => count,
        };
        if count < needed || count > MOST {
            return wrong(format!(
                "{count} participants do not give each reply {} ratings in both conditions, {needed} do: raise `--participants`, lower `--ratings`, or raise `--messages`",
                options.ratings
            ));
        }
        let items = whole.iter().flat_map(|record| {
            let replies = &replies;
            configs.iter().map(move |config| Item {
                record: record.id.clone(),
                config: config.clone(),
                thread: record.thread.iter().map(|turn| turn.text.clone()).collect(),
                community: record.community.name.clone(),
                message: record.message.text.clone(),
                reply: replies[&(record.id.as_str(), config.as_str())].text.clone(),
            })
        });
        let items: Vec<Item> = items.collect();
        let square = balanced_latin_square(configs.len());
        let plans = (0..count).map(|number| {
            let (turn, condition) = (number / 2, CONDITIONS[number % 2]);
            let mut rng = rng.child("plans").item(number as u64);
            let chosen: Vec<usize> = (0..options.messages)
                .map(|at| (turn * options.messages + at) % whole.len())
                .collect();
            let visits: Vec<usize> = (0..options.messages)
                .map(|at| (turn * options.messages + at) / whole.len())
                .collect();
            let orders: Vec<&Vec<usize>> = chosen
                .iter()
                .zip(visits)
                .map(|(message, visit)| &square[(message + visit) % square.len()])
                .collect();
            let mut order: Vec<usize> = (0..options.messages).collect();
            rng.shuffle(&mut order);
            let seen = order.iter().flat_map(|&at| {
                let message = chosen[at];
                orders[at]
                    .iter()
                    .map(move |config| message * configs.len() + config)
            });
            let seen: Vec<usize> = seen.collect();
            // One check a message, never at its first reply.
            let checks = (0..options.messages).map(|at| {
                let place = at * configs.len() + 1 + rng.below(configs.len() - 1);
                (place, 1 + rng.below(usize::from(options.points)) as i64)
            });
            Plan {
                participant: format!("p{:03}", number + 1),
                condition: condition.to_owned(),
                checks: checks.collect(),
                items: seen,
            }
        });
        Ok(Self {
            prereg_sha: prereg_sha.to_owned(),
            seed: options.seed,
            points: options.points,
            configs: configs.clone(),
            aspects: aspects(),
            plans: plans.collect(),
            items,
        })
    }

    /// Reads a design.
    ///
    /// # Errors
    /// [`SystemError::Input`].
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let wrong = |reason: &dyn std::fmt::Display| {
            SystemError::Input(format!(
                "`{}` is not a design ({reason}): `study design` writes one",
                path.display()
            ))
        };
        let design: Self =
            serde_json::from_str(&read_text(path)?).map_err(|error| wrong(&error))?;
        let known = |plan: &Plan| plan.items.iter().all(|at| *at < design.items.len());
        match design.plans.iter().all(known) {
            true => Ok(design),
            false => Err(wrong(&"a participant is to see an item that is not there")),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SystemError> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| SystemError::Failed(error.to_string()))?;
        Ok(write_bytes(path, &bytes)?)
    }
}

/// The paper's six aspects, in statements of ours.
fn aspects() -> Vec<Aspect> {
    let agree = |name: &str, statement: &str| Aspect {
        name: name.to_owned(),
        statement: statement.to_owned(),
        low: "not at all".to_owned(),
        high: "completely".to_owned(),
    };
    vec![
        agree("relevance", "The reply is about what the comment says."),
        agree("adequacy", "The reply is a fitting answer to the comment."),
        agree("truthfulness", "What the reply says is true."),
        agree(
            "persuasiveness_user",
            "The reply could change the mind of the person who wrote the comment.",
        ),
        agree(
            "persuasiveness_others",
            "The reply could persuade others who read the conversation.",
        ),
        agree(
            "artificiality",
            "The reply sounds as if a machine wrote it.",
        ),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::super::synthetic;
    use super::*;

    fn rows(records: &[Record], configs: &[&str]) -> Vec<Row> {
        let row = |record: &Record, config: &str| Row {
            record: record.id.clone(),
            config: config.to_owned(),
            model: String::new(),
            context: String::new(),
            prompts: String::new(),
            prompt_sha: String::new(),
            record_sha: String::new(),
            model_sha: String::new(),
            adapter_sha: None,
            seed: 0,
            text: format!("{config} to {}", record.id),
            refused: false,
            tokens: 1,
            seconds: 0.0,
            absent: Vec::new(),
            machine_text: true,
        };
        let all = records
            .iter()
            .flat_map(|record| configs.iter().map(move |config| row(record, config)));
        all.collect()
    }

    #[test]
    fn every_reply_gets_its_ratings_in_both_conditions() {
        let records = synthetic().unwrap();
        let configs = [
            "Ba", "Ba.Pr", "Ba.Hi", "Ba.Su", "Ba.Pr.Hi", "Ba.Pr.Su", "Ba.Co",
        ];
        let rows = rows(&records[..10], &configs);
        let options = DesignOptions {
            configs: configs.map(str::to_owned).to_vec(),
            messages: 4,
            ratings: 6,
            participants: 0,
            points: 5,
            seed: 3,
        };
        let design = Design::plan(&rows, &records, "x", &options).unwrap();
        assert_eq!(design.plans.len(), 2 * 15);
        for condition in CONDITIONS {
            let mut seen = vec![0; design.items.len()];
            let mut first: BTreeMap<&str, usize> = BTreeMap::new();
            for plan in design.plans.iter().filter(|it| it.condition == condition) {
                assert_eq!((plan.items.len(), plan.checks.len()), (28, 4));
                for (place, item) in plan.items.iter().enumerate() {
                    seen[*item] += 1;
                    if place % 7 == 0 {
                        *first.entry(&design.items[*item].config).or_default() += 1;
                    }
                }
                // The seven replies to a message stand together.
                for block in plan.items.chunks(7) {
                    assert!(block.iter().all(|it| it / 7 == block[0] / 7));
                }
            }
            assert!(seen.iter().all(|it| *it == 6), "{seen:?}");
            // 60 blocks begin with each of 7 about equally often.
            assert!(first.values().all(|it| (6..=12).contains(it)), "{first:?}");
        }
        let few = DesignOptions {
            participants: 10,
            ..options.clone()
        };
        let error = Design::plan(&rows, &records, "x", &few)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("10 participants") && error.contains("30 do"),
            "{error}"
        );
        assert_eq!(
            Design::plan(&rows, &records, "x", &options).unwrap(),
            design
        );
    }
}
