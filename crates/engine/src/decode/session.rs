//! A [`Decoder`] as the loops of this module ask for it.

use super::{BeamModel, DecodeError, LanguageModel};
use crate::models::decoder::{Adapters, Cache, Decoder, Input, Logits, Request, Segment};

/// Tokens of a prompt that go through the model at once: bounds the working memory.
const PREFILL: usize = 512;

/// A decoder and the cache of one sequence.
pub struct Session<'a> {
    decoder: &'a Decoder,
    adapters: Adapters<'a>,
    /// What the sequence has been through; may be replaced, as by a fork of a shared prefix.
    pub cache: Cache,
}

impl<'a> Session<'a> {
    /// An empty sequence.
    pub fn new(decoder: &'a Decoder) -> Self {
        Self {
            decoder,
            adapters: &[],
            cache: Cache::new(decoder.config()),
        }
    }

    /// The same with adapters.
    pub fn with_adapters(self, adapters: Adapters<'a>) -> Self {
        Self { adapters, ..self }
    }

    fn forward(&mut self, ids: &[u32], logits: Logits) -> Result<Vec<f32>, DecodeError> {
        let mut segment = Segment::new(Input::Ids(ids), &mut self.cache);
        segment.adapters = self.adapters;
        let request = Request {
            logits,
            ..Request::default()
        };
        let outputs = self.decoder.forward(&mut [segment], &request);
        let first = outputs.map_err(DecodeError::model)?.into_iter().next();
        Ok(first.map(|output| output.logits).unwrap_or_default())
    }
}

impl LanguageModel for Session<'_> {
    fn feed(&mut self, ids: &[u32]) -> Result<Vec<f32>, DecodeError> {
        let (rest, last) = ids.split_at(ids.len().saturating_sub(1) / PREFILL * PREFILL);
        for part in rest.chunks(PREFILL) {
            self.forward(part, Logits::None)?;
        }
        self.forward(last, Logits::Last)
    }

    fn room(&self) -> usize {
        self.cache.limit() - self.cache.len()
    }
}

/// A decoder and the caches of the beams, which share what they have in common.
pub struct BeamSession<'a> {
    session: Session<'a>,
    prompt: Vec<u32>,
    caches: Vec<Cache>,
}

impl<'a> BeamSession<'a> {
    /// Beams after `prompt`.
    pub fn new(session: Session<'a>, prompt: &[u32]) -> Self {
        Self {
            session,
            prompt: prompt.to_vec(),
            caches: Vec::new(),
        }
    }
}

impl BeamModel for BeamSession<'_> {
    fn start(&mut self) -> Result<Vec<f32>, DecodeError> {
        if self.prompt.is_empty() {
            return Err(DecodeError::EmptyPrompt);
        }
        let logits = self.session.feed(&self.prompt)?;
        self.caches = vec![self.session.cache.fork()];
        Ok(logits)
    }

    fn extend(&mut self, beams: &[(usize, u32)]) -> Result<Vec<Vec<f32>>, DecodeError> {
        let forks = beams
            .iter()
            .map(|&(parent, _)| self.caches.get(parent).map(Cache::fork));
        let forks: Option<Vec<Cache>> = forks.collect();
        let mut caches = forks.ok_or(DecodeError::NoToken("a beam has no parent"))?;
        let tokens: Vec<[u32; 1]> = beams.iter().map(|&(_, id)| [id]).collect();
        let adapters = self.session.adapters;
        let segments = caches.iter_mut().zip(&tokens).map(|(cache, id)| Segment {
            input: Input::Ids(id),
            cache,
            adapters,
        });
        let mut segments: Vec<Segment<'_>> = segments.collect();
        let outputs = self
            .session
            .decoder
            .forward(&mut segments, &Request::default());
        let outputs = outputs.map_err(DecodeError::model)?;
        self.caches = caches;
        Ok(outputs.into_iter().map(|output| output.logits).collect())
    }
}
