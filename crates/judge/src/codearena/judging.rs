//! All games of a file: several at a time, each recorded the moment it is over, none played twice.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base::endpoint::ChatError;
use base::job::jsonl::{self, JsonlError, Record};
use base::job::log::{Log, LogError};
use base::job::workers;
use serde_json::{Value, json};

use super::backend::Judge;
use super::config::JudgeConfig;
use super::games::{GAMES, Game, Matchup, play};
use super::item::{Item, TOO_MANY_WORDS};

/// What to judge with.
pub struct JudgingConfig<'a> {
    /// How the judge is asked.
    pub config: &'a JudgeConfig,
    /// The judge.
    pub judge: &'a dyn Judge,
    /// The baseline's name.
    pub baseline: &'a str,
    /// Games at a time, at least 1.
    pub workers: usize,
    /// Judge questions of [`TOO_MANY_WORDS`] and more too.
    pub keep_long: bool,
    /// Play games again that the log holds without a label.
    pub retry_unlabelled: bool,
    /// Becomes true when no further game shall begin.
    pub stop: &'a AtomicBool,
}

/// Games in a row that go without an answer before no further one begins; fewer where none was answered yet.
const PATIENCE: usize = 20;
/// The same while no game was answered.
const FIRST_PATIENCE: usize = 3;

/// What became of a file's items.
#[derive(Clone, Debug, Default)]
pub struct JudgingOutcome {
    /// Records of the items with all games, in the file's order.
    pub judged: Vec<Record>,
    /// Games that were played in earlier runs.
    pub resumed: usize,
    /// Games that were played now.
    pub played: usize,
    /// Games that were not played: they are in no log and no record.
    pub missing: usize,
    /// Games with a label.
    pub labelled: usize,
    /// Items left out because their question is too long.
    pub long: usize,
    /// Items that lack an answer, one line each.
    pub troubles: Vec<String>,
    /// The first error that kept a game from being played.
    pub error: Option<ChatError>,
}

/// Why judging cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum JudgingError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] JsonlError),
    /// The log cannot be written.
    #[error(transparent)]
    Write(#[from] LogError),
}

/// Opens, so that no further game begins, after an error that will last or after too many games in a row without an answer.
#[derive(Debug, Default)]
struct CircuitBreaker {
    open: AtomicBool,
    answered: AtomicBool,
    /// Games in a row without an answer.
    unanswered: AtomicUsize,
}

impl CircuitBreaker {
    fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    fn record(&self, result: &Result<Game, ChatError>) {
        let Err(error) = result else {
            self.answered.store(true, Ordering::SeqCst);
            return self.unanswered.store(0, Ordering::SeqCst);
        };
        let patience = match self.answered.load(Ordering::SeqCst) {
            true => PATIENCE,
            false => FIRST_PATIENCE,
        };
        if error.is_lasting() || self.unanswered.fetch_add(1, Ordering::SeqCst) + 1 >= patience {
            self.open.store(true, Ordering::SeqCst);
        }
    }
}

/// An item that can be judged.
struct Entry<'a> {
    item: &'a Item,
    baseline: &'a str,
    model: &'a str,
    hash: String,
    games: [Option<Game>; GAMES],
}

/// Plays all games that `log` does not hold yet. `at` is called with the number of games done and of all games.
///
/// # Errors
/// [`JudgingError`]; games that were played are in the log.
pub fn judge_all(
    items: &[Item],
    plan: &JudgingConfig<'_>,
    log: &Path,
    at: &mut dyn FnMut(usize, usize),
) -> Result<JudgingOutcome, JudgingError> {
    let mut outcome = JudgingOutcome::default();
    let mut entries = entries(items, plan, &mut outcome);
    let mut file = Log::open(log)?;
    outcome.resumed = resume(&mut entries, log, plan.retry_unlabelled)?;
    let todo: Vec<(usize, usize)> = (0..entries.len())
        .flat_map(|at| (0..GAMES).map(move |game| (at, game)))
        .filter(|&(at, game)| {
            entries
                .get(at)
                .is_some_and(|entry| entry.games.get(game).is_some_and(Option::is_none))
        })
        .collect();
    let total = entries.len() * GAMES;
    at(outcome.resumed, total);
    let mut done = Vec::new();
    let breaker = CircuitBreaker::default();
    workers::run(
        todo.len(),
        plan.workers,
        plan.stop,
        |job| {
            let (index, game) = todo.get(job).copied().filter(|_| !breaker.is_open())?;
            let entry = entries.get(index)?;
            let result = play(&entry.as_match(), game, plan.config, plan.judge);
            breaker.record(&result);
            Some((index, game, result))
        },
        |_, result| {
            match result {
                Some((index, game, Ok(played))) => {
                    if let Some(entry) = entries.get(index) {
                        file.append(&entry.line(game, &played))?;
                    }
                    outcome.played += 1;
                    done.push((index, game, played));
                    at(outcome.resumed + outcome.played, total);
                }
                // What ends the run is what must be reported.
                Some((_, _, Err(error)))
                    if error != ChatError::Stopped
                        && (error.is_lasting() || outcome.error.is_none()) =>
                {
                    outcome.error = Some(error);
                }
                _ => {}
            }
            Ok::<(), JudgingError>(())
        },
    )?;
    for (index, game, played) in done {
        if let Some(place) = entries
            .get_mut(index)
            .and_then(|entry| entry.games.get_mut(game))
        {
            *place = Some(played);
        }
    }
    outcome.missing = total - outcome.resumed - outcome.played;
    let games = entries
        .iter()
        .flat_map(|entry| entry.games.iter().flatten());
    outcome.labelled = games.filter(|game| game.score.is_some()).count();
    outcome.judged = entries
        .into_iter()
        .filter_map(|entry| entry.record(plan))
        .collect();
    Ok(outcome)
}

fn entries<'a>(
    items: &'a [Item],
    plan: &JudgingConfig<'_>,
    outcome: &mut JudgingOutcome,
) -> Vec<Entry<'a>> {
    let config = format!("{:016x}", plan.config.fingerprint());
    let judge = plan.judge.name();
    let mut all = Vec::new();
    for item in items {
        let (model, baseline) = match (item.text("response"), item.baseline(plan.baseline)) {
            (Some(model), Some(baseline)) => (model, baseline),
            (None, _) => {
                let id = base::command::one_line(&item.id);
                outcome
                    .troubles
                    .push(format!("item `{id}` has no `response`: left out"));
                continue;
            }
            (_, None) => {
                let id = base::command::one_line(&item.id);
                let name = plan.baseline;
                outcome
                    .troubles
                    .push(format!("item `{id}` has no `{name}_response`: left out"));
                continue;
            }
        };
        if !plan.keep_long && item.words() >= TOO_MANY_WORDS {
            outcome.long += 1;
            continue;
        }
        let parts = [&item.question, baseline, model, &config, &judge];
        all.push(Entry {
            item,
            baseline,
            model,
            hash: format!("{:016x}", super::fingerprint(&parts)),
            games: [None, None],
        });
    }
    all
}

impl Entry<'_> {
    fn as_match(&self) -> Matchup<'_> {
        Matchup {
            id: &self.item.id,
            question: &self.item.question,
            baseline: self.baseline,
            model: self.model,
        }
    }

    /// A game as it stands in the log.
    fn line(&self, game: usize, played: &Game) -> Value {
        json!({"id": self.item.id, "game": game, "hash": self.hash, "played": played})
    }

    /// The item with its games, where all were played.
    fn record(self, plan: &JudgingConfig<'_>) -> Option<Record> {
        let games: Option<Vec<Game>> = self.games.into_iter().collect();
        let mut record = self.item.record.clone();
        record.insert("uid".into(), json!(self.item.id));
        record.insert("question".into(), json!([self.item.question]));
        record.insert("games".into(), json!(games?));
        record.insert("baseline_name".into(), json!(plan.baseline));
        record.insert("judge".into(), json!(plan.judge.name()));
        Some(record)
    }
}

/// Takes over the games that the log holds for the same question, answers, judge and wording.
/// A game without an answer, as older versions recorded it, is as if it were not there; so is one without a label where
/// `retry_unlabelled`. Of several records of a game the last counts, but one with a label before one without.
fn resume(
    entries: &mut [Entry<'_>],
    log: &Path,
    retry_unlabelled: bool,
) -> Result<usize, JudgingError> {
    let places: HashMap<String, usize> = entries
        .iter()
        .enumerate()
        .map(|(at, entry)| (format!("{} {}", entry.hash, entry.item.id), at))
        .collect();
    for (_, mut line) in jsonl::read_any(log)?.records {
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let place = places.get(&format!("{} {}", text("hash"), text("id")));
        let number = line.get("game").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let played = line
            .remove("played")
            .and_then(|value| serde_json::from_value::<Game>(value).ok())
            .filter(|game| game.answered() && (game.score.is_some() || !retry_unlabelled));
        let slot = place
            .and_then(|&at| entries.get_mut(at))
            .and_then(|entry| entry.games.get_mut(usize::try_from(number).ok()?));
        if let (Some(slot), Some(game)) = (slot, played) {
            let better = |old: &Game| game.score.is_some() || old.score.is_none();
            if slot.as_ref().is_none_or(better) {
                *slot = Some(game);
            }
        }
    }
    let games = entries
        .iter()
        .flat_map(|entry| entry.games.iter().flatten());
    Ok(games.count())
}
