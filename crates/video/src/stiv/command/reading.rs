//! What a prompt is taken to mean: unknown words, doubtful ones, and what will be drawn.

use std::collections::HashMap;
use std::io::Read;

use base::command::Failure;
use engine::data::lexicon::MAX_CHARS;
use engine::data::pack::{EmojiPack, Style, Subject};

use crate::stiv::studio::Studio;
use crate::stiv::words::{Heard, Words};

/// Below this probability of the likeliest subject the tower's reading is doubtful.
const CLEAR: f32 = 0.5;
/// Where the second subject scores that much of the first, either may be meant.
const AS_LIKELY: f32 = 0.95;
/// A model that does not know the likeliest subject draws another one that scores that much of it.
const INSTEAD: f32 = 0.7;
/// Words that say nothing of the subject, in the languages that write them apart.
const FILLERS: &str = "a an the of with and in on at to for my your his her its some one this that is are please \
    draw paint make create show me picture image photo drawing icon emoji style un une le la les l de du des d avec et \
    mon ma el los las una y con del mi и с в на मेरा एक की का के";

/// What a prompt is taken to mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Code of the likeliest subject; empty where nothing was said.
    pub code: String,
    /// Its English name; empty where subjects have no names.
    pub subject: String,
    /// Its probability.
    pub probability: f32,
    /// The likeliest subjects of a doubtful prompt.
    pub candidates: Vec<String>,
    /// Whether all candidates are drawn in one, as the tower mixes them; else the first is drawn.
    pub mixed: bool,
    /// Words of other subjects, which are not drawn.
    pub left_out: Vec<String>,
    /// What the text tower is told.
    pub told: String,
    /// Words that mean nothing here, each with the nearest known ones.
    pub unknown: Vec<(String, Vec<String>)>,
    /// The style that the prompt names.
    pub style: Option<Style>,
    /// Whether any word says what to draw.
    pub known: bool,
}

/// The prompt on standard input, without the spaces around it.
///
/// # Errors
/// When it cannot be read or is no text. What is too long is refused later.
pub fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    // A few bytes more than any prompt has: too long a one is seen to be.
    let most = 8 * MAX_CHARS as u64;
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    read.map_err(|cause| {
        Failure::input(format!(
            "the prompt cannot be read from standard input ({cause}): send text in UTF-8"
        ))
    })?;
    Ok(text.trim().to_owned())
}

/// Looks at the bare text.
///
/// # Errors
/// For a prompt that is too long, or empty where one is needed.
pub fn check(prompt: &str, needed: bool) -> Result<(), Failure> {
    let length = prompt.chars().count();
    if length > MAX_CHARS {
        return Err(Failure::input(format!(
            "the prompt has {length} characters, at most {MAX_CHARS} are read: say it shorter"
        )));
    }
    if needed && prompt.trim().is_empty() {
        return Err(Failure::input(
            "the prompt is empty: say what to draw, such as \"red apple\"",
        ));
    }
    Ok(())
}

/// Reads a prompt: by the index of words where the model's subjects are in it, else by its tower.
pub fn read(studio: &Studio, prompt: &str) -> Reading {
    let Some((heard, subjects)) = hear(studio, prompt) else {
        return by_tower(studio, prompt);
    };
    let names = names(studio);
    let name = |at: usize| names.get(at).cloned().unwrap_or_default();
    let style = style(studio, prompt);
    let unknown = heard
        .unknown
        .iter()
        .map(|word| (word.clone(), nearest(studio, word)));
    let unknown = unknown.collect();
    let Some(&(first, score, probability)) = subjects.first() else {
        return Reading {
            unknown,
            style,
            ..Reading::default()
        };
    };
    let likely = subjects
        .iter()
        .filter(|(_, other, _)| *other >= AS_LIKELY * score);
    let candidates: Vec<String> = likely.take(4).map(|&(at, _, _)| name(at)).collect();
    Reading {
        code: studio.tower.codes[first].clone(),
        subject: name(first),
        probability,
        candidates: if candidates.len() > 1 {
            candidates
        } else {
            Vec::new()
        },
        mixed: false,
        left_out: heard.left_out,
        told: told(studio, first, &name(first), style),
        unknown,
        style,
        known: true,
    }
}

/// Probability of each subject of the model; none where the prompt says nothing.
pub fn chances(studio: &Studio, prompt: &str) -> Option<Vec<f32>> {
    let Some((_, subjects)) = hear(studio, prompt) else {
        let understood = studio.understand(prompt);
        return (!understood.words.is_empty()).then_some(understood.subjects);
    };
    let mut chances = vec![0.0; studio.tower.codes.len()];
    for &(at, _, probability) in &subjects {
        chances[at] = probability;
    }
    (!subjects.is_empty()).then_some(chances)
}

/// Place, score and probability of each subject.
type Likely = Vec<(usize, f32, f32)>;

/// What the index of words makes of a prompt, and the subjects among those of the model: place, score, probability. None
/// where the model is to be asked itself: it knows other subjects, or not the one that is meant.
fn hear(studio: &Studio, prompt: &str) -> Option<(Heard, Likely)> {
    let places: HashMap<&str, usize> = studio
        .tower
        .codes
        .iter()
        .map(String::as_str)
        .zip(0..)
        .collect();
    let words = Words::embedded().ok()?;
    if !places.keys().any(|code| words.knows(code)) {
        return None;
    }
    let heard = words.hear(prompt);
    let chances = heard.probabilities();
    let scored = heard.subjects.iter().zip(chances);
    let subjects: Vec<(usize, f32, f32)> = scored
        .filter_map(|((code, score), chance)| Some((*places.get(code.as_str())?, *score, chance)))
        .collect();
    let best = heard.subjects.first().map_or(0.0, |(_, score)| *score);
    let ours = subjects.first().map_or(0.0, |(_, score, _)| *score);
    (ours >= INSTEAD * best).then_some((heard, subjects))
}

/// How the tower is told of a subject: by its English name where it understands it, else by the emoji.
fn told(studio: &Studio, subject: usize, name: &str, style: Option<Style>) -> String {
    let understood = studio.understand(name);
    let best = (0..understood.subjects.len())
        .max_by(|&a, &b| understood.subjects[a].total_cmp(&understood.subjects[b]));
    let code = &studio.tower.codes[subject];
    let said = match best == Some(subject) && !understood.words.is_empty() {
        true => name.to_owned(),
        false => emoji(code).unwrap_or_else(|| name.to_owned()),
    };
    match style {
        Some(style) => format!("{said} {style}"),
        None => said,
    }
}

fn emoji(code: &str) -> Option<String> {
    let pack = EmojiPack::embedded().ok()?;
    let subject = pack.subjects.iter().find(|subject| subject.code == code);
    subject.map(Subject::emoji)
}

fn style(studio: &Studio, prompt: &str) -> Option<Style> {
    let at = studio.understand(prompt).style?;
    studio.tower.styles.get(at)?.parse().ok()
}

/// Reads a prompt with the tower of `studio`.
pub fn by_tower(studio: &Studio, prompt: &str) -> Reading {
    let understood = studio.understand(prompt);
    let mut order: Vec<usize> = (0..understood.subjects.len()).collect();
    let subjects = &understood.subjects;
    order.sort_by(|&a, &b| subjects[b].total_cmp(&subjects[a]));
    let known = !understood.words.is_empty();
    let first = order.first().filter(|_| known);
    let names = names(studio);
    let name = |at: usize| names.get(at).cloned().unwrap_or_default();
    let probability = first.map_or(0.0, |&at| subjects[at]);
    let doubtful = known && probability < CLEAR;
    let candidates = order.iter().take(if doubtful { 4 } else { 0 });
    let unknown = understood.unknown.iter().filter(|word| !is_filler(word));
    let code = first.and_then(|&at| studio.tower.codes.get(at));
    Reading {
        code: code.cloned().unwrap_or_default(),
        subject: first.map(|&at| name(at)).unwrap_or_default(),
        probability,
        candidates: candidates.map(|&at| name(at)).collect(),
        mixed: true,
        left_out: Vec::new(),
        told: prompt.to_owned(),
        unknown: unknown
            .map(|word| (word.clone(), nearest(studio, word)))
            .collect(),
        style: style(studio, prompt),
        known,
    }
}

impl Reading {
    /// The warnings that a person should see, one a line.
    pub fn warnings(&self, prompt: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (word, nearest) in self.unknown.iter().take(3) {
            lines.push(format!(
                "warning: `{}` means nothing to this model{}",
                short(word),
                meant(nearest)
            ));
        }
        if self.unknown.len() > 3 {
            let more = self.unknown.len() - 3;
            lines.push(format!("warning: nor do {more} more words"));
        }
        if self.candidates.iter().any(|name| !name.is_empty()) {
            let (prompt, all) = (short(prompt), self.candidates.join(", "));
            lines.push(match self.mixed {
                true => format!(
                    "warning: reading `{prompt}` as a mix of: {all}; name one of them for a clearer picture"
                ),
                false => format!(
                    "warning: `{prompt}` may mean: {all}; `{}` is drawn, name another one to have it",
                    self.subject
                ),
            });
        }
        if !self.left_out.is_empty() {
            let words: Vec<String> = self
                .left_out
                .iter()
                .take(3)
                .map(|word| short(word))
                .collect();
            lines.push(format!(
                "warning: one thing is drawn, `{}`; left out: {}",
                self.subject,
                words.join(", ")
            ));
        }
        lines
    }

    /// Why nothing can be drawn.
    pub fn refusal(&self) -> Failure {
        let mut near = self.unknown.iter().flat_map(|(_, nearest)| nearest.iter());
        let try_these = match near.next() {
            Some(first) => {
                let rest = near.take(2).map(|word| format!(", `{word}`"));
                format!("did you mean `{first}`{}?", rest.collect::<String>())
            }
            None => "try `red apple`, `fox` or `rocket`".into(),
        };
        let cause = match self.unknown.first() {
            Some((word, _)) => {
                format!("this model knows no word of the prompt (`{}`)", short(word))
            }
            None => "the prompt does not say what to draw".into(),
        };
        Failure::input(format!("{cause}: {try_these}"))
    }
}

fn meant(nearest: &[String]) -> String {
    match nearest {
        [] => ": it is left out".into(),
        words => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            format!(": did you mean {}?", words.join(", "))
        }
    }
}

/// At most 40 characters of a text, on one line.
fn short(text: &str) -> String {
    let mut kept: String = text.chars().take(40).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    base::command::one_line(&kept)
}

fn nearest(studio: &Studio, word: &str) -> Vec<String> {
    let near = studio.tower.vocabulary.nearest(word, 3);
    near.into_iter().map(str::to_owned).collect()
}

/// Small words, and the particles that Korean, Chinese and Japanese put after nouns.
fn is_filler(word: &str) -> bool {
    let mut letters = word.chars();
    let particle = |c: char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    let alone = letters.next().is_some_and(particle) && letters.next().is_none();
    alone || FILLERS.split_whitespace().any(|filler| filler == word)
}

/// English names of the tower's subjects.
fn names(studio: &Studio) -> Vec<String> {
    let Ok(pack) = EmojiPack::embedded() else {
        return Vec::new();
    };
    let name = |code: &String| {
        let subject = pack.subjects.iter().find(|subject| subject.code == *code);
        let name = subject.and_then(|subject| subject.name("en"));
        name.unwrap_or_default().to_owned()
    };
    studio.tower.codes.iter().map(name).collect()
}
