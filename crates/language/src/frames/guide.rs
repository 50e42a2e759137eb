//! Top-k concept-guided decoding: of the likeliest next tokens the one whose hidden state expresses the concept
//! most.

use engine::models::decoder::{Cache, Decoder, Input, Logits, Output, Request, Segment};

use super::frame::Frame;
use super::probe::GrowingProbe;
use engine::SystemError;

/// How to guide.
#[derive(Clone, Debug)]
pub struct GuideOptions {
    /// Candidates for each token; 1 is greedy decoding. The paper takes 2 to 4.
    pub k: usize,
    /// Tokens that are chosen; the text gets one more.
    pub steps: usize,
    /// None: the candidate with the largest probe is taken. Otherwise the one with the largest sum of its log-probability and
    /// this weight times its probe, an extension.
    pub weight: Option<f32>,
    /// Tokens that end a text.
    pub end: Vec<u32>,
}

/// A guided text.
#[derive(Clone, Debug, PartialEq)]
pub struct Guided {
    /// The new tokens, those after the end of a text included where others of the batch went on.
    pub ids: Vec<u32>,
    /// For every token of prompt and text but the last: the largest cumulative probe of the last candidates.
    pub probe: Vec<f64>,
    /// The cumulative probe of the text without its last token.
    pub total: f64,
}

impl Guided {
    /// The new tokens before the first that ends the text.
    pub fn answer(&self, end: &[u32]) -> &[u32] {
        let len = self.ids.iter().position(|id| end.contains(id));
        &self.ids[..len.unwrap_or(self.ids.len())]
    }
}

/// A token that may come next.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    log_probability: f64,
}

/// A text in the making.
struct Text<'a> {
    ids: Vec<u32>,
    cache: Cache,
    probe: GrowingProbe<&'a Frame>,
    candidates: Vec<Candidate>,
    /// Of the last round.
    shown: Vec<f64>,
    total: f64,
}

/// Continues each of `prompts` (tokens) towards `guide`. A candidate is a branch of one token on a shared cache, so that a step
/// costs `k` tokens. Texts end together, when every candidate of every text has come upon an end.
///
/// # Errors
/// [`SystemError::Decoder`] for prompts that are empty or too long, [`SystemError::Input`] for a guide that does not fit the
/// model, or none at all.
pub fn guided_decode(
    model: &Decoder,
    prompts: &[Vec<u32>],
    guide: &Frame,
    options: &GuideOptions,
    mut listen: impl FnMut(usize) -> Result<(), SystemError>,
) -> Result<Vec<Guided>, SystemError> {
    check(model, guide, options)?;
    let mut texts = begin(model, prompts, guide, options)?;
    for step in 0..options.steps {
        listen(step)?;
        let ended = |text: &Text<'_>| {
            let end = |id: &u32| options.end.contains(id);
            text.ids.iter().any(end) || text.candidates.iter().all(|it| end(&it.id))
        };
        if texts.iter().all(ended) {
            break;
        }
        let (mut caches, branches) = look_ahead(model, &texts)?;
        let mut outputs = branches.into_iter();
        for text in &mut texts {
            let outputs: Vec<Output> = outputs.by_ref().take(text.candidates.len()).collect();
            let kept = caches.drain(..text.candidates.len()).collect();
            text.choose(outputs, kept, options)?;
        }
    }
    Ok(texts.into_iter().map(Text::finish).collect())
}

fn check(model: &Decoder, guide: &Frame, options: &GuideOptions) -> Result<(), SystemError> {
    let width = model.config().width;
    let vocab = model.config().vocab;
    if guide.width() != width {
        return Err(SystemError::Input(format!(
            "the guide has vectors of {} and the model of {width}: build concepts for this model",
            guide.width()
        )));
    }
    if guide.rank() == 0 {
        return Err(SystemError::Input(
            "the guide is empty, as the difference of a concept with itself is: name two different concepts".into(),
        ));
    }
    match (1..=vocab).contains(&options.k) {
        true => Ok(()),
        false => Err(SystemError::Input(format!(
            "{} candidates cannot be taken from a vocabulary of {vocab}: give `-k` from 1 to 16",
            options.k
        ))),
    }
}

/// Reads the prompts: their caches, probes and first candidates.
fn begin<'a>(
    model: &Decoder,
    prompts: &[Vec<u32>],
    guide: &'a Frame,
    options: &GuideOptions,
) -> Result<Vec<Text<'a>>, SystemError> {
    let mut caches: Vec<Cache> = prompts.iter().map(|_| Cache::new(model.config())).collect();
    let mut batch: Vec<Segment<'_>> = prompts
        .iter()
        .zip(&mut caches)
        .map(|(prompt, cache)| Segment::new(Input::Ids(prompt), cache))
        .collect();
    let outputs = model.forward(&mut batch, &REQUEST)?;
    let texts = outputs.into_iter().zip(caches).map(|(output, cache)| {
        let probe = GrowingProbe::new(guide, &output.hidden);
        Text {
            ids: Vec::with_capacity(options.steps + 1),
            cache,
            probe,
            candidates: likeliest(&output.logits, options.k),
            shown: Vec::new(),
            total: f64::NAN,
        }
    });
    Ok(texts.collect())
}

const REQUEST: Request<'static> = Request {
    logits: Logits::Last,
    hidden: true,
    states: false,
    attention: &[],
    hooks: &[],
};

/// One pass over all candidates of all texts, each a branch of its text.
fn look_ahead(
    model: &Decoder,
    texts: &[Text<'_>],
) -> Result<(Vec<Cache>, Vec<Output>), SystemError> {
    let all = || {
        texts
            .iter()
            .flat_map(|text| text.candidates.iter().map(move |it| (text, it)))
    };
    let mut caches: Vec<Cache> = all().map(|(text, _)| text.cache.fork()).collect();
    let ids: Vec<[u32; 1]> = all().map(|(_, candidate)| [candidate.id]).collect();
    let mut batch: Vec<Segment<'_>> = ids
        .iter()
        .zip(&mut caches)
        .map(|(id, cache)| Segment::new(Input::Ids(id), cache))
        .collect();
    let outputs = model.forward(&mut batch, &REQUEST)?;
    Ok((caches, outputs))
}

impl Text<'_> {
    /// Takes the best candidate, and the likeliest tokens after it as the next ones.
    fn choose(
        &mut self,
        outputs: Vec<Output>,
        caches: Vec<Cache>,
        options: &GuideOptions,
    ) -> Result<(), SystemError> {
        let totals: Vec<f64> = outputs
            .iter()
            .map(|output| self.probe.with(&output.hidden))
            .collect();
        self.shown = Vec::new();
        for output in &outputs {
            let all = self.probe.all_with(&output.hidden);
            self.shown.resize(all.len(), f64::NEG_INFINITY);
            for (most, value) in self.shown.iter_mut().zip(all) {
                *most = most.max(value);
            }
        }
        let scores = totals
            .iter()
            .zip(&self.candidates)
            .map(|(total, candidate)| {
                options.weight.map_or(*total, |weight| {
                    candidate.log_probability + f64::from(weight) * total
                })
            });
        // The first of equals: the likelier one.
        let best = scores
            .enumerate()
            .fold(None, |best: Option<(usize, f64)>, (at, score)| match best {
                Some((_, most)) if most >= score => best,
                _ => Some((at, score)),
            });
        let chosen = best.map_or(0, |(at, _)| at);
        let (output, cache) = match (outputs.get(chosen), caches.into_iter().nth(chosen)) {
            (Some(output), Some(cache)) => (output, cache),
            _ => {
                return Err(SystemError::Input(
                    "there are no candidates: give `-k` of 1 or more".into(),
                ));
            }
        };
        self.ids.push(self.candidates[chosen].id);
        self.total = totals[chosen];
        self.probe.push(&output.hidden);
        self.cache = cache;
        self.candidates = likeliest(&output.logits, options.k);
        Ok(())
    }

    /// The likeliest token follows as it is.
    fn finish(mut self) -> Guided {
        self.ids.extend(self.candidates.first().map(|it| it.id));
        Guided {
            ids: self.ids,
            probe: self.shown,
            total: self.total,
        }
    }
}

/// The `k` likeliest tokens, the likeliest first; of equals the one with the smaller number.
fn likeliest(logits: &[f32], k: usize) -> Vec<Candidate> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|x| f64::from(x - largest).exp()).sum();
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let by_logit = |a: &u32, b: &u32| {
        logits[*b as usize]
            .total_cmp(&logits[*a as usize])
            .then(a.cmp(b))
    };
    if k < order.len() {
        order.select_nth_unstable_by(k - 1, by_logit);
        order.truncate(k);
    }
    order.sort_by(by_logit);
    let candidates = order.into_iter().map(|id| Candidate {
        id,
        log_probability: f64::from(logits[id as usize] - largest) - sum.ln(),
    });
    candidates.collect()
}
