//! Labels and scores of recorded cases of the official code. All cases are checked by `tests/codearena.rs`; these ship inside
//! the program.

use base::command::Failure;
use base::proof::{Claim, Report};
use serde_json::Value;

use super::unusable;
use crate::codearena::config::JudgeConfig;
use crate::codearena::item::Item;
use crate::codearena::scores::{JudgedItem, Scores};
use crate::codearena::verdict::Verdict;

const VERDICTS: &str = include_str!("../../../tests/fixtures/codearena/verdict_parse.json");
const SCORES: &str = include_str!("../../../tests/fixtures/codearena/scores.json");

/// Compares and reports.
pub(super) fn prove(report: &mut Report) -> Result<(), Failure> {
    let cases = |text: &str| -> Result<Vec<Value>, Failure> {
        let json: Value = serde_json::from_str(text).map_err(unusable)?;
        Ok(json
            .get("cases")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default())
    };
    let config = JudgeConfig::builtin().map_err(unusable)?;
    let verdicts = cases(VERDICTS)?;
    let equal = |case: &&Value| {
        let text = case.get("in").and_then(Value::as_str).unwrap_or_default();
        let verdict = Verdict::read(&config.pattern, text);
        let label = case.get("label").and_then(Value::as_str);
        let again = case.get("try_again").and_then(Value::as_bool);
        verdict.label() == label && again == Some(verdict == Verdict::Missing)
    };
    let right = verdicts.iter().filter(equal).count();
    let scores = cases(SCORES)?;
    let same = scores
        .iter()
        .filter(|case| scored(case) == Some(true))
        .count();
    report.claims.push(Claim::settled(
        [
            "Labels and scores are those of the official code",
            "every recorded case equal",
        ],
        "official code, commit d5ead97",
        right == verdicts.len() && same == scores.len() && !scores.is_empty(),
        format!(
            "{right} of {} judgements and {same} of {} score sheets equal",
            verdicts.len(),
            scores.len()
        ),
    ));
    Ok(())
}

/// Whether a case's scores come out again.
fn scored(case: &Value) -> Option<bool> {
    let objects = case.get("objs")?.as_array()?;
    let items: Option<Vec<JudgedItem>> = objects
        .iter()
        .map(|object| {
            let mut record = object.as_object()?.clone();
            record.insert("question".into(), "".into());
            JudgedItem::new(Item::from_record(record, 0).ok()?).ok()
        })
        .collect();
    let official = Scores::of(&items?, None).official();
    let near =
        |key: &str| Some((official.get(key)?.as_f64()? - case.get(key)?.as_f64()?).abs() <= 1e-12);
    Some(
        near("score")?
            && near("win_rate")?
            && near("tie_rate")?
            && official.get("main_classified_win_rate")? == case.get("main")?
            && official.get("sub_classified_win_rate")? == case.get("sub")?,
    )
}
