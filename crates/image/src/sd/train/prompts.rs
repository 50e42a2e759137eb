//! How people ask for a subject in a style.

use base::rng::Rng;
use engine::data::pack::{Style, Subject};

/// Probability that a prompt names no style.
const STYLE_DROPOUT: f32 = 0.15;
/// Probability that a prompt names the style alone.
const SUBJECT_DROPOUT: f32 = 0.05;

/// What each style is called, in the order of [`Style::ALL`].
const STYLES: [&[&str]; 3] = [
    &["noto", "noto", "noto emoji", "google", "soft shading"],
    &["twemoji", "twemoji", "twemoji emoji", "twitter", "flat"],
    &["fluent3d", "fluent3d", "fluent", "microsoft", "3d"],
];

fn pick<'a, T: ?Sized>(from: &[&'a T], rng: &mut Rng) -> &'a T {
    from[rng.below(from.len())]
}

fn name(subject: &Subject) -> &str {
    subject.name("en").unwrap_or_default()
}

/// One of the ways to name a subject: its English name, words people look for it with, the emoji itself.
fn subject_words(subject: &Subject, rng: &mut Rng) -> String {
    match rng.below(10) {
        0..=6 => name(subject).to_owned(),
        7 => subject.emoji(),
        _ => {
            let mut words = subject.keywords_en.clone();
            rng.shuffle(&mut words);
            words.truncate(1 + rng.below(2));
            words.push(name(subject).to_owned());
            words.join(" ")
        }
    }
}

/// A prompt for a subject in a style (an index into [`Style::ALL`]); at times without one of the two, so that each is learnt apart
/// from the other.
pub fn prompt(subject: &Subject, style: usize, rng: &mut Rng) -> String {
    let style = pick(STYLES[style], rng);
    if rng.chance(SUBJECT_DROPOUT) {
        return style.to_owned();
    }
    let subject = subject_words(subject, rng);
    if rng.chance(STYLE_DROPOUT) {
        return match rng.below(3) {
            0 => format!("a {subject}"),
            _ => subject,
        };
    }
    match rng.below(6) {
        0..=2 => format!("{subject} {style}"),
        3 => format!("{subject}, {style} style"),
        4 => format!("{style} {subject}"),
        _ => format!("a {subject} in {style} style"),
    }
}

/// The plainest prompt for a subject in a style: what is measured with.
pub fn plain(subject: &Subject, style: usize) -> String {
    format!("{} {}", name(subject), Style::ALL[style])
}

/// All that prompts are made of, with how often it counts for the vocabulary.
pub fn texts(subjects: &[Subject]) -> Vec<(String, usize)> {
    let mut texts = Vec::new();
    for subject in subjects {
        texts.push((name(subject).to_owned(), 4));
        texts.push((subject.emoji(), 2));
        texts.extend(subject.keywords_en.iter().map(|word| (word.clone(), 1)));
    }
    let styles = STYLES.iter().flat_map(|names| names.iter());
    texts.extend(styles.map(|name| ((*name).to_owned(), 100)));
    texts.push(("a, in style".to_owned(), 100));
    texts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use engine::data::pack::EmojiPack;

    #[test]
    fn prompts_name_both_subject_and_style_most_of_the_time() {
        let pack = EmojiPack::embedded().unwrap();
        let subject = pack.subjects.iter().find(|it| it.code == "1f418").unwrap();
        let mut rng = Rng::new(1);
        let both = (0..1000)
            .map(|_| prompt(subject, 1, &mut rng))
            .filter(|text| {
                let styled = STYLES[1].iter().any(|name| text.contains(name));
                styled && (text.contains("elephant") || text.contains(&subject.emoji()))
            })
            .count();
        assert!((750..=870).contains(&both), "{both}");
        assert_eq!(plain(subject, 2), "elephant fluent3d");
    }
}
