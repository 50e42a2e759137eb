//! From words to what the U-Net reads.

use burn::tensor::{Tensor, TensorData};

use super::{DiffusionError, StableDiffusion, Tower};
use crate::models::clip_text::ClipTextOutput;
use crate::models::unet2d::{AddedConditions, UnetConditions};

/// The most chunks that a prompt is cut into.
const MOST_CHUNKS: usize = 16;

/// What a picture is to show, and what not.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// The prompt.
    pub full: UnetConditions,
    /// The negative prompt; none where nothing is guided away from it.
    pub null: Option<UnetConditions>,
    /// How many chunks the longer of both prompts was cut into.
    pub chunks: usize,
}

/// One prompt behind a tower.
struct Encoded {
    /// `[1, chunks · tokens, width]`.
    context: Tensor<3>,
    /// Pooled and projected, of the first chunk.
    pooled: Option<Tensor<2>>,
}

impl Tower {
    /// Tokens without the ends, in chunks that fit; at least one.
    fn chunks(&self, text: &str) -> Result<Vec<Vec<u32>>, DiffusionError> {
        let room = self.network.longest().saturating_sub(2).max(1);
        let ids = self.tokenizer.encode(text)?;
        let mut chunks: Vec<Vec<u32>> = ids.chunks(room).map(<[u32]>::to_vec).collect();
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        match chunks.len() {
            n if n > MOST_CHUNKS => Err(DiffusionError::request(format!(
                "the prompt has {} tokens, more than {}; shorten it",
                ids.len(),
                MOST_CHUNKS * room
            ))),
            _ => Ok(chunks),
        }
    }

    /// Every chunk between the ends, filled up. `of` says which state the context is made of.
    fn encode(
        &self,
        mut chunks: Vec<Vec<u32>>,
        count: usize,
        of: impl Fn(&Tower, &ClipTextOutput) -> Result<Tensor<3>, DiffusionError>,
    ) -> Result<Encoded, DiffusionError> {
        chunks.resize(count, Vec::new());
        let longest = self.network.longest();
        let rows: Vec<Vec<u32>> = chunks
            .into_iter()
            .map(|ids| {
                let mut row = vec![self.ends[0]];
                row.extend(ids);
                row.push(self.ends[1]);
                row.resize(longest, self.pad);
                row
            })
            .collect();
        let out = self
            .network
            .forward(&rows)
            .map_err(DiffusionError::Request)?;
        let state = of(self, &out)?;
        let [chunks, tokens, width] = state.dims();
        Ok(Encoded {
            context: state.reshape([1, chunks * tokens, width]),
            pooled: out.text_embeds.map(|embeds| embeds.narrow(0, 0, 1)),
        })
    }
}

impl StableDiffusion {
    /// How many chunks the longer of a prompt and a negative prompt is cut into.
    ///
    /// # Errors
    /// As [`StableDiffusion::conditions`].
    pub fn chunks(&self, prompt: &str, negative: Option<&str>) -> Result<usize, DiffusionError> {
        let mut most = 1;
        for text in [Some(prompt), negative].into_iter().flatten() {
            for tower in &self.towers {
                most = most.max(tower.chunks(text)?.len());
            }
        }
        Ok(most)
    }

    /// Reads a prompt and, where `negative` is given or guidance needs one, a negative prompt; an absent one counts as empty,
    /// or as nothing where the model was trained so. `clip_skip` leaves out that many layers at the end of the text
    /// towers. `size` is height and width in pixels.
    ///
    /// Prompts that are longer than the tower (75 tokens) are cut into chunks that are read one by one and joined, as other
    /// programs do.
    ///
    /// # Errors
    /// [`DiffusionError`] when a prompt cannot be written in the vocabulary or is far too long, or `clip_skip` leaves no layer.
    pub fn conditions(
        &self,
        prompt: &str,
        negative: Option<&str>,
        guided: bool,
        clip_skip: usize,
        size: [usize; 2],
    ) -> Result<Conditions, DiffusionError> {
        let null = guided.then_some(negative.unwrap_or_default());
        let chunks = self.chunks(prompt, null)?;
        let full = self.encode_text(prompt, chunks, clip_skip, size)?;
        let null = match null {
            None => None,
            Some(_) if negative.is_none() && self.zero_negative => Some(UnetConditions {
                context: full.context.zeros_like(),
                added: full.added.clone().map(|added| AddedConditions {
                    text_embeds: added.text_embeds.zeros_like(),
                    ..added
                }),
                guidance: None,
            }),
            Some(text) => Some(self.encode_text(text, chunks, clip_skip, size)?),
        };
        Ok(Conditions { full, null, chunks })
    }

    fn encode_text(
        &self,
        text: &str,
        chunks: usize,
        clip_skip: usize,
        size: [usize; 2],
    ) -> Result<UnetConditions, DiffusionError> {
        // One tower is read behind its last layer and the final norm, two before their last layers.
        let two = self.towers.len() > 1;
        let state = |tower: &Tower, out: &ClipTextOutput| {
            let back = clip_skip + if two { 2 } else { 1 };
            let states = &out.hidden_states;
            let at = states.len().checked_sub(back).filter(|at| *at > 0);
            let state = at.and_then(|at| states.get(at)).ok_or_else(|| {
                DiffusionError::request(format!(
                    "--clip-skip {clip_skip} leaves no layer of a text encoder of {}; use a smaller one",
                    states.len() - 1
                ))
            })?;
            Ok(match two {
                true => state.clone(),
                false => tower.network.normed(state.clone()),
            })
        };
        let parts: Result<Vec<Encoded>, _> = self
            .towers
            .iter()
            .map(|tower| tower.encode(tower.chunks(text)?, chunks, state))
            .collect();
        let parts = parts?;
        let pooled = parts.last().and_then(|part| part.pooled.clone());
        let contexts = parts.into_iter().map(|part| part.context).collect();
        let added = pooled
            .filter(|_| self.unet_config.addition_embed_type.is_some())
            .map(|text_embeds| {
                let [height, width] = size.map(|side| side as f32);
                let ids = TensorData::new(vec![height, width, 0.0, 0.0, height, width], [1, 6]);
                AddedConditions {
                    text_embeds,
                    time_ids: Tensor::from_data(ids, &self.device),
                }
            });
        Ok(UnetConditions {
            context: Tensor::cat(contexts, 2),
            added,
            guidance: None,
        })
    }
}
