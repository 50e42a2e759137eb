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

use super::error::ApiError;
use super::metrics::Metrics;
use super::row::{Job, Reason, Row};
use super::step::step;

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
