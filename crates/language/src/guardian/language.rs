//! A language model that reads guardian prompts: P(risk) from the tokens of its answer, and what it makes of a message
//! on the way, for a classifier on top.

use std::path::Path;
use std::sync::Mutex;

use engine::decode::{argmax, log_probability, top_log_probabilities};
use engine::models::decoder::{
    Cache, Decoder, DecoderError, Input, Logits, Output, Request, Segment,
};
use engine::text::{ChatInput, Tokenizer};
use serde_json::json;

use super::features::{FeatureReader, Features};
use super::probability::{Label, confidence, is_label, probability_from_logits, risk_probability};
use super::prompt::{Message, Plan, Prompt, Subject, Version};
use super::risk::RiskConfig;
use super::wording::Wording;
use engine::SystemError;

/// Tokens that go through the model at once where logits of all of them are kept: bounds the memory.
const CHUNK: usize = 128;
/// Generated tokens at most, and log-probabilities kept for each (official helper functions).
const GENERATED: usize = 20;
/// Stands for the message while a chat template is looked at.
const SIGN: &str = "\u{fdd0}";

/// What surrounds a prompt.
enum Form {
    /// The checkpoint's own template does everything.
    Checkpoint,
    /// Role headers of Granite models.
    Granite,
    /// The headers of another model's chat template.
    Chat([String; 2]),
}

/// A language model with what it needs to read prompts.
pub struct LanguageGuard {
    decoder: Decoder,
    tokenizer: Tokenizer,
    yes: Vec<u32>,
    no: Vec<u32>,
    form: Form,
    version: Version,
    wording: Wording,
    /// The last prompt, whose beginning the next one may share.
    last: Mutex<Option<(Vec<u32>, Cache)>>,
}

/// What a prompt came to.
#[derive(Clone, Debug)]
pub struct GuardOutput {
    /// P(risk) by the answer's tokens.
    pub probability: f64,
    /// What was answered, where an answer was generated.
    pub label: Option<Label>,
    /// The confidence in words, where the model gives one.
    pub confidence: Option<String>,
    /// For a classifier; empty unless asked for.
    pub features: Vec<f32>,
    /// Tokens of the prompt.
    pub tokens: usize,
}

/// A prompt as tokens.
pub struct Asked {
    ids: Vec<u32>,
    /// The tokens of the last message.
    message: std::ops::Range<usize>,
    /// The definition that was asked with.
    pub definition: String,
    /// What is judged.
    pub subject: Subject,
}

impl LanguageGuard {
    /// Reads the model at `path`, a folder or a GGUF file. Prompts are those of `version`, or of the checkpoint's own
    /// template where it has one for guardians and neither `version` nor `wording` is given.
    ///
    /// # Errors
    /// When model or tokenizer cannot be read or do not fit each other.
    pub fn open(
        path: &Path,
        version: Option<Version>,
        wording: Option<Wording>,
    ) -> Result<Self, SystemError> {
        let tokenizer = Tokenizer::open(path)?;
        let decoder = Decoder::open(path)?;
        tokenizer.check_rows(decoder.config().vocab)?;
        let form = match version.is_none() && wording.is_none() && reads_definitions(&tokenizer) {
            true => Form::Checkpoint,
            _ if tokenizer.added_id("<|start_of_role|>").is_some() => Form::Granite,
            _ => Form::Chat(headers(&tokenizer)?),
        };
        let version = version.unwrap_or(Version::V32);
        let spellings = |word: &str| -> Vec<u32> {
            let ids = 0..u32::try_from(tokenizer.len()).unwrap_or(u32::MAX);
            let says = |id: &u32| {
                let text = tokenizer
                    .bytes_of(*id)
                    .and_then(|bytes| std::str::from_utf8(bytes).ok());
                text.is_some_and(|text| is_label(text, word))
            };
            ids.filter(says).collect()
        };
        let (yes, no) = (spellings("yes"), spellings("no"));
        if yes.is_empty() || no.is_empty() {
            return Err(SystemError::Input(
                "the model's vocabulary has no token for yes or no: it cannot answer in one word"
                    .into(),
            ));
        }
        Ok(Self {
            decoder,
            yes,
            no,
            form,
            version,
            wording: wording.unwrap_or_else(|| Wording::ours(version)),
            tokenizer,
            last: Mutex::default(),
        })
    }

    /// The network.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Whether the model was made for guardian prompts.
    pub fn is_guardian(&self) -> bool {
        !matches!(self.form, Form::Chat(_))
    }

    /// The prompt for a risk of messages.
    ///
    /// # Errors
    /// When the messages do not fit the risk or each other.
    pub fn ask(&self, messages: &[Message], risk: &RiskConfig) -> Result<Asked, SystemError> {
        let prompt = match &self.form {
            Form::Checkpoint => return self.ask_checkpoint(messages, risk),
            Form::Granite => Prompt::render(self.version, messages, risk, &self.wording)?,
            Form::Chat([before, after]) => Prompt::render_between(
                self.version,
                messages,
                risk,
                &self.wording,
                [before, after],
            )?,
        };
        let ids = prompt.encode(&self.tokenizer)?;
        let bytes = prompt.last_message();
        let mut at = 0;
        let mut message = ids.len()..ids.len();
        for (index, id) in ids.iter().enumerate() {
            let end = at + self.tokenizer.bytes_of(*id).map_or(0, <[u8]>::len);
            if end > bytes.start && at < bytes.end {
                message.start = message.start.min(index);
                message.end = index + 1;
            }
            at = end;
        }
        if message.start >= message.end {
            // An empty message: the token that stands where it would begin.
            message = ids.len().saturating_sub(1)..ids.len();
        }
        Ok(Asked {
            ids,
            message,
            subject: prompt.subject,
            definition: prompt.definition,
        })
    }

    fn ask_checkpoint(
        &self,
        messages: &[Message],
        risk: &RiskConfig,
    ) -> Result<Asked, SystemError> {
        let plan = Plan::new(self.version, messages, risk)?;
        let mut config = json!({ "risk_name": risk.name(), "criteria_id": risk.name() });
        let mut definition = String::new();
        if let RiskConfig::Custom {
            definition: text, ..
        } = risk
        {
            config["risk_definition"] = json!(text);
            config["custom_criteria"] = json!(text);
            definition = text.clone();
        }
        let input = ChatInput {
            messages: messages
                .iter()
                .map(|it| json!({"role": it.role, "content": it.content}))
                .collect(),
            add_generation_prompt: true,
            extra: [("guardian_config".to_owned(), config)]
                .into_iter()
                .collect(),
            ..ChatInput::default()
        };
        let ids = self.tokenizer.chat()?.encode(&self.tokenizer, &input)?;
        Ok(Asked {
            message: ids.len()..ids.len(),
            subject: plan.subject,
            definition,
            ids,
        })
    }

    /// Whether the model has room for a prompt and its answer.
    pub fn fits(&self, asked: &Asked) -> bool {
        asked.ids.len() + GENERATED <= Cache::new(self.decoder.config()).limit()
    }

    /// Reads a prompt. What it shares with the one before is not computed again.
    ///
    /// # Errors
    /// [`DecoderError`], as for prompts that are too long.
    pub fn read(
        &self,
        asked: &Asked,
        features: bool,
        generate: bool,
    ) -> Result<GuardOutput, SystemError> {
        let ids = &asked.ids;
        let focus = asked.message.start.saturating_sub(1).max(1);
        let most = if features {
            focus
        } else {
            ids.len().saturating_sub(1)
        };
        let mut cache = self.shared(ids, most);
        let from = cache.len();
        let mut reader = FeatureReader::new(self.decoder.config());
        let logits = if features {
            self.feed(
                &mut cache,
                &ids[from..focus],
                &Request {
                    logits: Logits::None,
                    ..Request::default()
                },
                |_, _| {},
            )?;
            let all = Request {
                logits: Logits::All,
                states: true,
                ..Request::default()
            };
            let begin = focus;
            self.feed(
                &mut cache,
                &ids[begin..asked.message.end],
                &all,
                |at, output| {
                    reader.message(begin + at, asked.message.start, ids, output);
                },
            )?;
            let rest = &ids[asked.message.end..];
            let last = Request {
                logits: Logits::Last,
                states: true,
                hidden: true,
                ..Request::default()
            };
            // The last token once more where the message ends the prompt.
            if rest.is_empty() {
                let len = cache.len().saturating_sub(1);
                cache.truncate(len)?;
            }
            let rest = if rest.is_empty() {
                &ids[ids.len() - 1..]
            } else {
                rest
            };
            let output = self.feed(&mut cache, rest, &last, |_, _| {})?;
            reader.end(&output);
            output.logits
        } else {
            let last = Request {
                logits: Logits::Last,
                ..Request::default()
            };
            self.feed(&mut cache, &ids[from..], &last, |_, _| {})?
                .logits
        };
        if let Ok(mut kept) = self.last.lock() {
            *kept = Some((ids.clone(), cache.fork()));
        }
        let mut reading = GuardOutput {
            probability: probability_from_logits(&logits, &self.yes, &self.no),
            label: None,
            confidence: None,
            features: Vec::new(),
            tokens: ids.len(),
        };
        if features {
            let odds = reading.probability.clamp(1e-9, 1.0 - 1e-9);
            let Features(values) = reader.finish((odds / (1.0 - odds)).ln() as f32);
            reading.features = values;
        }
        if generate {
            self.answer(cache, logits, &mut reading)?;
        }
        Ok(reading)
    }

    /// A cache of the first tokens, at most `most`, that the last prompt had too.
    fn shared(&self, ids: &[u32], most: usize) -> Cache {
        let fresh = || Cache::new(self.decoder.config());
        let kept = self.last.lock();
        let Ok(Some((before, cache))) = kept.as_deref() else {
            return fresh();
        };
        let same = before
            .iter()
            .zip(ids)
            .take(most)
            .take_while(|(a, b)| a == b)
            .count();
        if same == 0 || !cache.can_truncate(same) {
            return fresh();
        }
        let mut cache = cache.fork();
        match cache.truncate(same) {
            Ok(()) => cache,
            Err(_) => fresh(),
        }
    }

    /// Feeds `ids` in chunks; `see` gets each chunk's place and output. The last output comes back.
    fn feed(
        &self,
        cache: &mut Cache,
        ids: &[u32],
        request: &Request<'_>,
        mut see: impl FnMut(usize, &Output),
    ) -> Result<Output, DecoderError> {
        let mut last = Output::default();
        for (index, part) in ids.chunks(CHUNK).enumerate() {
            let mut batch = [Segment::new(Input::Ids(part), cache)];
            last = self
                .decoder
                .forward(&mut batch, request)?
                .pop()
                .unwrap_or_default();
            see(index * CHUNK, &last);
        }
        Ok(last)
    }

    /// Generates the answer greedily and takes P(risk) from all of its positions (the published way).
    fn answer(
        &self,
        mut cache: Cache,
        mut logits: Vec<f32>,
        reading: &mut GuardOutput,
    ) -> Result<(), SystemError> {
        let mut steps = Vec::new();
        let mut answer = Vec::new();
        let special = self.tokenizer.special();
        let text = |id: u32| {
            String::from_utf8_lossy(self.tokenizer.bytes_of(id).unwrap_or_default()).into_owned()
        };
        for _ in 0..GENERATED {
            let listed = top_log_probabilities(&logits, GENERATED);
            steps.push(
                listed
                    .into_iter()
                    .map(|(id, log)| (text(id), f64::from(log)))
                    .collect(),
            );
            let Some(id) = argmax(&logits) else { break };
            if special.end.contains(&id) || special.eos == Some(id) {
                break;
            }
            answer.push(id);
            let next = [id];
            let mut batch = [Segment::new(Input::Ids(&next), &mut cache)];
            logits = self
                .decoder
                .forward(&mut batch, &Request::default())?
                .pop()
                .unwrap_or_default()
                .logits;
        }
        let text = self.tokenizer.decode(&answer)?;
        reading.probability = risk_probability::<String>(&steps);
        reading.label = Some(Label::parse(&text));
        reading.confidence = confidence(&text).map(str::to_owned);
        Ok(())
    }
}

/// Whether the model's chat template knows guardian prompts: it shows the definition of a risk that it is given.
fn reads_definitions(tokenizer: &Tokenizer) -> bool {
    let config = json!({"risk_name": "probe", "risk_definition": SIGN, "criteria_id": "probe", "custom_criteria": SIGN});
    let input = ChatInput {
        messages: vec![json!({"role": "user", "content": "?"})],
        add_generation_prompt: true,
        extra: [("guardian_config".to_owned(), config)]
            .into_iter()
            .collect(),
        ..ChatInput::default()
    };
    let rendered = tokenizer
        .chat()
        .and_then(|template| template.render(&input));
    rendered.is_ok_and(|text| text.contains(SIGN))
}

/// What the model's chat template puts before and after a user message that is to be answered.
fn headers(tokenizer: &Tokenizer) -> Result<[String; 2], SystemError> {
    let input = ChatInput {
        messages: vec![json!({"role": "user", "content": SIGN})],
        add_generation_prompt: true,
        ..ChatInput::default()
    };
    let text = tokenizer.chat()?.render(&input)?;
    match text.split_once(SIGN) {
        Some((before, after)) => Ok([before.to_owned(), after.to_owned()]),
        None => Err(SystemError::Input(
            "the model's chat template leaves the user's message out: give a model with a usable template".into(),
        )),
    }
}

/// Surprisal of token `id` under the logits `[vocabulary]` before it, in nats.
pub(super) fn surprisal(logits: &[f32], id: u32) -> f32 {
    -log_probability(logits, id)
}
