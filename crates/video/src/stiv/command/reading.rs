//! What the text tower makes of a prompt, in words: unknown ones, doubtful ones, and what will be drawn.

use std::io::Read;

use base::command::Failure;
use engine::data::lexicon::MAX_CHARS;
use engine::data::pack::{EmojiPack, Style};

use crate::stiv::studio::Studio;

/// Below this probability of the likeliest subject the prompt is doubtful.
const CLEAR: f32 = 0.5;
/// Words that say nothing of the subject, in the languages that write them apart.
const FILLERS: &str = "a an the of with and in on at to for my your his her its some one this that is are please \
    draw paint make create show me picture image photo drawing icon emoji style un une le la les l de du des d avec et \
    mon ma el los las una y con del mi и с в на मेरा एक की का के";

/// What a prompt is taken to mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Code of the likeliest subject; empty where nothing was said.
    pub code: String,
    /// Its English name; empty where subjects have no names.
    pub subject: String,
    /// Its probability.
    pub probability: f32,
    /// The likeliest subjects of a doubtful prompt.
    pub candidates: Vec<String>,
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

/// Reads a prompt with the tower of `studio`.
pub fn read(studio: &Studio, prompt: &str) -> Reading {
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
        unknown: unknown
            .map(|word| (word.clone(), nearest(studio, word)))
            .collect(),
        style: understood
            .style
            .and_then(|at| studio.tower.styles.get(at)?.parse().ok()),
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
            lines.push(format!(
                "warning: reading `{}` as a mix of: {}; name one of them for a clearer picture",
                short(prompt),
                self.candidates.join(", ")
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
