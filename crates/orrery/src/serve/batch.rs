//! Continuous batching: texts join and leave between tokens, on a thread of their own.
//!
//! A step runs what is new of every text through the model together: parts of prompts, last tokens, the candidates of guided
//! texts. A text's logits are the same to the last bit whatever else is in the step, and each text has its own sampler, so that a
//! request's answer does not depend on others.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use base::command::Context;
use engine::decode::{each_at_once, log_probability, top_log_probabilities};
use engine::models::decoder::{Cache, Input, Logits, Output, Request, Segment};
use language::harp::{HarpConfig, Sequence, harp_step};

use super::error::ApiError;
use super::metrics::Metrics;
use super::row::{Event, Job, Reason, Row, Token, Way};

/// Tokens of prompts in a step where texts are being written: they wait for it.
const READ_BESIDE: usize = 128;
/// And where none is.
const READ_ALONE: usize = 512;
/// A prompt waits for another that is being read where it shares so many tokens more than are there already.
const WORTH_WAITING: usize = 32;
/// Tokens whose scores are computed at once: each has logits of the whole vocabulary.
const SCORED: usize = 32;

/// A text that waits, since when.
type Waiting = (Job, Instant);

/// The way to the batch.
pub struct Batch {
    sender: Sender<Waiting>,
    waiting: Arc<AtomicUsize>,
    most: usize,
    metrics: Arc<Metrics>,
}

impl Batch {
    /// A batch of at most `slots` texts on a thread of its own; at most `queue` more wait. It ends when nobody can send any
    /// more; a request to stop ends the texts.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn start(
        slots: usize,
        queue: usize,
        metrics: Arc<Metrics>,
        context: Context,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        metrics.slots_total.set(slots as i64);
        let mut work = Work {
            receiver,
            waiting: waiting.clone(),
            queue: VecDeque::new(),
            rows: Vec::new(),
            slots,
            metrics: metrics.clone(),
            context,
        };
        std::thread::Builder::new()
            .name("batch".into())
            .spawn(move || while work.turn() {})?;
        Ok(Self {
            sender,
            waiting,
            most: queue,
            metrics,
        })
    }

    /// Hands texts in, all or none.
    ///
    /// # Errors
    /// [`ApiError`] 429 where too many wait.
    pub fn submit(&self, jobs: Vec<Job>) -> Result<(), ApiError> {
        let count = jobs.len();
        let room = |now: usize| (now + count <= self.most).then_some(now + count);
        let order = Ordering::AcqRel;
        if let Err(now) = self.waiting.fetch_update(order, Ordering::Acquire, room) {
            self.metrics.refused.inc();
            return Err(ApiError::full(
                format!("{now} texts wait and at most {} may: try again", self.most),
                1 + now as u64 / 16,
            ));
        }
        self.metrics.waiting.inc_by(count as i64);
        let now = Instant::now();
        for job in jobs {
            if self.sender.send((job, now)).is_err() {
                return Err(ApiError::away("the server is stopping"));
            }
        }
        Ok(())
    }
}

/// What the thread holds.
struct Work {
    receiver: Receiver<Waiting>,
    waiting: Arc<AtomicUsize>,
    queue: VecDeque<Waiting>,
    rows: Vec<Row>,
    slots: usize,
    metrics: Arc<Metrics>,
    context: Context,
}

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

impl Work {
    /// Takes in what came, and a step; false: nobody can send any more.
    fn turn(&mut self) -> bool {
        if self.rows.is_empty() && self.queue.is_empty() {
            match self.receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(job) => self.queue.push_back(job),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.queue.extend(self.receiver.try_iter());
        self.admit();
        if self.context.stopped() {
            let away = ApiError::away("the server is stopping").coded("server_stopping");
            for row in &mut self.rows {
                row.fail(away.clone());
            }
        } else {
            self.step();
        }
        self.rows.retain(|row| !row.done);
        self.metrics.slots.set(self.rows.len() as i64);
        true
    }

    /// Lets the readers that left go, and those that wait in.
    fn admit(&mut self) {
        let metrics = &self.metrics;
        let mut left = 0;
        self.queue.retain(|(job, _)| {
            let gone = job.events.is_closed();
            left += usize::from(gone);
            !gone
        });
        self.rows.retain(|row| {
            let gone = row.job.events.is_closed();
            if gone {
                metrics.cancelled.inc();
            }
            !gone
        });
        metrics.cancelled.inc_by(left as u64);
        let now = Instant::now();
        while self.rows.len() < self.slots {
            let Some((job, arrived)) = self.queue.pop_front() else {
                break;
            };
            left += 1;
            metrics.prompt_tokens.inc_by(job.prompt.len() as u64);
            let mut row = Row::new(job, arrived);
            if row.is_full() {
                // Nothing may be written: only scores are asked for.
                if !row.job.echo {
                    row.finish(Reason::Length, true);
                }
            } else if now > row.job.deadline {
                row.fail(ApiError::away(
                    "it waited for as long as a request may take",
                ));
            }
            self.rows.push(row);
        }
        self.waiting.fetch_sub(left, Ordering::AcqRel);
        metrics.waiting.dec_by(left as i64);
        metrics.slots.set(self.rows.len() as i64);
    }

    /// A step of each model.
    fn step(&mut self) {
        let now = Instant::now();
        for row in &mut self.rows {
            if !row.done && now > row.job.deadline {
                row.finish(Reason::Length, true);
            }
        }
        let mut left: Vec<&mut Row> = self.rows.iter_mut().filter(|row| !row.done).collect();
        while let Some(first) = left.first() {
            let model = first.job.model.clone();
            let (mut ours, others): (Vec<_>, Vec<_>) = left
                .into_iter()
                .partition(|row| Arc::ptr_eq(&row.job.model, &model));
            left = others;
            self.metrics.steps.inc();
            self.metrics.batch.observe(ours.len() as f64);
            let stepped = catch_unwind(AssertUnwindSafe(|| step(&mut ours)));
            let error = match stepped {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error),
                Err(_) => Some(ApiError::failed(
                    "the model's step broke off: this is a fault of the program",
                )),
            };
            for row in ours {
                if let Some(error) = &error {
                    row.fail(error.clone());
                }
                if let Some(waited) = row.waited.take() {
                    self.metrics.tokens.inc();
                    match row.written() {
                        0 | 1 => {
                            self.metrics.first_token.observe(waited);
                            self.metrics.cached_tokens.inc_by(row.cached() as u64);
                        }
                        _ => self.metrics.between_tokens.observe(waited),
                    };
                }
                // Harp keeps its cache in its sequence.
                if row.done && row.sequence.is_none() && !row.cache.is_empty() {
                    row.keep();
                }
            }
            let bytes = model
                .prefixes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .bytes();
            self.metrics.prefix_bytes.set(bytes as i64);
        }
    }
}

/// A step of texts of one model.
fn step(rows: &mut [&mut Row]) -> Result<(), ApiError> {
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
