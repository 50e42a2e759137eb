//! Language models by name: loaded when first asked for, the least recently used leaves where memory ends.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base::command::{Failure, nearest};
use engine::decode::{Constraint, Grammar, GrammarKind};
use engine::models::decoder::{Cache, Decoder, Lora, PrefixCache};
use engine::text::Tokenizer;
use engine::weights::hub::{HubSettings, resolve};
use language::frames::words::ConceptWords;
use language::frames::{ConceptOptions, Concepts, Frame, FramesModel};

use super::error::ApiError;

/// Guides that are kept.
const GUIDES: usize = 256;

/// Bytes that a token has at most, nearly: spaces of program texts are the longest.
const LONGEST_TOKEN: usize = 128;

/// One language model in memory.
pub struct Model {
    /// What requests call it.
    pub id: String,
    below: FramesModel,
    /// Prefixes that were computed.
    pub prefixes: Mutex<PrefixCache>,
    grammar: OnceLock<Result<Grammar, String>>,
    guides: Mutex<HashMap<String, Arc<Frame>>>,
    concepts: ConceptOptions,
    bytes: u64,
}

impl Model {
    /// The network.
    pub fn decoder(&self) -> &Decoder {
        &self.below.decoder
    }

    /// Text to tokens.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.below.tokenizer
    }

    /// The tokens of a prompt. A text that cannot fit the model, however long its tokens are, is not even read.
    ///
    /// # Errors
    /// [`ApiError`] about the field `param`.
    pub fn encode(&self, text: &str, param: &'static str) -> Result<Vec<u32>, ApiError> {
        let limit = Cache::new(self.decoder().config()).limit();
        let most = limit.saturating_mul(LONGEST_TOKEN);
        if text.len() > most {
            return Err(ApiError::param(
                param,
                format!(
                    "a text has {} bytes, more than {limit} tokens can hold",
                    text.len()
                ),
            ));
        }
        Ok(self.tokenizer().encode_prompt(text)?)
    }

    /// What an answer has to fit.
    ///
    /// # Errors
    /// [`ApiError`] for what cannot be enforced.
    pub fn constraint(&self, kind: &GrammarKind) -> Result<Constraint, ApiError> {
        let made = || Grammar::new(self.tokenizer()).map_err(|error| error.to_string());
        match self.grammar.get_or_init(made) {
            Ok(grammar) => Ok(grammar.constraint(kind)?),
            Err(line) => Err(ApiError::input(line)),
        }
    }

    /// The direction from one concept to another, each a synset or words.
    ///
    /// # Errors
    /// [`ApiError`] for unknown concepts, and where WordNet is absent.
    pub fn guide(&self, towards: &Named, away: Option<&Named>) -> Result<Arc<Frame>, ApiError> {
        let key = format!("{towards:?}{away:?}");
        let mut guides = locked(&self.guides);
        if let Some(frame) = guides.get(&key) {
            return Ok(frame.clone());
        }
        // Under the lock: one at a time is made.
        let concepts = Concepts::open(&self.below, &self.concepts).map_err(ApiError::input)?;
        let frame = |named: &Named| {
            match named {
                Named::Synset(name) => concepts.frame(name),
                Named::Words(words) => concepts.of_words(
                    &ConceptWords {
                        name: "words".into(),
                        lemmas: words.clone(),
                    },
                    1,
                ),
            }
            .map_err(ApiError::input)
        };
        let mut made = frame(towards)?;
        if let Some(away) = away {
            made = language::frames::combine(&made, &frame(away)?, self.concepts.degenerate);
        }
        if made.rank() == 0 {
            return Err(ApiError::param(
                "guide",
                "the guide is empty: name two different concepts",
            ));
        }
        if guides.len() >= GUIDES {
            guides.clear();
        }
        let made = Arc::new(made);
        guides.insert(key, made.clone());
        Ok(made)
    }
}

/// A concept as a request names it.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(
    untagged,
    expecting = "a concept is a synset such as `woman.n.01`, or a list of words"
)]
pub enum Named {
    /// A synset of WordNet, such as `woman.n.01`.
    Synset(String),
    /// Words.
    Words(Vec<String>),
}

impl Named {
    /// # Errors
    /// [`ApiError`] for what is not a name: files of the server are none of a request's business.
    pub fn check(&self) -> Result<(), ApiError> {
        let wrong =
            |text: &str| text.is_empty() || text.len() > 100 || text.contains(['@', '/', '\\']);
        match self {
            Self::Synset(name) if wrong(name) => Err(ApiError::param(
                "guide",
                "a concept is the name of a synset such as `woman.n.01`, or a list of words",
            )),
            Self::Words(words)
                if words.is_empty() || words.len() > 64 || words.iter().any(|it| wrong(it)) =>
            {
                Err(ApiError::param(
                    "guide",
                    "give 1 to 64 words of at most 100 characters",
                ))
            }
            _ => Ok(()),
        }
    }
}

/// A name that requests may use.
struct Known {
    id: String,
    /// What [`resolve`] is asked for.
    source: String,
    /// The adapter on it.
    adapter: Option<PathBuf>,
}

struct Loaded {
    model: Arc<Model>,
    used: Instant,
}

/// Adapters of a request.
pub type Adapters = Vec<(Arc<Lora>, f32)>;

/// All models of a server.
pub struct Models {
    known: Vec<Known>,
    loaded: Mutex<Vec<Loaded>>,
    adapters: Mutex<HashMap<String, Arc<Lora>>>,
    loading: tokio::sync::Mutex<()>,
    concepts: Option<PathBuf>,
    prefix_bytes: usize,
    most_bytes: u64,
    created: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Models {
    /// Models `names`, each NAME or ID=NAME, and adapters NAME=DIR on the first. Nothing is loaded.
    ///
    /// # Errors
    /// [`Failure::Input`] where a name is there twice or an adapter has no model.
    pub fn new(
        names: &[String],
        adapters: &[String],
        concepts: Option<PathBuf>,
        prefix_bytes: usize,
        most_bytes: u64,
    ) -> Result<Self, Failure> {
        let mut known: Vec<Known> = Vec::new();
        for name in names {
            let (id, source) = match name.split_once('=') {
                Some((id, source)) => (id.to_owned(), source),
                None => (short(name), name.as_str()),
            };
            known.push(Known {
                id,
                source: source.to_owned(),
                adapter: None,
            });
        }
        for adapter in adapters {
            let (Some((id, folder)), Some(first)) = (adapter.split_once('='), known.first()) else {
                return Err(Failure::input(format!(
                    "`{adapter}` is not an adapter: give NAME=FOLDER, and the model below it with `--model`"
                )));
            };
            known.push(Known {
                id: id.to_owned(),
                source: first.source.clone(),
                adapter: Some(folder.into()),
            });
        }
        for (at, one) in known.iter().enumerate() {
            if known[..at].iter().any(|other| other.id == one.id) {
                return Err(Failure::input(format!(
                    "two models are called `{}`: give ID=NAME with another ID",
                    one.id
                )));
            }
        }
        let created = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            known,
            loaded: Mutex::default(),
            adapters: Mutex::default(),
            loading: tokio::sync::Mutex::new(()),
            concepts,
            prefix_bytes,
            most_bytes,
            created: created.map_or(0, |since| since.as_secs()),
        })
    }

    /// Names that requests may use.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|known| known.id.as_str())
    }

    /// Seconds since 1970 at the server's start.
    pub fn created(&self) -> u64 {
        self.created
    }

    /// The ids of the models in memory.
    pub fn in_memory(&self) -> Vec<String> {
        locked(&self.loaded)
            .iter()
            .map(|it| it.model.id.clone())
            .collect()
    }

    /// Whether requests may name `id`.
    pub fn has(&self, id: &str) -> bool {
        self.known.iter().any(|known| known.id == id)
    }

    fn known(&self, id: Option<&str>) -> Result<&Known, ApiError> {
        let Some(first) = self.known.first() else {
            return Err(ApiError::no_model(
                "this server has no language model: fetch one with `orrery pull smollm2` and start it again",
            ));
        };
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Ok(first);
        };
        self.known
            .iter()
            .find(|known| known.id == id)
            .ok_or_else(|| {
                let hint = match nearest(id, self.ids()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are: {}", self.ids().collect::<Vec<_>>().join(", ")),
                };
                let id: String = id.chars().take(80).collect();
                ApiError::no_model(format!("there is no model `{id}`: {hint}"))
            })
    }

    fn find(&self, source_id: &str) -> Option<Arc<Model>> {
        let mut loaded = locked(&self.loaded);
        let found = loaded.iter_mut().find(|it| it.model.id == source_id)?;
        found.used = Instant::now();
        Some(found.model.clone())
    }

    /// The model called `id` (none: the first) with its adapters, read where it is not in memory.
    ///
    /// # Errors
    /// [`ApiError`] for an unknown name, and for a model that cannot be read.
    pub async fn get(
        self: &Arc<Self>,
        id: Option<&str>,
    ) -> Result<(Arc<Model>, Adapters), ApiError> {
        let known = self.known(id)?;
        // The base of an adapter is the first entry with its source.
        let base = self.known.iter().find(|it| it.source == known.source);
        let base = base.map_or(known.id.as_str(), |it| it.id.as_str());
        let model = match self.find(base) {
            Some(model) => model,
            None => {
                let _one = self.loading.lock().await;
                match self.find(base) {
                    Some(model) => model,
                    None => {
                        let (all, id, source) =
                            (self.clone(), base.to_owned(), known.source.clone());
                        let read = tokio::task::spawn_blocking(move || all.read(&id, &source));
                        read.await.map_err(ApiError::failed)??
                    }
                }
            }
        };
        let Some(folder) = &known.adapter else {
            return Ok((model, Vec::new()));
        };
        let mut adapters = locked(&self.adapters);
        let adapter = match adapters.get(&known.id) {
            Some(adapter) => adapter.clone(),
            None => {
                let read = Lora::open(folder, model.decoder().config());
                let adapter = Arc::new(read.map_err(ApiError::failed)?);
                adapters.insert(known.id.clone(), adapter.clone());
                adapter
            }
        };
        Ok((model, vec![(adapter, 1.0)]))
    }

    /// Reads a model; others leave where memory ends.
    fn read(&self, id: &str, source: &str) -> Result<Arc<Model>, ApiError> {
        let path = resolve(source, &HubSettings::from_environment()).map_err(ApiError::failed)?;
        let bytes = size(&path);
        {
            let mut loaded = locked(&self.loaded);
            while loaded.iter().map(|it| it.model.bytes).sum::<u64>() + bytes > self.most_bytes {
                let oldest = loaded.iter().enumerate().min_by_key(|(_, it)| it.used);
                let Some((at, _)) = oldest else { break };
                loaded.remove(at);
            }
        }
        let below = FramesModel::read(id, &path, None).map_err(ApiError::failed)?;
        let model = Arc::new(Model {
            id: id.to_owned(),
            below,
            prefixes: Mutex::new(PrefixCache::new(self.prefix_bytes)),
            grammar: OnceLock::new(),
            guides: Mutex::default(),
            concepts: ConceptOptions {
                file: self.concepts.clone(),
                ..ConceptOptions::default()
            },
            bytes,
        });
        locked(&self.loaded).push(Loaded {
            model: model.clone(),
            used: Instant::now(),
        });
        Ok(model)
    }
}

/// What a file or folder is called, without its ending; other names as they are.
fn short(name: &str) -> String {
    let path = Path::new(name);
    let stem = match path.exists() {
        true if path.is_file() => path.file_stem(),
        true => path.file_name(),
        false => None,
    };
    stem.map_or_else(
        || name.to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

/// Bytes of a model's files.
fn size(path: &Path) -> u64 {
    let len = |path: &Path| std::fs::metadata(path).map_or(0, |there| there.len());
    let Ok(folder) = std::fs::read_dir(path) else {
        return len(path);
    };
    let files = folder.flatten().map(|entry| entry.path());
    let weights = files.filter(|file| file.extension().is_some_and(|it| it == "safetensors"));
    weights.map(|file| len(&file)).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_files_are_not_reachable() {
        let names = ["smollm2".to_owned(), "big=OWNER/NAME".to_owned()];
        let adapters = ["pirate=folder".to_owned()];
        let models = Models::new(&names, &adapters, None, 0, 0).unwrap();
        assert_eq!(
            models.ids().collect::<Vec<_>>(),
            ["smollm2", "big", "pirate"]
        );
        assert_eq!(models.known(None).unwrap().id, "smollm2");
        assert_eq!(models.known(Some("pirate")).unwrap().source, "smollm2");
        assert_eq!(models.known(Some("/etc/passwd")).err().unwrap().status, 404);
        assert!(Models::new(&["a".into(), "a".into()], &[], None, 0, 0).is_err());
        assert!(Named::Synset("@/etc/passwd".into()).check().is_err());
        assert!(Named::Words(vec!["@x".into()]).check().is_err());
        assert!(Named::Synset("woman.n.01".into()).check().is_ok());
    }
}
