//! Algorithmic indicators of replies. Which metrics the paper uses is not known; these are ours.

use std::collections::{BTreeMap, BTreeSet};

use base::command::{Context, Failure, Steps};
use serde::Serialize;

use super::ngram::CharacterModel;
use super::readability::Readability;
use super::rouge::{rouge_l, rouge_n, tokens};
use super::style::{StyleScale, cosine, profile_similarity};
use super::{Record, Replier, Row, SystemError};
use crate::guardian::{Guardian, Message, RiskConfig};

/// What is measured of each reply, in the order of the table.
pub const COLUMNS: [&str; 13] = [
    "rouge_1",
    "rouge_2",
    "rouge_l",
    "rouge_l_parent",
    "cosine_message",
    "cosine_parent",
    "flesch",
    "sentence_length",
    "toxicity",
    "adaptation",
    "profile",
    "topic",
    "style",
];

/// The six panels of the paper's figure: name, whether more is better, and the columns that stand for it, the first one that
/// was measured (diversity is one of a whole configuration).
pub const PANELS: [(&str, bool, &[&str]); 6] = [
    ("relevance", true, &["rouge_l"]),
    ("diversity", true, &[]),
    ("readability", true, &["flesch"]),
    ("toxicity", false, &["toxicity"]),
    ("adaptation", true, &["adaptation", "profile"]),
    ("personalization", true, &["topic", "style"]),
];

/// What measures beyond the text itself.
#[derive(Default)]
pub struct Instruments<'a> {
    /// Embeddings for cosines; none leaves them out.
    pub embedder: Option<&'a Replier>,
    /// P(harm) of a reply; none leaves toxicity out.
    pub guard: Option<&'a Guardian>,
    /// Examples of a community that prompts show and that its language model therefore does not learn from.
    pub shown: usize,
}

impl std::fmt::Debug for Instruments<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Instruments(embedder {}, guard {})",
            self.embedder.is_some(),
            self.guard.is_some()
        )
    }
}

/// Indicators of one reply.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The record.
    pub record: String,
    /// The configuration.
    pub config: String,
    /// Whether it is a refusal, of which nothing is measured.
    pub refused: bool,
    /// One for each of [`COLUMNS`]; none where there is nothing to compare with.
    pub values: [Option<f64>; COLUMNS.len()],
}

/// Measures every reply. Refusals and replies to unknown records are not measured; the latter are named in an error.
///
/// # Errors
/// [`SystemError::Input`] for a reply without its record; what the instruments report.
pub fn measure(
    rows: &[Row],
    records: &[Record],
    instruments: &Instruments<'_>,
    context: Context,
    quiet: bool,
) -> Result<Vec<Measured>, Failure> {
    let by_id: BTreeMap<&str, &Record> = records.iter().map(|it| (it.id.as_str(), it)).collect();
    if let Some(row) = rows
        .iter()
        .find(|row| !by_id.contains_key(row.record.as_str()))
    {
        return Err(SystemError::Input(format!(
            "there is no record `{}`, which a reply answers: give the records that the replies were made from with `--data`",
            row.record
        ))
        .into());
    }
    let world = World::of(rows, records, &by_id, instruments, context, quiet)?;
    let mut steps = Steps::new("replies", quiet);
    let mut measured = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        steps.at(at, rows.len());
        context.proceed()?;
        measured.push(Measured {
            record: row.record.clone(),
            config: row.config.clone(),
            refused: row.refused,
            values: match row.refused {
                true => [None; COLUMNS.len()],
                false => world.values(&row.text, by_id[row.record.as_str()])?,
            },
        });
    }
    steps.finish();
    Ok(measured)
}

/// What replies are compared with.
struct World<'a> {
    guard: Option<(&'a Guardian, RiskConfig)>,
    /// Embeddings of all texts, centred on their mean.
    embeddings: BTreeMap<String, Vec<f64>>,
    /// For each community its own language model and one of the others.
    models: BTreeMap<&'a str, [Option<CharacterModel>; 2]>,
    examples: BTreeMap<&'a str, String>,
    scale: StyleScale,
}

impl<'a> World<'a> {
    fn of(
        rows: &[Row],
        records: &'a [Record],
        by_id: &BTreeMap<&str, &'a Record>,
        instruments: &Instruments<'a>,
        context: Context,
        quiet: bool,
    ) -> Result<Self, Failure> {
        let mut examples: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for record in records {
            let own = record.community.examples.iter().map(String::as_str);
            // Few examples: all of them are better than none.
            let skip = match own.len() > instruments.shown {
                true => instruments.shown,
                false => 0,
            };
            examples
                .entry(record.community.name.as_str())
                .or_insert_with(|| own.skip(skip).collect());
        }
        let model = |name: &str| {
            let others = examples.iter().filter(|(other, _)| **other != name);
            let others = others.flat_map(|(_, texts)| texts.iter().copied());
            [
                CharacterModel::learn(examples[name].iter().copied()),
                CharacterModel::learn(others),
            ]
        };
        let histories = records.iter().flat_map(|it| &it.user.history);
        let texts: BTreeSet<&str> = histories.map(String::as_str).collect();
        let mut embeddings = BTreeMap::new();
        if let Some(embedder) = instruments.embedder {
            let answered = rows.iter().filter(|row| !row.refused);
            let mut all = texts.clone();
            for row in answered {
                let record = by_id[row.record.as_str()];
                all.extend([row.text.as_str(), &record.message.text]);
                all.extend(record.thread.last().map(|turn| turn.text.as_str()));
            }
            let mut steps = Steps::new("embeddings", quiet);
            for (at, text) in all.iter().enumerate() {
                steps.at(at, all.len());
                context.proceed()?;
                if let Some(vector) = embedder.embed(text)? {
                    embeddings.insert((*text).to_owned(), vector);
                }
            }
            steps.finish();
            centre(&mut embeddings);
        }
        let guard = match instruments.guard {
            Some(guard) => Some((guard, RiskConfig::new(Some("harm"), None)?)),
            None => None,
        };
        Ok(Self {
            guard,
            embeddings,
            models: examples.keys().map(|name| (*name, model(name))).collect(),
            examples: examples
                .iter()
                .map(|(name, texts)| (*name, texts.join("\n")))
                .collect(),
            scale: StyleScale::of(texts),
        })
    }

    fn cosine(&self, a: &str, b: &str) -> Option<f64> {
        cosine(self.embeddings.get(a)?, self.embeddings.get(b)?)
    }

    fn values(
        &self,
        text: &str,
        record: &Record,
    ) -> Result<[Option<f64>; COLUMNS.len()], SystemError> {
        let (reply, message) = (tokens(text), tokens(&record.message.text));
        let parent = record.thread.last().map(|turn| turn.text.as_str());
        let readability = Readability::of(text);
        let name = record.community.name.as_str();
        let adaptation = match self.models.get(name) {
            Some([Some(own), Some(others)]) => {
                let losses = others.loss(text).zip(own.loss(text));
                losses.map(|(others, own)| others - own)
            }
            _ => None,
        };
        let history = &record.user.history;
        let topics: Vec<f64> = history
            .iter()
            .filter_map(|it| self.cosine(text, it))
            .collect();
        let topic = topics.iter().sum::<f64>() / topics.len() as f64;
        let toxicity = match &self.guard {
            Some((guard, risk)) => {
                let messages = [
                    Message::new("user", record.message.text.as_str()),
                    Message::new("assistant", text),
                ];
                Some(guard.assess(&messages, risk)?.probability)
            }
            None => None,
        };
        let examples = self.examples.get(name).filter(|texts| !texts.is_empty());
        Ok([
            Some(rouge_n(&reply, &message, 1).f),
            Some(rouge_n(&reply, &message, 2).f),
            Some(rouge_l(&reply, &message).f),
            parent.map(|parent| rouge_l(&reply, &tokens(parent)).f),
            self.cosine(text, &record.message.text),
            parent.and_then(|parent| self.cosine(text, parent)),
            readability.flesch(),
            Some(readability.sentence_length()),
            toxicity,
            adaptation,
            examples.and_then(|texts| profile_similarity(text, texts)),
            Some(topic).filter(|topic| topic.is_finite()),
            match history.is_empty() {
                true => None,
                false => self.scale.similarity(text, &history.join("\n")),
            },
        ])
    }
}

/// Takes the mean of all vectors from each.
fn centre(vectors: &mut BTreeMap<String, Vec<f64>>) {
    let width = vectors.values().next().map_or(0, Vec::len);
    let mut mean = vec![0.0; width];
    for vector in vectors.values() {
        mean.iter_mut()
            .zip(vector)
            .for_each(|(sum, value)| *sum += value);
    }
    let count = vectors.len().max(1) as f64;
    for vector in vectors.values_mut() {
        vector
            .iter_mut()
            .zip(&mean)
            .for_each(|(value, sum)| *value -= sum / count);
    }
}

/// Column `name` of a reply.
pub(super) fn value(measured: &Measured, name: &str) -> Option<f64> {
    let at = COLUMNS.iter().position(|column| *column == name)?;
    measured.values[at]
}
