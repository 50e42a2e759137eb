//! Why two games are played: full answers against bare ones, under a rubric judge and under one that always says A.

use base::command::Failure;
use base::proof::{Arm, Better, Claim, Experiment, Measure, Outcome, Report, Share, Unit};

use super::{Task, unusable};
use crate::codearena::backend::{FixedJudge, Judge, RubricJudge};
use crate::codearena::bias::Bias;
use crate::codearena::config::JudgeConfig;
use crate::codearena::games::{GAMES, Matchup, play};
use crate::codearena::item::Item;
use crate::codearena::scores::{Ending, JudgedItem};
use crate::codearena::taxonomy::{Class, UNCLASSIFIED};

/// Items of twelve that the rubric judge must decide for the full answer (fixed in the specification).
const WANTED: usize = 10;

/// Plays and reports.
pub(super) fn prove(tasks: &[Task], report: &mut Report) -> Result<(), Failure> {
    let rubric = judge(tasks, &RubricJudge)?;
    let biased = judge(tasks, &FixedJudge("A>B".into()))?;
    let count = |items: &[JudgedItem], ending: Ending| {
        items.iter().filter(|item| item.result() == ending).count()
    };
    let both = |items: &[JudgedItem]| {
        let twice = |item: &&JudgedItem| {
            let signs = item.labels.iter().enumerate();
            signs
                .map(|(game, label)| crate::codearena::scores::points(game, label.as_deref()))
                .all(|points| points > 0)
        };
        items.iter().filter(twice).count()
    };
    let bias = [Bias::of(&rubric), Bias::of(&biased)];
    let [fair, always] = &bias;
    let (wins, ties) = (both(&rubric), count(&biased, Ending::Tie));
    report.claims.push(Claim::settled(
        [
            "A rubric judge prefers code with an explanation to the same code alone",
            "at least 10 of 12 items, in both orders",
        ],
        "specification of this proof, part b",
        wins >= WANTED,
        format!("{wins} of {} items won in both orders", rubric.len()),
    ));
    report.claims.push(Claim::settled(
        [
            "Two games take the effect out of a judge that looks at places alone",
            "a judge that always says A: all items tied, position bias 100 %",
        ],
        "paper, section 3; why games are played twice",
        ties == biased.len() && always.disagree == biased.len(),
        format!(
            "{ties} of {} items tied, {} decided by the place; the rubric judge: {}",
            biased.len(),
            always.disagree,
            fair.disagree
        ),
    ));
    let arms = ["rubric judge", "always A"];
    let mut measures = vec![
        Measure::share("won", "items that the full answer wins"),
        Measure::new("tied", "items without a winner", Better::Near, Unit::Share),
        Measure::new(
            "position bias",
            "items whose two games were won by the same place",
            Better::Lower,
            Unit::Share,
        ),
    ];
    for (arm, (items, bias)) in arms.iter().zip([&rubric, &biased].into_iter().zip(&bias)) {
        let hits = [
            count(items, Ending::Win),
            count(items, Ending::Tie),
            bias.disagree,
        ];
        for (measure, hits) in measures.iter_mut().zip(hits) {
            let share = Share {
                seed: 0,
                hits,
                of: items.len(),
            };
            measure.outcomes.push(Outcome::shares(arm, &[share]));
        }
    }
    report.experiments.push(Experiment {
        title: "Two games".into(),
        about: "Twelve questions of our own, each with one solution shown twice: with an explanation (the model) and as bare code \
                (the baseline). The rubric gives points for explanation, so what is tested is the protocol around it."
            .into(),
        arms: vec![Arm::new(arms[0], "points for code, explanation, coverage, structure"), Arm::new(arms[1], "answers `[[A>B]]` to everything")],
        measures,
    });
    Ok(())
}

/// Both games of every task.
fn judge(tasks: &[Task], judge: &dyn Judge) -> Result<Vec<JudgedItem>, Failure> {
    let broken = |error: String| unusable(error);
    let config = JudgeConfig::builtin().map_err(|error| broken(error.to_string()))?;
    let one = |task: &Task| {
        let bare = format!("```python\n{}\n```", task.code);
        let full = format!(
            "{}\n\n{bare}\n\n`{}` was checked with {} tests.",
            task.explanation,
            task.name,
            task.tests.len()
        );
        let the_match = Matchup {
            id: &task.name,
            question: &task.question,
            baseline: &bare,
            model: &full,
        };
        let labels = (0..GAMES).map(|game| {
            let played = play(&the_match, game, &config, judge)
                .map_err(|error| broken(error.to_string()))?;
            Ok(played.score)
        });
        Ok(JudgedItem {
            item: Item {
                id: task.name.clone(),
                question: task.question.clone(),
                record: serde_json::Map::new(),
            },
            labels: labels.collect::<Result<_, Failure>>()?,
            class: Class {
                main: UNCLASSIFIED,
                sub: UNCLASSIFIED,
            },
        })
    };
    tasks.iter().map(one).collect()
}
