//! The whole chain on real prompts and answers: Arena-Hard v0.1, 500 prompts, three models (Apache-2.0). The data is not
//! committed; it is read from `../shared/data` beside the workspace.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use base::endpoint::ChatError;
use base::job::jsonl::{self, Record};
use base::rng::Rng;
use judge::codearena::backend::{Call, Judge, RubricJudge};
use judge::codearena::config::JudgeConfig;
use judge::codearena::item::{Item, read_items};
use judge::codearena::judging::{JudgingConfig, JudgingOutcome, judge_all};
use judge::codearena::rating::Board;
use judge::codearena::scores::{JudgedItem, Scores};
use serde_json::json;

const BASELINE: &str = "gpt-4-0314";
const MODELS: [&str; 2] = ["gpt-4-0613", "gpt-3.5-turbo-0125"];

fn data() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let folder = workspace.parent()?.join("shared/data/arena-hard-v0.1");
    folder.is_dir().then_some(folder)
}

fn answers(folder: &Path, model: &str) -> HashMap<String, String> {
    let read = jsonl::read(&folder.join(format!("answers/{model}.jsonl"))).unwrap();
    assert!(read.troubles.is_empty());
    let pair = |(_, record): &(usize, Record)| {
        let text = |field: &str| record[field].as_str().unwrap().to_owned();
        (text("uid"), text("answer"))
    };
    read.records.iter().map(pair).collect()
}

fn items(folder: &Path, model: &str) -> Vec<Item> {
    let (ours, theirs) = (answers(folder, model), answers(folder, BASELINE));
    let mut items = read_items(&folder.join("question.jsonl")).unwrap().items;
    for item in &mut items {
        item.record.insert("response".into(), json!(ours[&item.id]));
        item.record
            .insert(format!("{BASELINE}_response"), json!(theirs[&item.id]));
        item.record.insert("model".into(), json!(model));
    }
    items
}

fn judged(items: &[Item], judge: &dyn Judge, log: &Path) -> JudgingOutcome {
    let config = JudgeConfig::builtin().unwrap();
    let plan = JudgingConfig {
        config: &config,
        judge,
        baseline: BASELINE,
        workers: 2,
        keep_long: true,
        retry_unlabelled: false,
        stop: &AtomicBool::new(false),
    };
    judge_all(items, &plan, log, &mut |_, _| {}).unwrap()
}

fn scored(outcome: &JudgingOutcome) -> Vec<JudgedItem> {
    let item =
        |record: &Record| JudgedItem::new(Item::from_record(record.clone(), 0).unwrap()).unwrap();
    outcome.judged.iter().map(item).collect()
}

/// Knows who shall win: the better model of the published ranking on a seeded share of the items, the same in both places.
struct Scripted {
    share: f32,
}

impl Judge for Scripted {
    fn name(&self) -> String {
        format!("scripted {}", self.share)
    }

    fn judge(&self, call: &Call<'_>) -> Result<String, ChatError> {
        let model_wins = Rng::new(7).child(call.id).chance(self.share);
        let model_is_b = call.game == 0;
        Ok(if model_wins == model_is_b {
            "[[B>A]]"
        } else {
            "[[A>B]]"
        }
        .to_owned())
    }
}

#[test]
fn a_rubric_judge_and_a_scripted_one() {
    let Some(folder) = data() else {
        println!("skipped: ../shared/data/arena-hard-v0.1 is not there");
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let (mut rubric, mut script) = (Board::default(), Board::default());
    for (model, share) in MODELS.into_iter().zip([0.4, 0.25]) {
        let items = items(&folder, model);
        assert_eq!(items.len(), 500);
        let log = out.path().join(format!("{model}.games"));
        let first = judged(&items, &RubricJudge, &log);
        assert_eq!(
            (first.played, first.missing, first.judged.len()),
            (1000, 0, 500)
        );
        // The log makes a second run free, and the outcome does not depend on the order of completion.
        let again = judged(&items, &RubricJudge, &log);
        assert_eq!((again.played, again.resumed), (0, 1000));
        assert_eq!(again.judged, first.judged);
        let scores = Scores::of(&scored(&first), None);
        println!(
            "{model}, rubric: won {:.1} %, tied {:.1} %",
            100.0 * scores.all.win_rate(),
            100.0 * scores.all.tie_rate()
        );
        // The rubric sees both places alike: no item may depend on them.
        let bias = judge::codearena::bias::Bias::of(&scored(&first));
        assert_eq!((bias.disagree, bias.failed_games), (0, 0));

        let scripted = judged(
            &items,
            &Scripted { share },
            &out.path().join(format!("{model}.script")),
        );
        let wins = items
            .iter()
            .filter(|item| Rng::new(7).child(&item.id).chance(share))
            .count();
        let scores = Scores::of(&scored(&scripted), None);
        assert_eq!((scores.all.wins, scores.all.ties), (wins, 0));
        for (board, outcome) in [(&mut rubric, &first), (&mut script, &scripted)] {
            for item in scored(outcome) {
                board.add(model, BASELINE, &item.item.id, &item.labels);
            }
        }
    }
    for (name, board) in [("rubric", &rubric), ("script", &script)] {
        let ratings = board.ratings(BASELINE, 50, &Rng::new(0)).unwrap();
        for rating in &ratings {
            println!(
                "{name}: {} {:.1} {:?}",
                rating.name, rating.rating, rating.interval
            );
        }
        let order: Vec<&str> = ratings.iter().map(|rating| rating.name.as_str()).collect();
        if name == "script" {
            // The order of the published leaderboard.
            assert_eq!(order, [BASELINE, MODELS[0], MODELS[1]]);
        }
    }
}
