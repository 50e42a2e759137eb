//! From pages to verified answers, with a scripted model whose faults are known.

use base::command::{Context, Failure};

use base::proof::{Arm, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Share};
use base::rng::Rng;
use serde_json::json;

use super::{Task, pages, unusable};
use crate::codearena::classify::Classifier;
use crate::codearena::sandbox::{Check, Grade, Language, Limits, Sandbox, grade};
use crate::codearena::syncode::lang::{LanguageClassifier, Wanted, judge};
use crate::codearena::syncode::scripted::Line;
use crate::codearena::syncode::stage::{Fate, text};
use crate::codearena::syncode::{Scripted, answer, ask, clean};
use base::job::jsonl::Record;

/// Candidates a question.
const CANDIDATES: usize = 4;
/// Chance that a candidate is wrong.
const FAULTS: f32 = 0.5;

/// What one seed gave.
#[derive(Default)]
struct Found {
    /// Right candidates that passed, wrong ones that passed, right ones in all, wrong ones in all.
    right_passed: usize,
    wrong_passed: usize,
    right: usize,
    wrong: usize,
    /// Items whose first candidate passed; items with any that passed; items.
    first: usize,
    best: usize,
    items: usize,
}

/// Runs the steps for each seed and reports.
pub(super) fn prove(
    tasks: &[Task],
    options: &ProofOptions,
    report: &mut Report,
) -> Result<(), Failure> {
    let sandbox = Sandbox::new()?;
    let kept = kept_pages(tasks);
    let clean_text = |page: &&Record| {
        let text = text(page, "text");
        text.contains("```python")
            && !["reserved", "keyboards", "Home of", "track("]
                .iter()
                .any(|scrap| text.contains(scrap))
    };
    let cleaned = kept.iter().filter(clean_text).count();
    report.claims.push(Claim::settled(
        [
            "Pages without code go, boilerplate goes, code stays",
            "10 of 20 pages kept, all of them clean",
        ],
        "paper, section 4: recall and cleaning",
        kept.len() == 10 && cleaned == 10,
        format!("{} of 20 pages kept, {cleaned} clean", kept.len()),
    ));
    let mut all = Vec::new();
    for &seed in &options.seeds {
        all.push((
            seed,
            one_seed(tasks, &kept, &Rng::new(seed), &sandbox, options.context)?,
        ));
    }
    let sum = |of: fn(&Found) -> usize| all.iter().map(|(_, found)| of(found)).sum::<usize>();
    let (right_passed, wrong_passed) = (sum(|f| f.right_passed), sum(|f| f.wrong_passed));
    let (right, wrong) = (sum(|f| f.right), sum(|f| f.wrong));
    report.claims.push(Claim::settled(
        [
            "The sandbox rejects every wrong candidate and keeps every right one",
            "precision and recall 1",
        ],
        "specification of this proof, part c",
        right_passed == right && wrong_passed == 0 && right > 0 && wrong > 0,
        format!(
            "{right_passed} of {right} right ones kept, {wrong_passed} of {wrong} wrong ones kept"
        ),
    ));
    let (first, best, items) = (sum(|f| f.first), sum(|f| f.best), sum(|f| f.items));
    report.claims.push(Claim::settled(
        [
            "Several candidates with verification give more right answers than one",
            "best of 4 above a single sample",
        ],
        "paper, section 4: multiple responses, verified",
        best > first,
        format!("best of 4: {best} of {items}; single: {first} of {items}"),
    ));
    let mut measure = Measure::share("right", "questions with a right answer");
    let shares = |of: fn(&Found) -> usize| -> Vec<Share> {
        all.iter()
            .map(|(seed, found)| Share {
                seed: *seed,
                hits: of(found),
                of: found.items,
            })
            .collect()
    };
    measure.outcomes = vec![
        Outcome::shares("best of 4", &shares(|f| f.best)),
        Outcome::shares("single sample", &shares(|f| f.first)),
    ];
    report.experiments.push(Experiment {
        title: "Synthesis with seeded faults".into(),
        about: "Twenty pages that were written for this proof are cleaned and classified; a scripted model asks ten questions and gives four candidates to each, of \
                which every second one on average is wrong; the sandbox grades them."
            .into(),
        arms: vec![Arm::new("best of 4", "the first of four candidates that passes"), Arm::new("single sample", "the first candidate, as it is")],
        measures: vec![measure],
    });
    report.notes.push(
        "The model of this proof is a script: what is shown is that the steps and the sandbox do their work, not what a language model \
         would write."
            .into(),
    );
    Ok(())
}

/// Language and cleaning of all pages.
fn kept_pages(tasks: &[Task]) -> Vec<Record> {
    let judged = pages::pages(tasks).into_iter().filter_map(|(url, html)| {
        let page = json!({"url": url, "text": html}).as_object().cloned()?;
        match judge(&LanguageClassifier::Words, &page, &Wanted::default()) {
            Ok(Fate::Keep(mut page)) => {
                let cleaned = clean::clean(text(&page, "text")).text;
                page.insert("text".into(), json!(cleaned));
                Some(page)
            }
            _ => None,
        }
    });
    judged.collect()
}

fn one_seed(
    tasks: &[Task],
    kept: &[Record],
    rng: &Rng,
    sandbox: &Sandbox,
    context: Context,
) -> Result<Found, Failure> {
    let broken = |what: String| unusable(what);
    let classifier = Classifier::new();
    let python = Language::named("python").ok_or_else(|| broken("no Python".into()))?;
    let limits = Limits {
        cpu_seconds: 2,
        ..Limits::default()
    };
    let mut found = Found::default();
    for (at, task) in tasks.iter().take(kept.len()).enumerate() {
        context.proceed()?;
        let (script, right) = script(task, &mut rng.item(at as u64));
        let page = kept
            .get(at)
            .ok_or_else(|| broken("a page is missing".into()))?;
        let asked =
            ask::ask(&script, &classifier, page, 1).map_err(|error| broken(error.to_string()))?;
        let Fate::Keep(question) = asked else {
            return Err(broken("the script asks nothing".into()));
        };
        let answered = answer::answer(&script, &question, CANDIDATES as u64, 0.8)
            .map_err(|error| broken(error.to_string()))?;
        let Fate::Keep(record) = answered else {
            return Err(broken("the script answers nothing".into()));
        };
        let candidates = record
            .get("candidates")
            .and_then(|all| all.as_array())
            .cloned()
            .unwrap_or_default();
        let check = Check::Assertions(task.tests.clone());
        let mut passes = Vec::new();
        for (candidate, right) in candidates.iter().zip(&right) {
            let answer = candidate
                .get("text")
                .and_then(|text| text.as_str())
                .unwrap_or_default();
            let graded = grade(sandbox, python, answer, &check, &limits)?;
            let passed = match graded.grade {
                Grade::Unavailable => {
                    return Err(broken(
                        "Python is not installed here, and the proof runs Python".into(),
                    ));
                }
                grade => grade == Grade::Pass,
            };
            passes.push(passed);
            found.right += usize::from(*right);
            found.wrong += usize::from(!right);
            found.right_passed += usize::from(*right && passed);
            found.wrong_passed += usize::from(!right && passed);
        }
        found.items += 1;
        found.first += usize::from(passes.first() == Some(&true));
        found.best += usize::from(passes.contains(&true));
    }
    Ok(found)
}

/// A model that asks the task's question and answers it four times, and which of the answers are right.
fn script(task: &Task, rng: &mut Rng) -> (Scripted, Vec<bool>) {
    let mut right = Vec::new();
    let answers = (0..CANDIDATES).map(|_| {
        let wrong = rng.chance(FAULTS);
        right.push(!wrong);
        let code = match wrong {
            true => task
                .wrong
                .get(rng.below(task.wrong.len()))
                .unwrap_or(&task.code),
            false => &task.code,
        };
        format!("Here is one way.\n\n```python\n{code}\n```")
    });
    let answers: Vec<String> = answers.collect();
    let question = json!({"question": task.question, "algorithmic": true}).to_string();
    let lines = vec![
        Line {
            wanted: task.question.clone(),
            replies: answers,
        },
        Line {
            wanted: "programming question".into(),
            replies: vec![question],
        },
    ];
    (Scripted::new(lines), right)
}
