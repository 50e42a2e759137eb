//! Classes for items that have no task type [ours]: the nearest subclass by the words of the taxonomy, or a label that a
//! language model gives.

use std::collections::BTreeMap;

use base::endpoint::{ChatError, ChatModel, Message, Prompt, Request};

use super::taxonomy::{Class, Taxonomy};

/// A bag of hashed words.
type Bag = BTreeMap<u64, f64>;

/// Centroids of all subclasses, made of the names of their task types.
#[derive(Debug)]
pub struct Classifier {
    centroids: Vec<(Class, Bag)>,
    /// The weight of a word: the fewer subclasses use it the more.
    rarity: BTreeMap<u64, f64>,
}

impl Classifier {
    /// The classifier of the official table.
    pub fn new() -> Self {
        let mut bags: BTreeMap<(&str, &str), (Class, Bag)> = BTreeMap::new();
        for (name, class) in Taxonomy::official().types() {
            let (_, bag) = bags
                .entry((class.main, class.sub))
                .or_insert_with(|| (class, Bag::new()));
            for word in words(&format!("{name} {}", class.sub)) {
                *bag.entry(word).or_default() += 1.0;
            }
        }
        let mut spread: BTreeMap<u64, f64> = BTreeMap::new();
        for (_, bag) in bags.values() {
            for word in bag.keys() {
                *spread.entry(*word).or_default() += 1.0;
            }
        }
        let count = bags.len() as f64;
        let rarity: BTreeMap<u64, f64> = spread
            .into_iter()
            .map(|(word, classes)| (word, (1.0 + count / classes).ln()))
            .collect();
        let centroids = bags
            .into_values()
            .map(|(class, bag)| (class, normal(bag, &rarity)))
            .collect();
        Self { centroids, rarity }
    }

    /// A task type that the table reports under `class`; the name of the subclass where there is none.
    pub fn task_type(&self, class: Class) -> &'static str {
        let types = Taxonomy::official().types();
        let own = types
            .iter()
            .filter(|(_, of)| *of == class)
            .min_by_key(|(name, _)| name.len());
        own.map_or(class.sub, |(name, _)| name)
    }

    /// The nearest subclass by cosine, with the cosine; none for a text that shares no word with any.
    pub fn nearest(&self, text: &str) -> Option<(Class, f64)> {
        let mut bag = Bag::new();
        for word in words(text) {
            *bag.entry(word).or_default() += 1.0;
        }
        let bag = normal(bag, &self.rarity);
        let cosine = |centroid: &Bag| -> f64 {
            let shared = bag
                .iter()
                .filter_map(|(word, a)| Some(a * centroid.get(word)?));
            shared.sum()
        };
        let all = self
            .centroids
            .iter()
            .map(|(class, centroid)| (*class, cosine(centroid)));
        let best = all.fold(None::<(Class, f64)>, |best, next| match best {
            Some(best) if best.1 >= next.1 => Some(best),
            _ => Some(next),
        });
        best.filter(|(_, cosine)| *cosine > 0.0)
    }
}

impl Default for Classifier {
    fn default() -> Self {
        Self::new()
    }
}

/// A bag weighted by rarity, of length 1.
fn normal(bag: Bag, rarity: &BTreeMap<u64, f64>) -> Bag {
    let weighted: Bag = bag
        .into_iter()
        .filter_map(|(word, times)| Some((word, (1.0 + times).ln() * rarity.get(&word)?)))
        .collect();
    let length = weighted.values().map(|x| x * x).sum::<f64>().sqrt();
    weighted
        .into_iter()
        .map(|(word, x)| (word, x / length))
        .collect()
}

/// Hashes of the words, without a plural's last letter.
fn words(text: &str) -> impl Iterator<Item = u64> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 1)
        .map(|word| {
            let low = word.to_lowercase();
            super::fingerprint(&[low.strip_suffix('s').unwrap_or(&low)])
        })
}

/// Asks a language model for a subclass; none where it names none of the list.
///
/// # Errors
/// [`ChatError`].
pub fn ask(model: &dyn ChatModel, question: &str) -> Result<Option<Class>, ChatError> {
    let taxonomy = Taxonomy::official();
    let names: Vec<&str> = taxonomy.classes.iter().map(|class| class.sub).collect();
    let text = format!(
        "Which of these topics does the request below belong to? Reply with the topic alone.\n\nTopics:\n{}\n\nRequest:\n{question}",
        names.join("\n")
    );
    let reply = model.reply(&Request {
        prompt: Prompt::Chat(vec![Message::user(text)]),
        temperature: 0.0,
        max_tokens: 64,
        seed: None,
    })?;
    let clean = |line: &str| line.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    Ok(reply
        .text
        .lines()
        .find_map(|line| taxonomy.by_sub(&clean(line))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::endpoint::Reply;

    #[test]
    fn names_of_task_types_find_their_own_main_class() {
        let classifier = Classifier::new();
        let types = Taxonomy::official().types();
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        let mut hits = 0;
        for (name, class) in &types {
            *sizes.entry(class.main).or_default() += 1;
            let found = classifier.nearest(name);
            hits += usize::from(found.is_some_and(|(found, _)| found.main == class.main));
        }
        // Whoever always names the largest class is right as often as it is large.
        let largest = sizes.into_values().max().unwrap();
        assert!(
            hits > largest,
            "{hits} of {}, largest {largest}",
            types.len()
        );
        assert!(classifier.nearest("").is_none());
    }

    struct Says(&'static str);

    impl ChatModel for Says {
        fn name(&self) -> &str {
            "says"
        }
        fn reply(&self, _: &Request) -> Result<Reply, ChatError> {
            Ok(Reply::text(self.0))
        }
    }

    #[test]
    fn a_model_s_label_is_read_leniently() {
        let class = ask(&Says("Topic:\n**cryptography**."), "AES")
            .unwrap()
            .unwrap();
        assert_eq!(class.sub, "Cryptography");
        assert_eq!(ask(&Says("I do not know"), "AES").unwrap(), None);
    }
}
