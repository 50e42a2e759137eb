//! What a prompt is taken to mean: unknown words, doubtful ones, and what will be drawn.

use std::collections::HashMap;

use engine::data::pack::{EmojiPack, Style, Subject};

use super::pipeline::StivPipeline;
use super::words::{Analysis, Words};

mod messages;

/// Below this probability of the likeliest subject what the tower understands is doubtful.
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
pub struct PromptAnalysis {
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
    /// What the text tower encodes.
    pub tower_prompt: String,
    /// Words that mean nothing here, each with the nearest known ones.
    pub unknown: Vec<(String, Vec<String>)>,
    /// Words that were taken for mistyped ones: as typed, and as read.
    pub corrected: Vec<(String, String)>,
    /// A word of another language that may be a mistyped English one: as typed, the English word.
    pub mistaken: Option<(String, String)>,
    /// The style that the prompt names.
    pub style: Option<Style>,
    /// Whether any word says what to draw.
    pub known: bool,
}

/// Analyses a prompt: by the index of words where the model's subjects are in it, else by its tower.
pub fn analyse(pipeline: &StivPipeline, prompt: &str) -> PromptAnalysis {
    let Some((analysis, subjects)) = analyse_words(pipeline, prompt) else {
        return by_tower(pipeline, prompt);
    };
    let names = names(pipeline);
    let name = |at: usize| names.get(at).cloned().unwrap_or_default();
    let style = style(pipeline, prompt);
    let unknown = analysis
        .unknown
        .iter()
        .map(|word| (word.clone(), nearest(pipeline, word)));
    let unknown = unknown.collect();
    let Some(&(first, score, probability)) = subjects.first() else {
        return PromptAnalysis {
            unknown,
            style,
            ..PromptAnalysis::default()
        };
    };
    let likely = subjects
        .iter()
        .filter(|(_, other, _)| *other >= AS_LIKELY * score);
    let candidates: Vec<String> = likely.take(4).map(|&(at, _, _)| name(at)).collect();
    PromptAnalysis {
        code: pipeline.tower.codes[first].clone(),
        subject: name(first),
        probability,
        candidates: if candidates.len() > 1 {
            candidates
        } else {
            Vec::new()
        },
        mixed: false,
        left_out: analysis.left_out,
        corrected: analysis.corrected,
        mistaken: analysis.mistaken,
        tower_prompt: tower_prompt(pipeline, first, &name(first), style),
        unknown,
        style,
        known: true,
    }
}

/// Probability of each subject of the model; none where the prompt says nothing.
pub fn chances(pipeline: &StivPipeline, prompt: &str) -> Option<Vec<f32>> {
    let Some((_, subjects)) = analyse_words(pipeline, prompt) else {
        let understood = pipeline.tower.understand(prompt);
        return (!understood.words.is_empty()).then_some(understood.subjects);
    };
    let mut chances = vec![0.0; pipeline.tower.codes.len()];
    for &(at, _, probability) in &subjects {
        chances[at] = probability;
    }
    (!subjects.is_empty()).then_some(chances)
}

/// Place, score and probability of each subject.
type Likely = Vec<(usize, f32, f32)>;

/// What the index of words makes of a prompt, and the subjects among those of the model: place, score, probability. None
/// where the model is to be asked itself: it knows other subjects, or not the one that is meant.
fn analyse_words(pipeline: &StivPipeline, prompt: &str) -> Option<(Analysis, Likely)> {
    let places: HashMap<&str, usize> = pipeline
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
    let analysis = words.analyse(prompt);
    let chances = analysis.probabilities();
    let scored = analysis.subjects.iter().zip(chances);
    let subjects: Vec<(usize, f32, f32)> = scored
        .filter_map(|((code, score), chance)| Some((*places.get(code.as_str())?, *score, chance)))
        .collect();
    let best = analysis.subjects.first().map_or(0.0, |(_, score)| *score);
    let ours = subjects.first().map_or(0.0, |(_, score, _)| *score);
    (ours >= INSTEAD * best).then_some((analysis, subjects))
}

/// A subject as the tower understands it: by its English name, else by the emoji.
fn tower_prompt(
    pipeline: &StivPipeline,
    subject: usize,
    name: &str,
    style: Option<Style>,
) -> String {
    let understood = pipeline.tower.understand(name);
    let best = (0..understood.subjects.len())
        .max_by(|&a, &b| understood.subjects[a].total_cmp(&understood.subjects[b]));
    let code = &pipeline.tower.codes[subject];
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

fn style(pipeline: &StivPipeline, prompt: &str) -> Option<Style> {
    let at = pipeline.tower.understand(prompt).style?;
    pipeline.tower.styles.get(at)?.parse().ok()
}

/// Analyses a prompt with the model's own tower.
pub fn by_tower(pipeline: &StivPipeline, prompt: &str) -> PromptAnalysis {
    let understood = pipeline.tower.understand(prompt);
    let mut order: Vec<usize> = (0..understood.subjects.len()).collect();
    let subjects = &understood.subjects;
    order.sort_by(|&a, &b| subjects[b].total_cmp(&subjects[a]));
    let known = !understood.words.is_empty();
    let first = order.first().filter(|_| known);
    let names = names(pipeline);
    let name = |at: usize| names.get(at).cloned().unwrap_or_default();
    let probability = first.map_or(0.0, |&at| subjects[at]);
    let doubtful = known && probability < CLEAR;
    let candidates = order.iter().take(if doubtful { 4 } else { 0 });
    let unknown = understood.unknown.iter().filter(|word| !is_filler(word));
    let code = first.and_then(|&at| pipeline.tower.codes.get(at));
    PromptAnalysis {
        code: code.cloned().unwrap_or_default(),
        subject: first.map(|&at| name(at)).unwrap_or_default(),
        probability,
        candidates: candidates.map(|&at| name(at)).collect(),
        mixed: true,
        left_out: Vec::new(),
        corrected: Vec::new(),
        mistaken: None,
        tower_prompt: prompt.to_owned(),
        unknown: unknown
            .map(|word| (word.clone(), nearest(pipeline, word)))
            .collect(),
        style: style(pipeline, prompt),
        known,
    }
}

/// Three words like `word`. The word itself may be one of another language, which means nothing here.
fn nearest(pipeline: &StivPipeline, word: &str) -> Vec<String> {
    let near = pipeline.tower.vocabulary.nearest(word, 4).into_iter();
    let others = near.filter(|near| *near != word).take(3);
    others.map(str::to_owned).collect()
}

/// Small words, and the particles that Korean, Chinese and Japanese put after nouns.
fn is_filler(word: &str) -> bool {
    let mut letters = word.chars();
    let particle = |c: char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    let alone = letters.next().is_some_and(particle) && letters.next().is_none();
    alone || FILLERS.split_whitespace().any(|filler| filler == word)
}

/// English names of the tower's subjects.
fn names(pipeline: &StivPipeline) -> Vec<String> {
    let Ok(pack) = EmojiPack::embedded() else {
        return Vec::new();
    };
    let name = |code: &String| {
        let subject = pack.subjects.iter().find(|subject| subject.code == *code);
        let name = subject.and_then(|subject| subject.name("en"));
        name.unwrap_or_default().to_owned()
    };
    pipeline.tower.codes.iter().map(name).collect()
}
