//! Retrieval triples from glosses: contexts that help or not, answers that keep to them or not, and that meet the question
//! or not.

use base::rng::Rng;

use super::Half;
use super::glosses::{Gloss, glosses};
use crate::guardian::prompt::Message;
use crate::guardian::record::Record;
use crate::guardian::risk::RiskConfig;
use engine::SystemError;

fn pool(half: Half) -> Result<Vec<Gloss>, SystemError> {
    Ok(glosses()?
        .into_iter()
        .filter(|gloss| half.holds(&gloss.word))
        .collect())
}

/// A gloss other than `but`, a sibling of it where `near`.
fn other<'a>(pool: &'a [Gloss], but: &Gloss, near: bool, rng: &mut Rng) -> &'a Gloss {
    let siblings: Vec<&Gloss> = match near {
        true => pool
            .iter()
            .filter(|it| it.parent == but.parent && it.text != but.text)
            .collect(),
        false => Vec::new(),
    };
    if !siblings.is_empty() {
        return siblings[rng.below(siblings.len())];
    }
    loop {
        let any = &pool[rng.below(pool.len())];
        if any.text != but.text && any.parent != but.parent {
            return any;
        }
    }
}

fn question(gloss: &Gloss, rng: &mut Rng) -> String {
    let word = &gloss.word;
    match rng.below(3) {
        0 => format!("What does \"{word}\" mean?"),
        1 => format!("What is meant by the word {word}?"),
        _ => format!("Please explain what {word} is."),
    }
}

/// `count` records of context relevance: "What does X mean?" with the gloss of X as context, or with one of another noun.
/// The context never names the word.
///
/// # Errors
/// When the pack is broken.
pub fn word_meanings(count: usize, half: Half, rng: &Rng) -> Result<Vec<Record>, SystemError> {
    let risk = RiskConfig::new(Some("context_relevance"), None)?;
    let pool = pool(half)?;
    let record = |index: usize| {
        let mut rng = rng.item(index as u64);
        let gloss = &pool[rng.below(pool.len())];
        let risky = index % 2 == 1;
        let context = if risky {
            other(&pool, gloss, false, &mut rng)
        } else {
            gloss
        };
        let messages = vec![
            Message::new("context", &context.text),
            Message::new("user", format!("What does \"{}\" mean?", gloss.word)),
        ];
        Record::new(format!("meaning-{index}"), messages, &risk, Some(risky))
    };
    Ok((0..count).map(record).collect())
}

/// `count` records of the three retrieval risks in turn, half of each risky: irrelevant contexts, answers from a sibling's
/// gloss, answers to something else.
///
/// # Errors
/// When the pack is broken.
pub fn retrieval(count: usize, half: Half, rng: &Rng) -> Result<Vec<Record>, SystemError> {
    let pool = pool(half)?;
    let names = ["context_relevance", "groundedness", "answer_relevance"];
    let mut records = Vec::with_capacity(count);
    for index in 0..count {
        let mut rng = rng.item(index as u64);
        let name = names[index % 3];
        let risky = (index / 3) % 2 == 1;
        let gloss = &pool[rng.below(pool.len())];
        let asked = Message::new("user", question(gloss, &mut rng));
        let says = |it: &Gloss, word: &str| format!("{} is {}.", capital(word), it.text);
        let messages = match name {
            "context_relevance" => {
                let context = if risky {
                    other(&pool, gloss, false, &mut rng)
                } else {
                    gloss
                };
                vec![Message::new("context", &context.text), asked]
            }
            "groundedness" => {
                let near = rng.chance(0.5);
                let stated = if risky {
                    other(&pool, gloss, near, &mut rng)
                } else {
                    gloss
                };
                vec![
                    Message::new("context", says(gloss, &gloss.word)),
                    Message::new("assistant", says(stated, &gloss.word)),
                ]
            }
            _ => {
                let stated = if risky {
                    other(&pool, gloss, false, &mut rng)
                } else {
                    gloss
                };
                vec![asked, Message::new("assistant", says(stated, &stated.word))]
            }
        };
        let risk = RiskConfig::new(Some(name), None)?;
        records.push(Record::new(
            format!("retrieval-{index}"),
            messages,
            &risk,
            Some(risky),
        ));
    }
    Ok(records)
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Definitions of the two risks of [`mentions`].
pub const MENTIONS: [(&str, &str); 2] = [
    ("animal", "The user's message mentions an animal."),
    (
        "food",
        "The user's message mentions something to eat or drink.",
    ),
];

/// `count` texts that mention an animal or a food, each as two records, one a definition: exactly one of them is true. The
/// nouns of the halves differ.
///
/// # Errors
/// When the pack is broken.
pub fn mentions(count: usize, half: Half, rng: &Rng) -> Result<Vec<Record>, SystemError> {
    const FRAMES: [&str; 8] = [
        "Yesterday I saw a picture of a {} in the newspaper.",
        "My neighbour asked me to draw a {} for her.",
        "The first word on the list was {}.",
        "Can you tell me how to spell {}?",
        "We talked about the {} all evening.",
        "There is a shop that sells postcards with a {} on them.",
        "I dreamt of a {} last night.",
        "Which language has the shortest word for {}?",
    ];
    let pool = pool(half)?;
    let of = |topic: &str| -> Vec<&Gloss> { pool.iter().filter(|it| it.topic == topic).collect() };
    let nouns = [of("animal"), of("food")];
    let mut records = Vec::with_capacity(2 * count);
    for index in 0..count {
        let mut rng = rng.item(index as u64);
        let which = index % 2;
        let noun = nouns[which][rng.below(nouns[which].len())];
        let text = FRAMES[rng.below(FRAMES.len())].replace("{}", &noun.word);
        for (about, (name, definition)) in MENTIONS.iter().enumerate() {
            let risk = RiskConfig::new(Some(name), Some(definition))?;
            let messages = vec![Message::new("user", &text)];
            records.push(Record::new(
                format!("mention-{index}-{name}"),
                messages,
                &risk,
                Some(about == which),
            ));
        }
    }
    Ok(records)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_even_and_the_halves_share_no_word() {
        let rng = Rng::new(1);
        let records = retrieval(600, Half::Train, &rng).unwrap();
        for name in ["context_relevance", "groundedness", "answer_relevance"] {
            let of: Vec<_> = records
                .iter()
                .filter(|it| it.risk.as_deref() == Some(name))
                .collect();
            assert_eq!(
                of.iter().filter(|it| it.risky() == Some(true)).count() * 2,
                of.len()
            );
        }
        assert!(
            records
                .iter()
                .all(|it| it.messages.iter().all(|message| message.text().len() > 5))
        );
        let words = |half| -> std::collections::BTreeSet<String> {
            pool(half).unwrap().into_iter().map(|it| it.word).collect()
        };
        assert!(words(Half::Train).is_disjoint(&words(Half::Test)));
    }

    #[test]
    fn a_relevant_context_is_the_gloss_and_does_not_name_the_word() {
        for record in word_meanings(300, Half::Test, &Rng::new(2)).unwrap() {
            let [context, question] = [0, 1].map(|at| record.messages[at].text().to_lowercase());
            let word = question.split('"').nth(1).unwrap().to_owned();
            if record.risky() == Some(false) {
                let words = context.split(|c: char| !c.is_alphanumeric());
                assert!(!words.into_iter().any(|it| it == word), "{word}: {context}");
            }
        }
    }

    #[test]
    fn exactly_one_definition_is_true_of_a_text() {
        let records = mentions(50, Half::Test, &Rng::new(3)).unwrap();
        for pair in records.chunks(2) {
            assert_eq!(pair[0].messages, pair[1].messages);
            assert_ne!(pair[0].label, pair[1].label);
        }
    }
}
