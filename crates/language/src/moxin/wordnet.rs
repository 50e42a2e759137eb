//! Questions made from WordNet's nouns: tasks that need no file of questions.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use base::rng::Rng;

use super::Question;
use crate::wordnet::senses;

/// Choices of a question.
const CHOICES: usize = 4;
/// Most words of what is asked for and of an answer that names something.
const SHORT: usize = 2;

/// A noun sense that is a kind of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noun {
    /// Its first word.
    pub word: String,
    /// The first word of what it is a kind of.
    pub kind: String,
    /// The first word of what it is a part of.
    pub whole: Option<String>,
    /// Definition and examples.
    pub gloss: String,
}

impl Noun {
    /// Its gloss without examples and remarks.
    fn definition(&self) -> &str {
        let end = self.gloss.find([';', '"']).unwrap_or(self.gloss.len());
        self.gloss[..end].trim()
    }
}

/// WordNet's nouns that are kinds of something, in the order of the file; none where the folder has no such file.
pub(super) fn nouns(folder: &Path) -> Option<Vec<Noun>> {
    let senses = senses(folder, "noun")?;
    let words: HashMap<&str, &str> = senses
        .iter()
        .map(|sense| (sense.offset.as_str(), sense.word.as_str()))
        .collect();
    let nouns = senses.iter().filter_map(|sense| {
        let first = |symbol: &str| {
            let found = sense.relations.iter().find(|it| it.0 == symbol)?;
            words.get(found.1.as_str()).map(|word| (*word).to_owned())
        };
        Some(Noun {
            word: sense.word.clone(),
            kind: first("@")?,
            whole: first("#p"),
            gloss: sense.gloss.clone(),
        })
    });
    Some(nouns.collect())
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NounTask {
    /// What something is a kind of.
    Hypernym,
    /// What a word means.
    Definition,
    /// What something is a part of.
    Part,
}

impl NounTask {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hypernym, Self::Definition, Self::Part];

    /// As `eval --tasks` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hypernym => "wordnet-hypernym",
            Self::Definition => "wordnet-definition",
            Self::Part => "wordnet-part",
        }
    }

    fn asked(self, word: &str) -> String {
        let question = match self {
            Self::Hypernym => format!("What is {word} a kind of?"),
            Self::Definition => format!("What does {word} mean?"),
            Self::Part => format!("What is {word} a part of?"),
        };
        format!("Question: {question}\nAnswer:")
    }

    fn answer(self, noun: &Noun) -> Option<&str> {
        let short = |text: &&str| text.split(' ').count() <= SHORT;
        match self {
            Self::Hypernym => Some(noun.kind.as_str()).filter(short),
            Self::Definition => Some(noun.definition()).filter(|text| !text.is_empty()),
            Self::Part => noun.whole.as_deref().filter(short),
        }
    }

    /// Nouns that can be asked for, each word once.
    pub(super) fn usable(self, nouns: &[Noun]) -> Vec<&Noun> {
        let mut seen = HashSet::new();
        nouns
            .iter()
            .filter(|it| it.word.split(' ').count() <= SHORT && self.answer(it).is_some())
            .filter(|it| seen.insert(it.word.as_str()))
            .collect()
    }

    /// A question about `noun`; wrong choices are the answers of others.
    pub(super) fn question(self, noun: &Noun, others: &[&Noun], rng: &mut Rng) -> Option<Question> {
        let mut choices = vec![self.answer(noun)?];
        // As often as it takes, unless all others answer the same.
        for _ in 0..1000 {
            if choices.len() == CHOICES {
                break;
            }
            let other = others.get(rng.below(others.len()))?;
            let other = self.answer(other)?;
            if !choices.contains(&other) {
                choices.push(other);
            }
        }
        let mut order: Vec<usize> = (0..choices.len()).collect();
        rng.shuffle(&mut order);
        (choices.len() == CHOICES).then(|| Question {
            contexts: vec![self.asked(&noun.word)],
            choices: order.iter().map(|&at| choices[at].to_owned()).collect(),
            answer: order.iter().position(|&at| at == 0).unwrap_or(0),
        })
    }

    /// `count` questions, the same on every machine with the same WordNet.
    pub fn questions(self, nouns: &[Noun], count: usize) -> Vec<Question> {
        let mut rng = Rng::new(0).child(self.name());
        let usable = self.usable(nouns);
        let mut order = usable.clone();
        rng.shuffle(&mut order);
        order
            .into_iter()
            .filter_map(|noun| self.question(noun, &usable, &mut rng))
            .take(count)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_one_right_answer_among_four() {
        let noun = |at: usize| Noun {
            word: format!("word{at}"),
            kind: format!("kind{}", at / 2),
            whole: None,
            gloss: format!("the meaning of {at}; \"an example\""),
        };
        let nouns: Vec<Noun> = (0..20).map(noun).collect();
        for task in NounTask::ALL {
            let found = task.questions(&nouns, 10);
            assert_eq!(found.len(), if task == NounTask::Part { 0 } else { 10 });
            assert_eq!(found, task.questions(&nouns, 10));
            for question in found {
                let mut choices = question.choices.clone();
                choices.sort();
                choices.dedup();
                assert_eq!(choices.len(), CHOICES);
                let asked = nouns
                    .iter()
                    .find(|noun| question.contexts[0].contains(&format!(" {} ", noun.word)));
                let right = asked.and_then(|noun| task.answer(noun));
                assert_eq!(right, Some(question.choices[question.answer].as_str()));
            }
        }
    }
}
