//! The small-scale proof on a small model and 101 synsets in nine languages, in three parts:
//!
//! 1. **rank**: are words matrices of full rank?
//! 2. **concepts**: do words project on their own concept more than on others, and random frames around zero?
//! 3. **guidance**: does more guidance move texts further, and does what they say follow?

mod concepts;
mod guidance;
mod rank;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base::command::Failure;
use base::numerics::statistics::{Interval, mean, student};
use base::proof::{Outcome, Proof};

use super::CARD;
use super::concepts::{Vocabulary, WordOptions};
use super::making::ConceptOptions;
use super::model::FramesModel;
use super::wordnet::Synset;
use super::words::{ConceptWords, Multilingual, Variant, text};
use engine::SystemError;

/// The model, as `--model` takes it.
const MODEL: &str = "smollm2";
/// Columns of a frame.
const COLUMNS: usize = 3;
/// Words that a concept needs, ways of writing counted.
const MIN_WORDS: usize = 4;
/// Languages of the concepts: those whose script the model's vocabulary does not spell in bytes.
const LANGUAGES: [&str; 6] = ["eng", "fra", "por", "ita_iwn", "spa_wikt", "deu_wikt"];
/// The synsets, in the folder of recorded cases. Licences of some languages' words keep them out of this repository.
const SYNSETS: &str = "frames/omw_subset.tsv";

/// For the registry. Nothing is trained and nothing but random frames is drawn: one seed is enough.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [1, 5],
    &[
        ("rank", rank::prove),
        ("concepts", concepts::prove),
        ("guidance", guidance::prove),
    ],
);

/// What all parts need.
struct World {
    model: FramesModel,
    vectors: Vocabulary,
    /// Synsets by key, and lemmas by synset and language.
    synsets: Vec<Synset>,
    lemmas: Multilingual,
    languages: Vec<String>,
}

impl World {
    /// The world, read once.
    fn get() -> Result<&'static Self, Failure> {
        static WORLD: OnceLock<World> = OnceLock::new();
        match WORLD.get() {
            Some(world) => Ok(world),
            None => {
                let world = Self::open()?;
                Ok(WORLD.get_or_init(|| world))
            }
        }
    }

    fn open() -> Result<Self, Failure> {
        let path = synsets()?;
        let model = FramesModel::open(MODEL, None)?;
        let (synsets, lemmas, languages) = read(&path)?;
        let vectors = ConceptOptions::default().vocabulary(&model)?;
        Ok(Self {
            model,
            vectors,
            synsets,
            lemmas,
            languages,
        })
    }

    /// Words of all synsets in some languages.
    fn words(&self, languages: &[String]) -> Vec<ConceptWords> {
        self.lemmas.concepts(&self.synsets, languages)
    }

    /// Words of the concepts, and how they are written.
    fn concept_words(&self) -> (Vec<ConceptWords>, WordOptions) {
        let languages = LANGUAGES.map(str::to_owned);
        let options = WordOptions {
            max_tokens: COLUMNS,
            min_words: MIN_WORDS,
            variants: vec![Variant::Bare, Variant::Leading],
        };
        (self.words(&languages), options)
    }
}

/// Where the synsets are.
fn synsets() -> Result<PathBuf, Failure> {
    let fixtures = std::env::var_os("ORRERY_FIXTURES").map(PathBuf::from);
    let path = fixtures
        .unwrap_or_else(|| PathBuf::from("../shared/fixtures"))
        .join(SYNSETS);
    match path.is_file() {
        true => Ok(path),
        false => Err(Failure::input(format!(
            "the proof reads its words from `{}`, which is not there: set ORRERY_FIXTURES to the folder of recorded cases",
            path.display()
        ))),
    }
}

type Synsets = (Vec<Synset>, Multilingual, Vec<String>);

/// `name <TAB> offset-pos <TAB> language <TAB> lemma`
fn read(path: &Path) -> Result<Synsets, SystemError> {
    let (mut synsets, mut lemmas, mut languages) =
        (Vec::<Synset>::new(), Multilingual::default(), Vec::new());
    for line in text(path)?.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, key, language, lemma] = fields[..] else {
            return Err(SystemError::Input(format!(
                "`{}` has a line of {} fields, not 4",
                path.display(),
                fields.len()
            )));
        };
        if synsets.iter().all(|synset| synset.name != name) {
            synsets.push(Synset {
                name: name.to_owned(),
                key: key.to_owned(),
                lemmas: Vec::new(),
                gloss: String::new(),
            });
        }
        lemmas.add(key, language, lemma);
        if !languages.iter().any(|known| known == language) {
            languages.push(language.to_owned());
        }
    }
    Ok((synsets, lemmas, languages))
}

/// The mean of values that were measured on items, with Student's interval over the items.
fn over_items(arm: &str, values: &[f64]) -> Outcome {
    let mean = mean(values);
    match student(values) {
        Some(interval) => Outcome::given(arm, mean, interval),
        None => Outcome::given(
            arm,
            mean,
            Interval {
                low: mean,
                high: mean,
            },
        ),
    }
}
