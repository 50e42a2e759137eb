//! Range-sensitive filtering with a model that sees: grids of pictures are judged several times, every answer is written down, and a
//! stopped run goes on.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use base::endpoint::{ChatError, ChatModel, Message, Prompt, Request};
use base::hash::{FNV_START, fnv1a};
use base::job::journal::Journal;
use base::job::jsonl::Record as Line;
use base::media::sheet::{Layout, sheet};
use base::media::{Image, data_address};
use base::rng::Rng;
use serde_json::{Value, json};

use super::SystemError;
use super::data::{Attribute, Record, Shelf, picture, shelves, tree};
use super::pairs::{AttributeRanges, RangeFile};
use super::range::{GRID, Next, Node, is_consistent, next, parse};

/// Height and width of a picture in a grid.
const CELL: u32 = 256;
/// How often an answer that cannot be read is asked for again.
const TRIES: usize = 3;

/// How the filter works.
#[derive(Clone, Copy, Debug)]
pub struct FilterOptions {
    /// Judgements of each node.
    pub repeats: usize,
    /// See [`super::range::THRESHOLD`].
    pub threshold: f64,
    /// Questions under way at a time.
    pub workers: usize,
    /// Draws which pictures are shown.
    pub seed: u64,
}

/// One question: a node of an attribute, which time, and the pictures shown.
struct Question<'a> {
    attribute: &'a Attribute,
    repeat: usize,
    shown: Vec<usize>,
    hash: String,
}

/// Ranges of all attributes of `records`. `at` hears of answers there are and answers wanted so far.
///
/// # Errors
/// [`SystemError`]: the model does not answer, a picture cannot be read, it was stopped; what was answered stays in the journal.
pub fn filter(
    records: &[Record],
    model: &dyn ChatModel,
    journal: &mut Journal,
    options: &FilterOptions,
    stop: &AtomicBool,
    at: &mut dyn FnMut(usize, usize),
) -> Result<RangeFile, SystemError> {
    let shelves = shelves(records);
    let mut known: BTreeMap<(&Attribute, Node), bool> = BTreeMap::new();
    let mut answered = 0;
    loop {
        let mut file = RangeFile::default();
        let mut nodes: Vec<(&Attribute, Node, Vec<Question<'_>>)> = Vec::new();
        for (attribute, shelf) in &shelves {
            let consistent = |node: &Node| known.get(&(attribute, node.clone())).copied();
            match next(&tree(shelf), &consistent) {
                Next::Done(ranges) => file.attributes.push(AttributeRanges {
                    group: attribute.0.clone(),
                    entry: attribute.1.clone(),
                    ranges,
                }),
                Next::Judge(wanted) => nodes.extend(wanted.into_iter().map(|node| {
                    let asked = questions(records, attribute, shelf, &node, model, options);
                    (attribute, node, asked)
                })),
            }
        }
        if nodes.is_empty() {
            return Ok(file);
        }
        let asked: Vec<&Question<'_>> = nodes.iter().flat_map(|(.., asked)| asked).collect();
        let hashes: Vec<String> = asked.iter().map(|question| question.hash.clone()).collect();
        let work = |index: usize| match asked.get(index) {
            Some(question) => ask(records, question, model),
            None => Err(ChatError::Stopped),
        };
        let progress = journal.work(&hashes, options.workers, stop, work, &mut |done, all| {
            at(answered + done, answered + all);
        })?;
        if progress.missing > 0 {
            return Err(progress.error.unwrap_or(ChatError::Stopped).into());
        }
        answered += hashes.len();
        for (attribute, node, asked) in nodes {
            let votes: Vec<Vec<usize>> = asked
                .iter()
                .filter_map(|question| deviating(journal.get(&question.hash)?))
                .collect();
            let shown = asked.first().map_or(0, |question| question.shown.len());
            // Without two pictures there is no pair, and nothing to ask.
            let passed = is_consistent(&votes, shown, options.threshold);
            known.insert((attribute, node), passed);
        }
    }
}

/// Whether a line of the journal is an answer.
pub fn is_answer(line: &Line) -> bool {
    deviating(line).is_some()
}

fn deviating(line: &Line) -> Option<Vec<usize>> {
    let ids = line.get("deviating")?.as_array()?;
    ids.iter().map(|id| Some(id.as_u64()? as usize)).collect()
}

/// The questions about one node; none where it has fewer than two pictures.
fn questions<'a>(
    records: &[Record],
    attribute: &'a Attribute,
    shelf: &Shelf,
    node: &Node,
    model: &dyn ChatModel,
    options: &FilterOptions,
) -> Vec<Question<'a>> {
    let name = Value::from(serde_json::to_string(node).unwrap_or_default()).to_string();
    let draws = Rng::new(options.seed)
        .child(&attribute.0)
        .child(&attribute.1)
        .child(&name);
    (0..options.repeats)
        .map(|repeat| {
            let shown = sample(shelf, node, &mut draws.item(repeat as u64));
            let mut text = format!(
                "{}\n{}\n{}\n{name}\n{repeat}",
                model.name(),
                attribute.0,
                attribute.1
            );
            for at in &shown {
                text += &format!("\n{}", records[*at].image.display());
            }
            Question {
                attribute,
                repeat,
                shown,
                hash: format!("{:016x}", fnv1a(FNV_START, text.into_bytes())),
            }
        })
        .filter(|question| question.shown.len() > 1)
        .collect()
}

/// Up to nine records of a node, as even over its single subjects as they go.
fn sample(shelf: &Shelf, node: &Node, rng: &mut Rng) -> Vec<usize> {
    let wanted = |major: &String, sub: &String| match node {
        Node::Major(name) => major == name,
        Node::Set(names) => names.contains(major),
        Node::Sub(of, name) => major == of && sub == name,
    };
    let mut piles: Vec<Vec<usize>> = Vec::new();
    for (major, subs) in shelf {
        for (_, records) in subs.iter().filter(|(sub, _)| wanted(major, sub)) {
            let mut pile = records.clone();
            rng.shuffle(&mut pile);
            piles.push(pile);
        }
    }
    rng.shuffle(&mut piles);
    let mut shown = Vec::new();
    while shown.len() < GRID && piles.iter().any(|pile| !pile.is_empty()) {
        for pile in &mut piles {
            if shown.len() < GRID {
                shown.extend(pile.pop());
            }
        }
    }
    shown
}

fn ask(
    records: &[Record],
    question: &Question<'_>,
    model: &dyn ChatModel,
) -> Result<Line, ChatError> {
    let unable = |error: &dyn std::fmt::Display| ChatError::Unable(error.to_string());
    let mut cells: Vec<Image> = Vec::new();
    for (number, at) in question.shown.iter().enumerate() {
        let record = &records[*at];
        let tile = (question.repeat + number) as u32;
        let cell = picture(&record.image, record.grid, tile).map_err(|error| unable(&error))?;
        cells.push(cell.resize_square(CELL));
    }
    let numbers: Vec<String> = (1..=cells.len()).map(|number| number.to_string()).collect();
    let captions: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let layout = Layout {
        columns: Some(3),
        ..Layout::default()
    };
    let grid = sheet(&cells, &captions, &layout).map_err(|error| unable(&error))?;
    let seen = data_address(&grid).map_err(|error| unable(&error))?;
    let (group, entry) = question.attribute;
    let text = super::range::question(group, entry, cells.len());
    let message = Message::user(text).seeing(vec![seen]);
    for time in 0..TRIES {
        let reply = model.reply(&Request {
            prompt: Prompt::Chat(vec![message.clone()]),
            temperature: if question.repeat + time == 0 {
                0.0
            } else {
                0.7
            },
            max_tokens: 400,
            seed: Some((question.repeat * TRIES + time) as u64),
        })?;
        if let Some(ids) = parse(&reply.text, cells.len()) {
            let line = json!({"group": group, "entry": entry, "repeat": question.repeat, "deviating": ids});
            return Ok(line.as_object().cloned().unwrap_or_default());
        }
    }
    Err(ChatError::Unable(format!(
        "the model `{}` gave no answer of the wanted form about `{entry}` in {TRIES} tries: ask a model that sees and follows instructions",
        model.name()
    )))
}
