//! Attention of a few queries over the keys and values that a cache holds in pages.

use std::cell::RefCell;

use super::cache::{CacheDims, PAGE};
use super::page::{gather, probabilities, score, tanh};
use crate::error::{ShapeError, expect};
use crate::level::{Kind, Level, PORTABLE_FMA};
use crate::math::{LANES, exp, fold};
use crate::parallel::Places;
use crate::simd::{Portable, Simd};
use crate::team::Team;

/// Pages whose keys are summed apart from the others, so that several threads can share a long sequence: the split
/// is the same for one query and for many.
const SPAN: usize = 4;
/// Rows (queries of one token and head) that one task handles.
const ROWS: usize = 24;
/// Stands for the largest score while there is none.
const LOWEST: f32 = -1e30;

/// An attention over cached keys: query at position `i` sees keys `j` with `i − window < j ≤ i`.
#[derive(Clone, Copy, Debug)]
pub struct CachedAttention {
    /// Sizes.
    pub dims: CacheDims,
    /// What scores are multiplied by.
    pub scale: f32,
    /// `cap · tanh(score / cap)` in place of the score.
    pub soft_cap: Option<f32>,
    /// Positions that a query sees, its own included.
    pub window: Option<usize>,
}

/// Queries of one sequence.
#[derive(Clone, Copy)]
pub struct Queries<'a, P> {
    /// `[tokens, query heads · head]`, rotated.
    pub q: &'a [f32],
    /// Position of the first token.
    pub first: usize,
    /// Pages from number `skipped` on; they hold the positions of the tokens too.
    pub pages: &'a [P],
    /// Pages that are not there any more.
    pub skipped: usize,
}

impl CachedAttention {
    /// First and last key that the query at `position` sees.
    fn seen(&self, position: usize) -> [usize; 2] {
        let first = self
            .window
            .map_or(0, |window| (position + 1).saturating_sub(window.max(1)));
        [first, position]
    }
}

/// Memory for sums of single spans, kept from use to use.
#[derive(Default)]
pub struct PartialSums(Vec<f32>);

/// Working memory of a thread.
#[derive(Default)]
struct Scratch {
    /// `[rows, head]`, scaled.
    q: Vec<f32>,
    /// `[rows, PAGE]`.
    scores: Vec<f32>,
    span: Sums,
    all: Sums,
}

/// Unnormalised results of some rows.
#[derive(Default)]
struct Sums {
    largest: Vec<f32>,
    /// Sums of exponentials.
    totals: Vec<[f32; LANES]>,
    /// `[rows, padded head]`.
    values: Vec<f32>,
}

impl Sums {
    fn clear(&mut self, rows: usize, width: usize) {
        self.largest.clear();
        self.largest.resize(rows, LOWEST);
        self.totals.clear();
        self.totals.resize(rows, [0.0; LANES]);
        self.values.clear();
        self.values.resize(rows * width, 0.0);
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// One task: queries of a head of keys, over some spans.
struct Task<'a, P> {
    attention: &'a CachedAttention,
    queries: Queries<'a, P>,
    head: usize,
    tokens: [usize; 2],
    spans: [usize; 2],
}

/// Writes the results of all sequences one after the other to `out` `[all tokens, query heads · head]`.
pub fn cached_attention<P: AsRef<[f32]> + Sync>(
    team: &Team<'_>,
    level: Level,
    attention: &CachedAttention,
    sequences: &[Queries<'_, P>],
    partial: &mut PartialSums,
    out: &mut [f32],
) -> Result<(), ShapeError> {
    let CacheDims { heads, group, head } = attention.dims;
    let width = heads * group * head;
    let tile = (ROWS / group.max(1)).max(1);
    let (mut total, mut tiles, mut most) = (0, 0, 0);
    for sequence in sequences {
        let tokens = sequence.q.len() / width.max(1);
        expect("q", sequence.q.len(), tokens * width)?;
        let pages = (sequence.first + tokens).div_ceil(PAGE);
        let found = sequence.pages.len() + sequence.skipped;
        expect("pages", found.min(pages), pages)?;
        let oldest = attention.seen(sequence.first)[0] / PAGE;
        expect("skipped", sequence.skipped.min(oldest), sequence.skipped)?;
        for page in sequence.pages {
            expect("page", page.as_ref().len(), attention.dims.page_len())?;
        }
        total += tokens;
        tiles += tokens.div_ceil(tile);
        most = most.max(pages.div_ceil(SPAN));
    }
    expect("out", out.len(), total * width)?;
    let out = Places::new(out);
    // Few tasks: one for each span, whose sums are put together afterwards.
    let apart = tiles * heads < 4 * team.threads() && most > 1;
    let record = tile * group * (1 + LANES + attention.dims.padded());
    let sums = &mut partial.0;
    if apart && sums.len() < tiles * heads * most * record {
        sums.resize(tiles * heads * most * record, 0.0);
    }
    let records = Places::new(&mut sums[..]);
    let steps = if apart { most } else { 1 };
    // The tile with number `index`, and the row of `out` where its sequence begins.
    let find = |mut index: usize| {
        let mut row = 0;
        for sequence in sequences {
            let tokens = sequence.q.len() / width;
            if index < tokens.div_ceil(tile) {
                let first = index * tile;
                return Some((sequence, [first, tokens.min(first + tile)], row));
            }
            index -= tokens.div_ceil(tile);
            row += tokens;
        }
        None
    };
    team.run(tiles * heads * steps, |number| {
        let (step, number) = (number % steps, number / steps);
        let Some((queries, tokens, row)) = find(number / heads) else {
            return;
        };
        let last = queries.first + tokens[1];
        let spans = last.div_ceil(PAGE * SPAN);
        let task = Task {
            attention,
            queries: Queries { ..*queries },
            head: number % heads,
            tokens,
            spans: if apart {
                [step, spans.min(step + 1)]
            } else {
                [0, spans]
            },
        };
        SCRATCH.with_borrow_mut(|scratch| {
            // SAFETY: each task is run once; tasks write results or records of their own.
            unsafe {
                task.sum(level, scratch);
                if apart {
                    let record = records.slice((number * steps + step) * record, record);
                    task.write_record(scratch, record);
                } else {
                    task.write(&scratch.all, row, &out);
                }
            }
        });
    });
    if apart {
        team.run(tiles * heads, |number| {
            let Some((queries, tokens, row)) = find(number / heads) else {
                return;
            };
            let task = Task {
                attention,
                queries: Queries { ..*queries },
                head: number % heads,
                tokens,
                spans: [0, 0],
            };
            SCRATCH.with_borrow_mut(|scratch| {
                let rows = task.rows();
                scratch.all.clear(rows, attention.dims.padded());
                for step in 0..steps {
                    // SAFETY: nobody writes records any more, and each task is run once.
                    unsafe {
                        let record = records.slice((number * steps + step) * record, record);
                        task.read_record(record, &mut scratch.span);
                    }
                    merge(
                        level,
                        &scratch.span,
                        &mut scratch.all,
                        attention.dims.padded(),
                    );
                }
                // SAFETY: each task is run once.
                unsafe { task.write(&scratch.all, row, &out) };
            });
        });
    }
    Ok(())
}

crate::level::leveled! {
    /// Adds the sums of a span to those of the spans before it.
    fn merge(span: &Sums, all: &mut Sums, width: usize) {
        for row in 0..span.largest.len() {
            let largest = all.largest[row].max(span.largest[row]);
            let old = exp::<FMA>(all.largest[row] - largest);
            let new = exp::<FMA>(span.largest[row] - largest);
            all.largest[row] = largest;
            for (all, span) in all.totals[row].iter_mut().zip(&span.totals[row]) {
                *all = *all * old + span * new;
            }
            let values = &mut all.values[row * width..][..width];
            for (all, span) in values.iter_mut().zip(&span.values[row * width..]) {
                *all = *all * old + span * new;
            }
        }
    }
}

impl<P: AsRef<[f32]>> Task<'_, P> {
    fn rows(&self) -> usize {
        (self.tokens[1] - self.tokens[0]) * self.attention.dims.group
    }

    /// Leaves the sums over the task's spans in `scratch.all`.
    ///
    /// # Safety
    /// None beyond those of the instructions, which the level proves.
    unsafe fn sum(&self, level: Level, scratch: &mut Scratch) {
        let dims = self.attention.dims;
        let rows = self.rows();
        scratch.q.clear();
        for token in self.tokens[0]..self.tokens[1] {
            let heads = dims.heads * dims.group;
            let q = &self.queries.q[(token * heads + self.head * dims.group) * dims.head..];
            let q = &q[..dims.group * dims.head];
            scratch.q.extend(q.iter().map(|q| q * self.attention.scale));
        }
        scratch.scores.resize(rows * PAGE, 0.0);
        scratch.all.clear(rows, dims.padded());
        for span in self.spans[0]..self.spans[1] {
            scratch.span.clear(rows, dims.padded());
            let mut any = false;
            for page in span * SPAN..(span + 1) * SPAN {
                // SAFETY: a `Level` of a kind exists only where its features were detected.
                any |= unsafe {
                    match level.0 {
                        #[cfg(target_arch = "x86_64")]
                        Kind::Avx512 => self.avx512(page, scratch),
                        #[cfg(target_arch = "x86_64")]
                        Kind::Avx2 => self.avx2(page, scratch),
                        Kind::Portable => {
                            self.page::<Portable<PORTABLE_FMA>, PORTABLE_FMA>(page, scratch)
                        }
                    }
                };
            }
            if any {
                merge(level, &scratch.span, &mut scratch.all, dims.padded());
            }
        }
    }

    /// # Safety
    /// As for [`Self::page`].
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
    unsafe fn avx512(&self, page: usize, scratch: &mut Scratch) -> bool {
        // SAFETY: handed down.
        unsafe { self.page::<std::arch::x86_64::__m512, true>(page, scratch) }
    }

    /// # Safety
    /// As for [`Self::page`].
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(&self, page: usize, scratch: &mut Scratch) -> bool {
        // SAFETY: handed down.
        unsafe { self.page::<[std::arch::x86_64::__m256; 2], true>(page, scratch) }
    }

    /// Adds the keys of page `number` to the sums of the span; gives whether any row sees one.
    ///
    /// # Safety
    /// The machine must have the instructions of `L`.
    #[inline(always)]
    unsafe fn page<L: Simd, const FMA: bool>(&self, number: usize, scratch: &mut Scratch) -> bool {
        let dims = self.attention.dims;
        let (head, padded) = (dims.head, dims.padded());
        let position = |row: usize| self.queries.first + self.tokens[0] + row / dims.group;
        let rows = self.rows();
        let start = number * PAGE;
        let oldest = self.attention.seen(position(0))[0];
        let latest = position(rows - 1);
        if start > latest || start + PAGE <= oldest {
            return false;
        }
        let Some(page) = number
            .checked_sub(self.queries.skipped)
            .and_then(|number| self.queries.pages.get(number))
        else {
            return false;
        };
        let page = &page.as_ref()[self.head * dims.head_len()..][..dims.head_len()];
        let (keys, values) = page.split_at(PAGE * head);
        let Scratch {
            q, scores, span, ..
        } = scratch;
        // SAFETY: handed down; slices are as long as the loops below ask for.
        unsafe {
            let mut row = 0;
            while row < rows {
                let (q, scores) = (&q[row * head..], &mut scores[row * PAGE..]);
                row += match rows - row {
                    6.. => score::<L, 6>(q, keys, head, scores),
                    3.. => score::<L, 3>(q, keys, head, scores),
                    _ => score::<L, 1>(q, keys, head, scores),
                };
            }
        }
        let (scores, _) = scores.as_chunks_mut::<PAGE>();
        for (row, scores) in scores.iter_mut().enumerate().take(rows) {
            let [first, last] = self.attention.seen(position(row));
            let first = first.saturating_sub(start).min(PAGE);
            let end = (last + 1).saturating_sub(start).min(PAGE);
            if let Some(cap) = self.attention.soft_cap {
                for score in scores.iter_mut() {
                    *score = cap * tanh::<FMA>(*score / cap);
                }
            }
            scores[..first].fill(f32::NEG_INFINITY);
            scores[end.max(first)..].fill(f32::NEG_INFINITY);
            let factor =
                probabilities::<FMA>(scores, &mut span.largest[row], &mut span.totals[row]);
            if factor != 1.0 {
                for value in &mut span.values[row * padded..][..padded] {
                    *value *= factor;
                }
            }
        }
        let keys = [
            oldest.saturating_sub(start).min(PAGE),
            (latest + 1 - start).min(PAGE),
        ];
        // SAFETY: as above.
        unsafe {
            let mut row = 0;
            while row < rows {
                let sums = &mut span.values[row * padded..];
                row += match rows - row {
                    6.. => gather::<L, 6>(&scores[row..], keys, values, padded, sums),
                    3.. => gather::<L, 3>(&scores[row..], keys, values, padded, sums),
                    _ => gather::<L, 1>(&scores[row..], keys, values, padded, sums),
                };
            }
        }
        true
    }

    /// Writes the normalised results.
    ///
    /// # Safety
    /// No other thread may write the results of the task's queries; `row` is where its sequence begins.
    unsafe fn write(&self, sums: &Sums, row: usize, out: &Places<'_, f32>) {
        let CacheDims { heads, group, head } = self.attention.dims;
        let padded = self.attention.dims.padded();
        for (i, values) in sums.values.chunks_exact(padded).enumerate() {
            let token = row + self.tokens[0] + i / group;
            let query = self.head * group + i % group;
            // SAFETY: promised.
            let out = unsafe { out.slice((token * heads * group + query) * head, head) };
            let inverse = 1.0 / fold(sums.totals[i]);
            for (out, value) in out.iter_mut().zip(values) {
                *out = value * inverse;
            }
        }
    }

    /// Sums of one span, as they are put together later.
    fn write_record(&self, scratch: &Scratch, record: &mut [f32]) {
        let padded = self.attention.dims.padded();
        let sums = &scratch.all;
        for (i, record) in record
            .chunks_exact_mut(1 + LANES + padded)
            .enumerate()
            .take(self.rows())
        {
            record[0] = sums.largest[i];
            record[1..=LANES].copy_from_slice(&sums.totals[i]);
            record[1 + LANES..].copy_from_slice(&sums.values[i * padded..][..padded]);
        }
    }

    fn read_record(&self, record: &[f32], sums: &mut Sums) {
        let padded = self.attention.dims.padded();
        sums.clear(self.rows(), padded);
        for (i, record) in record
            .chunks_exact(1 + LANES + padded)
            .enumerate()
            .take(self.rows())
        {
            sums.largest[i] = record[0];
            sums.totals[i].copy_from_slice(&record[1..=LANES]);
            sums.values[i * padded..][..padded].copy_from_slice(&record[1 + LANES..]);
        }
    }
}

/// Attention weights of one token over the positions `0..=position`, `[query heads, position + 1]`: zero for what it
/// does not see. Meant for looking at, not for speed.
pub fn attention_weights<P: AsRef<[f32]>>(
    attention: &CachedAttention,
    queries: &Queries<'_, P>,
    token: usize,
) -> Vec<f32> {
    let CacheDims { heads, group, head } = attention.dims;
    let position = queries.first + token;
    let [first, last] = attention.seen(position);
    let mut weights = vec![0.0; heads * group * (position + 1)];
    for (h, weights) in weights.chunks_exact_mut(position + 1).enumerate() {
        let q = &queries.q[(token * heads * group + h) * head..][..head];
        let mut largest = f32::NEG_INFINITY;
        for (key, weight) in weights.iter_mut().enumerate().take(last + 1).skip(first) {
            let page = (key / PAGE)
                .checked_sub(queries.skipped)
                .and_then(|page| queries.pages.get(page));
            let Some(page) = page else { continue };
            let keys = &page.as_ref()[h / group * attention.dims.head_len() + key % PAGE..];
            let dot: f32 = q
                .iter()
                .enumerate()
                .map(|(d, q)| q * attention.scale * keys[d * PAGE])
                .sum();
            *weight = attention
                .soft_cap
                .map_or(dot, |cap| cap * (dot / cap).tanh());
            largest = largest.max(*weight);
        }
        let mut total = 0.0;
        for weight in &mut weights[first..=last] {
            *weight = (*weight - largest).exp();
            total += *weight;
        }
        for weight in &mut weights[first..=last] {
            *weight /= total;
        }
    }
    weights
}
