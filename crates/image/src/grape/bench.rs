//! Benchmarks: prompts with questions, answered of the picture before and after editing.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SystemError;
use super::dsg::{self, Dependencies};
use super::judge::Judge;
use super::pipeline::Made;

/// A prompt with its questions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// What the picture shall show.
    #[serde(alias = "sentence", alias = "text", alias = "caption")]
    pub prompt: String,
    /// Questions by number; a list counts from 1.
    #[serde(
        alias = "question",
        alias = "qid2question",
        deserialize_with = "numbered"
    )]
    pub questions: BTreeMap<u32, String>,
    /// Which questions a question stands on (DSG).
    #[serde(default, alias = "dependency", alias = "qid2dependency")]
    pub dependencies: Option<Dependencies>,
}

fn numbered<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<u32, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Questions {
        List(Vec<String>),
        Map(BTreeMap<String, String>),
    }
    match Questions::deserialize(from)? {
        Questions::List(all) => Ok((1..).zip(all).collect()),
        Questions::Map(all) => {
            let number = |(id, text): (String, String)| Some((id.trim().parse().ok()?, text));
            let read: Option<BTreeMap<u32, String>> = all.into_iter().map(number).collect();
            read.ok_or_else(|| serde::de::Error::custom("a question's number is none"))
        }
    }
}

/// The items of a file: one array, one object of items, or JSON lines. Fields have the names of ConceptMix (`sentence`, `question`) or
/// DSG (`text`, `qid2question`, `qid2dependency`).
///
/// # Errors
/// [`SystemError::Input`] with the place of what cannot be read; without items.
pub fn read(path: &Path) -> Result<Vec<Item>, SystemError> {
    let wrong = |reason: String| SystemError::path(path, reason);
    let text = base::files::read_to_string(path).map_err(|cause| wrong(cause.to_string()))?;
    let values: Vec<Value> = match serde_json::from_str(&text) {
        Ok(Value::Array(all)) => all,
        Ok(Value::Object(one)) if one.values().all(Value::is_object) => {
            one.into_iter().map(|(_, it)| it).collect()
        }
        Ok(one) => vec![one],
        Err(_) => {
            let lines = text.lines().enumerate();
            let lines = lines.filter(|(_, line)| !line.trim().is_empty());
            let read = |(at, line): (usize, &str)| {
                serde_json::from_str(line)
                    .map_err(|cause| wrong(format!("line {}: {cause}", at + 1)))
            };
            lines.map(read).collect::<Result<_, _>>()?
        }
    };
    let items: Vec<Item> = values
        .into_iter()
        .enumerate()
        .map(|(at, it)| {
            let item: Result<Item, _> = serde_json::from_value(it);
            let item = item.map_err(|cause| wrong(format!("item {}: {cause}", at + 1)))?;
            match item.questions.is_empty() {
                true => Err(wrong(format!("item {} has no question", at + 1))),
                false => Ok(item),
            }
        })
        .collect::<Result<_, _>>()?;
    match items.is_empty() {
        true => Err(wrong("it holds no prompt".into())),
        false => Ok(items),
    }
}

/// Answers by the number of the question.
pub type Answers = BTreeMap<u32, bool>;

/// What became of an item, a line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its prompt.
    pub prompt: String,
    /// Answers about the picture before editing.
    pub base: Answers,
    /// Answers about the result.
    pub edited: Answers,
    /// Edits.
    pub steps: usize,
    /// Tokens of the planner, asked and answered.
    pub tokens: [u64; 2],
    /// Seconds of drawing, planning and editing.
    pub seconds: [f64; 3],
}

impl Outcome {
    /// Asks `judge` about both pictures.
    ///
    /// # Errors
    /// [`SystemError`] of the judge.
    pub fn of(item: &Item, made: &Made, judge: &dyn Judge) -> Result<Self, SystemError> {
        let questions: Vec<String> = item.questions.values().cloned().collect();
        let answer = |picture| -> Result<Answers, SystemError> {
            let answers = judge.answers(picture, &questions)?;
            Ok(item.questions.keys().copied().zip(answers).collect())
        };
        let base = answer(&made.pictures[0])?;
        let edited = match made.picture == made.pictures[0] {
            true => base.clone(),
            false => answer(&made.picture)?,
        };
        let drafts = &made.trace.drafts;
        let spent = |at: usize| drafts.iter().map(|it| it.seconds[at]).sum();
        Ok(Self {
            prompt: item.prompt.clone(),
            base,
            edited,
            steps: made.trace.edits.len(),
            tokens: [
                drafts.iter().map(|it| it.prompt_tokens).sum(),
                drafts.iter().map(|it| it.output_tokens).sum(),
            ],
            seconds: [
                spent(0),
                spent(1),
                made.trace.edits.iter().map(|it| it.seconds).sum(),
            ],
        })
    }
}

/// Scores before and after editing, and what it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// Items.
    pub items: usize,
    /// Share of all answers that are yes.
    pub mean_question_score: [f64; 2],
    /// Share of items with no other answer.
    pub full_mark_rate: [f64; 2],
    /// Mean over items of the share of yes, as DSG has it without dependencies.
    pub dsg: [f64; 2],
    /// The same with dependencies, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dsg_with_dependencies: Option<[f64; 2]>,
    /// By how much of itself the mean question score rises; absent where it was 0.
    pub gain: Option<f64>,
    /// Mean number of edits.
    pub steps: f64,
    /// Mean seconds of an edit; absent without one.
    pub seconds_per_edit: Option<f64>,
    /// Tokens of the planner for one item, asked and answered.
    pub tokens: [f64; 2],
}

impl Scores {
    /// Of all items and what became of them, in the same order.
    pub fn of(items: &[Item], outcomes: &[Outcome]) -> Self {
        let count = outcomes.len().max(1) as f64;
        let sides: [fn(&Outcome) -> &Answers; 2] = [|it| &it.base, |it| &it.edited];
        let answers = sides.map(|side| -> Vec<Vec<bool>> {
            outcomes
                .iter()
                .map(|it| side(it).values().copied().collect())
                .collect()
        });
        let dsg = |with: bool| {
            sides.map(|side| {
                let each = items.iter().zip(outcomes).map(|(item, it)| {
                    dsg::score(side(it), item.dependencies.as_ref().filter(|_| with))
                });
                each.sum::<f64>() / count
            })
        };
        let [base, edited] = [0, 1].map(|at| dsg::mean_question_score(&answers[at]));
        let edits: usize = outcomes.iter().map(|it| it.steps).sum();
        let spent: f64 = outcomes.iter().map(|it| it.seconds[2]).sum();
        let tokens =
            |at: usize| outcomes.iter().map(|it| it.tokens[at]).sum::<u64>() as f64 / count;
        Self {
            items: outcomes.len(),
            mean_question_score: [base, edited],
            full_mark_rate: [0, 1].map(|at| dsg::full_mark_rate(&answers[at])),
            dsg: dsg(false),
            dsg_with_dependencies: items
                .iter()
                .any(|it| it.dependencies.is_some())
                .then(|| dsg(true)),
            gain: (base > 0.0).then(|| dsg::gain(base, edited)),
            steps: edits as f64 / count,
            seconds_per_edit: (edits > 0).then(|| spent / edits as f64),
            tokens: [tokens(0), tokens(1)],
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_both_benchmarks_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            super::read(&path)
        };
        let lines = "{\"index\": 3, \"sentence\": \"a cat\", \"question\": [\"Is there a cat?\"]}\n\n\
                     {\"text\": \"a dog\", \"qid2question\": {\"2\": \"Is it black?\", \"1\": \"Is there a dog?\"}, \"qid2dependency\": {\"2\": [1]}}";
        let items = read(lines).unwrap();
        assert_eq!(items[0].questions[&1], "Is there a cat?");
        assert_eq!(items[1].dependencies.as_ref().unwrap()[&2], [1]);
        for wrong in [
            "",
            "[]",
            "{\"text\": \"a\"}",
            "[{\"text\": \"a\", \"question\": []}]",
            "{\"x\": 1",
        ] {
            assert!(matches!(read(wrong), Err(SystemError::Input(_))), "{wrong}");
        }
    }

    #[test]
    fn scores_before_and_after() {
        let item = |with: Option<Dependencies>| Item {
            prompt: "a".into(),
            questions: BTreeMap::from([(1, "x".into()), (2, "y".into())]),
            dependencies: with,
        };
        let outcome = |base: [bool; 2]| Outcome {
            prompt: "a".into(),
            base: (1..).zip(base).collect(),
            edited: BTreeMap::from([(1, true), (2, true)]),
            steps: 1,
            tokens: [10, 5],
            seconds: [1.0, 1.0, 2.0],
        };
        let items = [item(None), item(Some(BTreeMap::from([(2, vec![1])])))];
        let outcomes = [outcome([true, true]), outcome([false, true])];
        let scores = Scores::of(&items, &outcomes);
        assert_eq!(scores.mean_question_score, [0.75, 1.0]);
        assert_eq!(scores.dsg_with_dependencies, Some([0.5, 1.0]));
        assert_eq!((scores.full_mark_rate, scores.steps), ([0.5, 1.0], 1.0));
        assert_eq!(scores.seconds_per_edit, Some(2.0));
    }
}
