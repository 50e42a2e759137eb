//! Which subject a prompt means, in twelve languages: Unicode's names and keywords of the subjects as an index, without training.
//!
//! Each language reads the whole prompt with its own small words, colours and word endings, and the best interpretation of a subject
//! counts. The word that the rest describes (the head of the first phrase) counts most, colours decide between equals.

use std::collections::HashMap;
use std::sync::OnceLock;

use engine::data::lexicon::normalise;
use engine::data::pack::{EmojiPack, PackError, Style};

mod colour;
mod fold;
mod language;
mod table;

use language::{Language, Part, Taken};

/// Languages that are read: their codes and English names.
pub const LANGUAGES: [(&str, &str); 12] = [
    ("en", "English"),
    ("zh", "Chinese"),
    ("ja", "Japanese"),
    ("ko", "Korean"),
    ("fr", "French"),
    ("es", "Spanish"),
    ("ru", "Russian"),
    ("hi", "Hindi"),
    ("ar", "Arabic"),
    ("bn", "Bengali"),
    ("ur", "Urdu"),
    ("de", "German"),
];
/// Weight of a whole name, a whole keyword, a word of a name and a word of a keyword.
const NAME: f32 = 3.0;
const KEYWORD: f32 = 2.0;
const IN_NAME: f32 = 1.2;
const IN_KEYWORD: f32 = 0.6;
/// A word that many subjects have says less of each: divided by `1 + COMMON·ln(subjects)`.
const COMMON: f32 = 0.35;
/// Each further word of a known phrase makes it that much surer.
const PHRASE: f32 = 0.25;
/// For the share of the prompt that a subject explains.
const COVER: f32 = 1.0;
/// For subjects that people recognise at this size, where others are as likely.
const RECOGNISED: f32 = 0.25;
/// For the share of a picture in a colour that the prompt names.
const LOOK: f32 = 0.6;
/// English is likelier than another language that writes a word alike.
const ENGLISH: f32 = 1.3;
/// A word that was corrected is less sure than one that was typed.
const CORRECTED: f32 = 0.8;
/// How sharply scores become probabilities.
const SHARPNESS: f32 = 8.0;

/// What a prompt was found to ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    /// Subjects by their codes, each with its score, the likeliest first; empty where nothing was understood.
    pub subjects: Vec<(String, f32)>,
    /// Words that no subject has.
    pub unknown: Vec<String>,
    /// Words of other subjects than the likeliest.
    pub left_out: Vec<String>,
    /// Words that were taken for mistyped ones: as typed, and as read.
    pub corrected: Vec<(String, String)>,
    /// A word of another language that may be a mistyped English one: as typed, the English word.
    pub mistaken: Option<(String, String)>,
}

impl Analysis {
    /// Probability of each subject, in the order of `subjects`: a softmax of their scores.
    pub fn probabilities(&self) -> Vec<f32> {
        let top = self.subjects.first().map_or(0.0, |(_, score)| *score);
        let weight = |score: f32| libm::expf(SHARPNESS * (score - top));
        let total: f32 = self.subjects.iter().map(|(_, score)| weight(*score)).sum();
        let scores = self.subjects.iter();
        scores.map(|(_, score)| weight(*score) / total).collect()
    }
}

/// The index of words.
pub struct Words {
    pack: &'static EmojiPack,
    /// Codes of the subjects; other tables count by them.
    codes: Vec<String>,
    recognised: Vec<bool>,
    languages: Vec<OnceLock<Language>>,
    table: table::Table,
}

impl Words {
    /// The index inside the program.
    ///
    /// # Errors
    /// [`PackError`] where the program was built with a broken pack.
    pub fn embedded() -> Result<&'static Self, PackError> {
        static WORDS: OnceLock<Result<Words, PackError>> = OnceLock::new();
        let words = WORDS.get_or_init(|| {
            let pack = EmojiPack::embedded()?;
            let table = table::Table::embedded()?;
            let plain = pack.subjects.iter().filter(|s| s.skin.is_none());
            let codes: Vec<String> = plain.map(|subject| subject.code.clone()).collect();
            let known = super::subjects::recognised();
            Ok(Self {
                recognised: codes.iter().map(|code| known.contains(code)).collect(),
                codes,
                pack,
                languages: LANGUAGES.iter().map(|_| OnceLock::new()).collect(),
                table,
            })
        });
        words.as_ref().map_err(Clone::clone)
    }

    /// Whether a subject, by its code, is in the index.
    pub fn knows(&self, code: &str) -> bool {
        self.codes.iter().any(|known| known == code)
    }

    /// Reads a prompt: an emoji means itself, words what their languages say.
    pub fn analyse(&self, prompt: &str) -> Analysis {
        let tokens = normalise(prompt);
        let is_style = |token: &str| token.parse::<Style>().is_ok();
        let shown = |token: &String| {
            let subject = self.pack.by_emoji(token)?;
            Some((subject.base.clone(), NAME))
        };
        let mut analysis = Analysis {
            subjects: tokens.iter().filter_map(shown).collect(),
            ..Analysis::default()
        };
        if let Some(first) = analysis.subjects.first().cloned() {
            analysis.subjects = vec![first];
            return analysis;
        }
        let words = tokens.into_iter().filter(|token| !is_style(token));
        let words: Vec<String> = words.collect();
        let mut best: HashMap<usize, (f32, Interpretation)> = HashMap::new();
        let mut unread: Option<Vec<String>> = None;
        let languages: Vec<&Language> = self.written_in(&words).collect();
        for language in &languages {
            let read = self.read(language, language.taken(&words));
            if read.scores.is_empty() {
                let parts = read.parts.iter().filter(|part| part.colour.is_none());
                unread.get_or_insert_with(|| parts.map(|part| part.shown.clone()).collect());
            }
            read.into_best(&mut best, &[]);
        }
        // What a language makes of all words stands; else the main word of the prompt may be mistyped.
        let top = best.values().max_by(|a, b| a.0.total_cmp(&b.0));
        if top.is_none_or(|(_, interpretation)| !interpretation.unknown.is_empty()) {
            let tried = languages.iter().filter_map(|language| {
                let mut taken = language.taken(&words);
                let (slips, correction) = correct(language, &languages, &mut taken)?;
                Some((slips, language, taken, correction))
            });
            let tried: Vec<_> = tried.collect();
            let fewest = tried.iter().map(|(slips, ..)| *slips).min();
            for (slips, language, taken, correction) in tried {
                if Some(slips) == fewest {
                    let read = self.read(language, taken);
                    read.into_best(&mut best, &[correction]);
                }
            }
        }
        let mut order: Vec<(usize, (f32, Interpretation))> = best.into_iter().collect();
        order.sort_by(|a, b| b.1.0.total_cmp(&a.1.0).then(a.0.cmp(&b.0)));
        if let Some((_, (_, interpretation))) = order.first() {
            analysis.unknown.clone_from(&interpretation.unknown);
            analysis.left_out.clone_from(&interpretation.left_out);
            analysis.corrected.clone_from(&interpretation.corrected);
            // A colour alone, beside a word that means nothing, says of no subject that it is meant; nor does it where another
            // language has a word that is written alike.
            let is_colour =
                |word: &String| languages.iter().any(|language| language.is_colour(word));
            if !interpretation.unknown.is_empty() && interpretation.keywords.iter().all(is_colour) {
                order.clear();
            }
        } else {
            analysis.unknown = unread.unwrap_or_default();
        }
        analysis.mistaken = self.mistaken(&languages, &words, order.first());
        let subjects = order.into_iter();
        analysis.subjects = subjects
            .map(|(at, (score, _))| (self.codes[at].clone(), score))
            .collect();
        analysis
    }

    /// The languages in whose writing any of `words` is.
    fn written_in<'a>(&'a self, words: &'a [String]) -> impl Iterator<Item = &'a Language> {
        let all = LANGUAGES.iter().zip(&self.languages);
        let theirs =
            all.filter(move |((code, _), _)| words.iter().any(|word| fold::written_in(code, word)));
        theirs.map(move |((code, _), language)| {
            language.get_or_init(|| self.table.language(code, &self.codes))
        })
    }

    /// Whether the one word of a prompt is a keyword of another language than English and nearly the English name of another
    /// subject than `meant`.
    fn mistaken(
        &self,
        languages: &[&Language],
        words: &[String],
        meant: Option<&(usize, (f32, Interpretation))>,
    ) -> Option<(String, String)> {
        let (meant, (_, interpretation)) = meant?;
        let [word] = words else {
            return None;
        };
        let english = languages.first().filter(|language| language.code == "en")?;
        if interpretation.named || interpretation.english || !interpretation.corrected.is_empty() {
            return None;
        }
        let (_, key, written) = english.correction(word)?;
        let subjects = [english.names(&key), english.in_names(&key)].concat();
        let other = !subjects.is_empty() && !subjects.iter().any(|at| usize::from(*at) == *meant);
        other.then(|| (word.clone(), written))
    }

    /// What one language makes of a prompt that it took apart.
    fn read(&self, language: &Language, taken: Taken) -> Read {
        let parts = taken.parts;
        let mut known = vec![false; parts.len()];
        // A colour alone is a subject's word as well.
        let weights = language.weights(&parts);
        let mut marks: HashMap<usize, Vec<f32>> = HashMap::new();
        let mut mark = |subjects: &[u16], from: usize, to: usize, mark: f32| {
            for &subject in subjects {
                let row = marks.entry(usize::from(subject));
                let row = row.or_insert_with(|| vec![0.0; parts.len()]);
                row[from..to].iter_mut().for_each(|m| *m = m.max(mark));
            }
        };
        for from in 0..parts.len() {
            for to in from + 1..=parts.len().min(from + language::LONGEST_PHRASE) {
                let key = language.join(parts[from..to].iter().map(|part| part.key.as_str()));
                let (names, keywords) = (language.names(&key), language.keywords(&key));
                if names.is_empty() && keywords.is_empty() {
                    continue;
                }
                known[from..to].fill(true);
                let sure =
                    rarity(names.len() + keywords.len()) * (1.0 + PHRASE * (to - from - 1) as f32);
                mark(names, from, to, NAME * sure);
                mark(keywords, from, to, KEYWORD * sure);
            }
            let key = &parts[from].key;
            let (names, keywords) = (language.in_names(key), language.in_keywords(key));
            if !names.is_empty() || !keywords.is_empty() {
                known[from] = true;
                let sure = rarity(names.len() + keywords.len() + language.keywords(key).len());
                mark(names, from, from + 1, IN_NAME * sure);
                mark(keywords, from, from + 1, IN_KEYWORD * sure);
            }
        }
        let colours = parts.iter().filter_map(|part| part.colour.flatten());
        let colours: Vec<colour::Colour> = colours.collect();
        let understood = parts.iter().zip(&known);
        let understood = understood.filter(|(part, known)| **known || part.colour.is_some());
        let whole = (parts.len() + taken.small) as f32;
        let covered = (understood.count() + taken.small) as f32 / whole.max(1.0);
        let total: f32 = weights.iter().sum();
        let likelier = if language.code == "en" { ENGLISH } else { 1.0 };
        let score = |(subject, marks): (usize, Vec<f32>)| {
            let keywords_score: f32 = marks.iter().zip(&weights).map(|(m, w)| m * w).sum();
            let explained = marks.iter().zip(&weights).filter(|(mark, _)| **mark > 0.0);
            let explained: f32 = explained.map(|(_, weight)| weight).sum();
            let look: f32 = colours
                .iter()
                .map(|&colour| colour::share(self.pack, &self.codes[subject], colour))
                .sum();
            let known = if self.recognised[subject] {
                RECOGNISED
            } else {
                0.0
            };
            let score = keywords_score + COVER * explained / total + known + LOOK * look;
            (subject, likelier * covered * covered * score, marks)
        };
        let scores = marks.into_iter().map(score).collect();
        let named = |part: &Part| !language.names(&part.key).is_empty();
        Read {
            named: parts.iter().any(named),
            english: language.code == "en",
            parts,
            known,
            scores,
        }
    }
}

/// Puts the nearest known word in place of the main word of a prompt, where that is no colour and no small word of any language and no
/// name: by how many slips, as typed and as read.
fn correct(
    language: &Language,
    languages: &[&Language],
    taken: &mut Taken,
) -> Option<(usize, (String, String))> {
    let head = language.head(&taken.parts)?;
    let part = taken.parts.get_mut(head)?;
    // Names of other languages than English may be slips of English (`elefant`).
    let plain = languages.iter().any(|other| {
        other.is_small(&part.shown) || other.code == "en" && other.is_name(&part.shown)
    });
    if plain || language.is_subject(&part.key) {
        return None;
    }
    let (slips, key, written) = language.correction(&part.shown)?;
    part.key = key;
    Some((slips, (part.shown.clone(), written)))
}

/// How much a word says that `subjects` subjects have.
fn rarity(subjects: usize) -> f32 {
    1.0 / (1.0 + COMMON * libm::logf(subjects.max(1) as f32))
}

/// What one language makes of a prompt.
struct Read {
    parts: Vec<Part>,
    /// Whether any subject has the part.
    known: Vec<bool>,
    /// Subject, score, and how much each part says of it.
    scores: Vec<(usize, f32, Vec<f32>)>,
    /// Whether any part is a name.
    named: bool,
    english: bool,
}

impl Read {
    /// Enters the readings that are better than those of other languages; `corrected` words make them less sure.
    fn into_best(
        self,
        best: &mut HashMap<usize, (f32, Interpretation)>,
        corrected: &[(String, String)],
    ) {
        let sure = if corrected.is_empty() { 1.0 } else { CORRECTED };
        for (subject, score, explained) in &self.scores {
            let score = sure * score;
            if best.get(subject).is_none_or(|(other, _)| score > *other) {
                let interpretation = Interpretation::new(&self, explained, corrected);
                best.insert(*subject, (score, interpretation));
            }
        }
    }
}

/// The words that the interpretation of a subject does without.
struct Interpretation {
    unknown: Vec<String>,
    left_out: Vec<String>,
    corrected: Vec<(String, String)>,
    /// Words that say of the subject, as typed.
    keywords: Vec<String>,
    named: bool,
    english: bool,
}

impl Interpretation {
    fn new(read: &Read, explained: &[f32], corrected: &[(String, String)]) -> Self {
        let words = |unknown: bool| {
            let parts = read.parts.iter().zip(&read.known).zip(explained);
            let parts = parts.filter(move |((part, known), explained)| {
                let other = if unknown {
                    !**known
                } else {
                    **known && **explained == 0.0
                };
                other && part.colour.is_none()
            });
            parts.map(|((part, _), _)| part.shown.clone()).collect()
        };
        let keywords = read.parts.iter().zip(explained).filter(|(_, m)| **m > 0.0);
        Self {
            unknown: words(true),
            left_out: words(false),
            corrected: corrected.to_vec(),
            keywords: keywords.map(|(part, _)| part.shown.clone()).collect(),
            named: read.named,
            english: read.english,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn best(prompt: &str) -> String {
        let analysis = Words::embedded().unwrap().analyse(prompt);
        let subject = analysis.subjects.first().map(|(code, _)| code.clone());
        subject.unwrap_or_default()
    }

    #[test]
    fn an_emoji_means_itself_whatever_its_skin() {
        assert_eq!(best("🦊"), "1f98a");
        assert_eq!(best("👋🏿 hello"), "1f44b");
    }

    #[test]
    fn nouns_outrank_colours_and_small_words() {
        let car = best("a red sports car on a road");
        assert!(["1f697", "1f699", "1f3ce"].contains(&car.as_str()), "{car}");
        assert_eq!(best("赤い車"), "1f697");
        assert_eq!(best("draw me a fox, please"), "1f98a");
    }

    #[test]
    fn endings_scripts_and_articles_are_folded() {
        for (prompts, code) in [
            (
                &["foxes", "キツネ", "きつね", "الثعلب", "Füchse", "лисы"][..],
                "1f98a",
            ),
            (
                &["strawberries", "fraises", "fresas", "딸기를"][..],
                "1f353",
            ),
        ] {
            for prompt in prompts {
                assert_eq!(best(prompt), code, "{prompt}");
            }
        }
    }

    #[test]
    fn what_is_not_drawn_is_told() {
        let words = Words::embedded().unwrap();
        let analysis = words.analyse("a fox beside a rocket");
        assert_eq!(analysis.left_out, ["rocket"]);
        let analysis = words.analyse("qwrtz fox");
        assert_eq!(analysis.unknown, ["qwrtz"]);
        let analysis = words.analyse("qwrtz");
        assert_eq!(
            (analysis.subjects, analysis.unknown),
            (vec![], vec!["qwrtz".to_owned()])
        );
    }

    #[test]
    fn slips_of_the_main_word_are_corrected_and_told() {
        let words = Words::embedded().unwrap();
        for (prompt, code, read) in [
            ("red appel", "1f34e", ("appel", "apple")),
            ("a happy elefant dancing", "1f418", ("elefant", "elephant")),
            ("strawbery", "1f353", ("strawbery", "strawberry")),
            ("blue bycicle", "1f6b2", ("bycicle", "bicycle")),
            ("rokcet", "1f680", ("rokcet", "rocket")),
            ("un chatt", "1f408", ("chatt", "chat")),
        ] {
            let analysis = words.analyse(prompt);
            let pair = (read.0.to_owned(), read.1.to_owned());
            assert_eq!(analysis.corrected, [pair], "{prompt}");
            let first = analysis
                .subjects
                .first()
                .map_or("", |(code, _)| code.as_str());
            let alike = first == code || code == "1f408" && first == "1f431";
            assert!(alike, "{prompt}: {first}");
            assert!(
                analysis.unknown.is_empty(),
                "{prompt}: {:?}",
                analysis.unknown
            );
        }
        // What is known stays, and what is far from all stays unknown.
        for prompt in ["a cat on a sofa", "a ripe peach", "green frog"] {
            assert!(words.analyse(prompt).corrected.is_empty(), "{prompt}");
        }
    }

    #[test]
    fn a_colour_beside_an_unknown_word_is_no_subject() {
        let analysis = Words::embedded().unwrap().analyse("red qwrtzu");
        assert_eq!(
            (analysis.subjects, analysis.unknown),
            (vec![], vec!["qwrtzu".to_owned()])
        );
    }

    #[test]
    fn a_foreign_keyword_that_may_be_a_slip_is_told() {
        let words = Words::embedded().unwrap();
        let slip = ("appel".to_owned(), "apple".to_owned());
        assert_eq!(words.analyse("appel").mistaken, Some(slip));
        assert_eq!(words.analyse("tigre").mistaken, None);
    }

    #[test]
    fn a_small_word_alone_is_what_it_names() {
        assert!(!best("glass").is_empty());
        assert!(best("").is_empty());
    }
}
