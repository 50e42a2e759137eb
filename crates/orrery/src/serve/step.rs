//! A step of the batch: what is new of every text of a model goes through it together.

use engine::decode::{each_at_once, log_probability, top_log_probabilities};
use engine::models::decoder::{Cache, Input, Logits, Output, Request, Segment};
use language::harp::{HarpConfig, Sequence, harp_step};

use super::error::ApiError;
use super::row::{Event, Reason, Row, Token, Way};

/// Tokens of prompts in a step where texts are being written: they wait for it.
const READ_BESIDE: usize = 128;
/// And where none is.
const READ_ALONE: usize = 512;
/// A prompt waits for another that is being read where it shares so many tokens more than are there already.
const WORTH_WAITING: usize = 32;
/// Tokens whose scores are computed at once: each has logits of the whole vocabulary.
const SCORED: usize = 32;

/// What a text puts into a step.
enum Share {
    Nothing,
    /// So many of its unread tokens.
    Read(usize),
    /// Its last token, after HARP's way.
    Harp,
    /// A branch a candidate.
    Branches(Vec<Cache>, Vec<[u32; 1]>),
}

/// A step of texts of one model.
///
/// # Errors
/// [`ApiError`] where the model fails; then all of them do.
pub fn step(rows: &mut [&mut Row]) -> Result<(), ApiError> {
    let Some(model) = rows.first().map(|row| row.job.model.clone()) else {
        return Ok(());
    };
    let decoder = model.decoder();
    let mut shares = shares(rows);
    score_prompts(rows, &mut shares)?;
    let hidden = rows.iter().any(|row| row.probe.is_some());
    let request = Request {
        logits: Logits::Last,
        hidden,
        ..Request::default()
    };
    let mut segments = Vec::new();
    for (row, share) in rows.iter_mut().zip(&mut shares) {
        let Row {
            job, tokens, cache, ..
        } = &mut **row;
        match share {
            Share::Read(count) => {
                let from = cache.len();
                segments.push(Segment {
                    input: Input::Ids(&tokens[from..from + *count]),
                    cache,
                    adapters: &job.adapters,
                });
            }
            Share::Branches(caches, ids) => {
                segments.extend(
                    caches
                        .iter_mut()
                        .zip(ids.iter())
                        .map(|(cache, id)| Segment {
                            input: Input::Ids(id),
                            cache,
                            adapters: &job.adapters,
                        }),
                );
            }
            Share::Harp | Share::Nothing => {}
        }
    }
    let outputs = match segments.is_empty() {
        true => Vec::new(),
        false => decoder
            .forward(&mut segments, &request)
            .map_err(ApiError::failed)?,
    };
    drop(segments);
    let mut outputs = outputs.into_iter();
    for (row, share) in rows.iter_mut().zip(shares) {
        match share {
            Share::Read(_) => {
                if let Some(output) = outputs.next() {
                    read(row, output);
                }
            }
            Share::Branches(caches, ids) => {
                let outputs: Vec<Output> = outputs.by_ref().take(ids.len()).collect();
                lean(row, outputs, caches)?;
            }
            Share::Harp | Share::Nothing => {}
        }
    }
    harp(rows)?;
    let mut choosing: Vec<&mut &mut Row> =
        rows.iter_mut().filter(|row| row.logits.is_some()).collect();
    each_at_once(&mut choosing, |row| row.choose());
    Ok(())
}

/// What each text puts into the step. Prompts are read in the order in which they came, as far as the step has room.
fn shares(rows: &mut [&mut Row]) -> Vec<Share> {
    let writing = rows.iter().any(|row| row.begun && !row.reads());
    let mut room = if writing { READ_BESIDE } else { READ_ALONE };
    let mut shares = Vec::with_capacity(rows.len());
    for at in 0..rows.len() {
        let (before, rest) = rows.split_at_mut(at);
        let row = &mut *rest[0];
        if !row.begun {
            row.begin();
            // Another text that is read now may leave more of it.
            if !row.job.echo && before.iter().any(|other| worth_waiting(row, other)) {
                row.begun = false;
                shares.push(Share::Nothing);
                continue;
            }
        }
        shares.push(if !row.candidates.is_empty() {
            let caches = row.candidates.iter().map(|_| row.cache.fork()).collect();
            let ids = row.candidates.iter().map(|&(id, _)| [id]).collect();
            Share::Branches(caches, ids)
        } else if row.sequence.is_some()
            || (matches!(row.job.way, Way::Harp(_)) && row.unread() == 1)
        {
            Share::Harp
        } else {
            // HARP looks at the prompt's last token itself.
            let unread = row.unread() - usize::from(matches!(row.job.way, Way::Harp(_)));
            match row.reads() {
                true => {
                    let count = unread.min(room);
                    room -= count;
                    if count == 0 {
                        Share::Nothing
                    } else {
                        Share::Read(count)
                    }
                }
                false => Share::Read(unread),
            }
        });
    }
    shares
}

/// Whether `other` is reading what `row` begins with.
fn worth_waiting(row: &Row, other: &Row) -> bool {
    if !other.begun || !other.reads() || row.job.adapters.len() != other.job.adapters.len() {
        return false;
    }
    let pairs = row.prompt().iter().zip(other.prompt());
    let common = pairs.take_while(|(a, b)| a == b).count();
    common > row.cache.len() + WORTH_WAITING
}

/// A part of a prompt was read, or the last token.
fn read(row: &mut Row, output: Output) {
    if let (Some(probe), Way::Guide(guide)) = (&mut row.probe, &row.job.way) {
        let width = guide.frame.width().max(1);
        output
            .hidden
            .chunks_exact(width)
            .for_each(|state| probe.push(state));
    }
    if row.unread() == 0 {
        if row.written() == 0 && !row.job.echo {
            row.keep();
        }
        match row.is_full() {
            true => row.finish(Reason::Length, true),
            false => row.logits = Some(output.logits),
        }
    }
}

/// Takes the candidate that leans most.
fn lean(row: &mut Row, outputs: Vec<Output>, caches: Vec<Cache>) -> Result<(), ApiError> {
    let (Way::Guide(guide), Some(probe)) = (&row.job.way, &mut row.probe) else {
        return Ok(());
    };
    let weight = guide.weight;
    let mut best: Option<(usize, f64)> = None;
    for (at, (output, candidate)) in outputs.iter().zip(&row.candidates).enumerate() {
        let total = probe.with(&output.hidden);
        let score = weight.map_or(total, |weight| {
            f64::from(candidate.1) + f64::from(weight) * total
        });
        // The first of equals: the likelier one.
        if best.is_none_or(|(_, most)| score > most) {
            best = Some((at, score));
        }
    }
    let chosen = best.map_or(0, |(at, _)| at);
    let pair = outputs
        .into_iter()
        .nth(chosen)
        .zip(caches.into_iter().nth(chosen));
    let Some((output, cache)) = pair else {
        return Err(ApiError::failed("a guided text has no candidate"));
    };
    probe.push(&output.hidden);
    let (id, log) = row.candidates[chosen];
    row.cache = cache;
    row.candidates.clear();
    match row.accept(id, Some(log)) {
        Ok(()) if !row.done => row.logits = Some(output.logits),
        Ok(()) => {}
        Err(error) => row.fail(error.into()),
    }
    Ok(())
}

/// The last tokens of HARP's texts, those with the same settings together.
fn harp(rows: &mut [&mut Row]) -> Result<(), ApiError> {
    let mut ready: Vec<(HarpConfig, &mut Row)> = Vec::new();
    for row in rows.iter_mut() {
        let Way::Harp(config) = &row.job.way else {
            continue;
        };
        // The seed is in the sequence's masks already.
        let settings = HarpConfig {
            seed: 0,
            ..config.clone()
        };
        if row.sequence.is_none() {
            if !row.begun || row.unread() != 1 || row.done {
                continue;
            }
            row.keep();
            let cache =
                std::mem::replace(&mut row.cache, Cache::new(row.job.model.decoder().config()));
            let ids = row.tokens[..cache.len()].to_vec();
            let sequence =
                Sequence::resume(cache, ids, Row::masks(config)).map_err(ApiError::failed)?;
            row.sequence = Some(sequence);
        }
        if !row.done {
            ready.push((settings, row));
        }
    }
    while let Some((settings, _)) = ready.first() {
        let settings = settings.clone();
        let (mut ours, others): (Vec<_>, Vec<_>) =
            ready.into_iter().partition(|it| it.0 == settings);
        ready = others;
        let model = ours[0].1.job.model.clone();
        let mut batch = Vec::new();
        for (_, row) in &mut ours {
            let Row {
                tokens, sequence, ..
            } = &mut **row;
            if let Some(sequence) = sequence {
                let from = sequence.ids().len();
                batch.push((sequence, &tokens[from..]));
            }
        }
        let steps = harp_step(model.decoder(), &mut batch, &settings).map_err(ApiError::failed)?;
        drop(batch);
        for ((_, row), step) in ours.into_iter().zip(steps) {
            row.seen = Some((step.entropy, step.hesitates));
            match row.is_full() {
                true => row.finish(Reason::Length, true),
                false => row.logits = Some(step.logits),
            }
        }
    }
    Ok(())
}

/// Prompts whose tokens are scored are read apart: each token has logits.
fn score_prompts(rows: &mut [&mut Row], shares: &mut [Share]) -> Result<(), ApiError> {
    for (row, share) in rows.iter_mut().zip(shares) {
        let Share::Read(count) = share else { continue };
        if !row.job.echo || row.written() > 0 || row.cache.len() >= row.prompt().len() {
            continue;
        }
        let (from, count) = (row.cache.len(), (*count).min(SCORED));
        *share = Share::Nothing;
        let model = row.job.model.clone();
        let request = Request {
            logits: Logits::All,
            ..Request::default()
        };
        let Row {
            job, tokens, cache, ..
        } = &mut **row;
        let mut segment = [Segment {
            input: Input::Ids(&tokens[from..from + count]),
            cache,
            adapters: &job.adapters,
        }];
        let outputs = model
            .decoder()
            .forward(&mut segment, &request)
            .map_err(ApiError::failed)?;
        let logits = outputs.into_iter().next().unwrap_or_default().logits;
        let vocab = model.decoder().config().vocab;
        if from == 0 {
            row.scored.push(Token {
                id: row.tokens[0],
                ..Token::default()
            });
        }
        let top = row.job.top;
        for (at, logits) in (from..).zip(logits.chunks_exact(vocab)) {
            let Some(&next) = row.prompt().get(at + 1) else {
                let scored = std::mem::take(&mut row.scored);
                row.send(Event::Prompt(scored));
                match row.is_full() {
                    true => row.finish(Reason::Length, true),
                    false => row.logits = Some(logits.to_vec()),
                }
                continue;
            };
            row.scored.push(Token {
                id: next,
                log_probability: top.map(|_| log_probability(logits, next)),
                top: top
                    .map(|top| top_log_probabilities(logits, top))
                    .unwrap_or_default(),
                ..Token::default()
            });
        }
    }
    Ok(())
}
