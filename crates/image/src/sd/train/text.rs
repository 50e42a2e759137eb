//! Training the text encoder by itself: what a prompt says is made to tell the latents of its picture, as far as one vector can.
//! So subjects and styles have codes that carry how they look before a U-Net first reads them.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::clip_text::{ClipText, ClipTextConfig};
use engine::nn::{Init, Linear, LinearConfig};
use engine::text::{TextError, Tokenizer};
use engine::train::{Task, TaskError};
use serde_json::{Value, json};

use super::data::{Grid, Pair};
use super::prompts;

/// Tokens of a prompt, its ends included.
pub const TOKENS: usize = 24;

/// A text encoder of CLIP's shape.
pub fn config(vocabulary: usize, width: usize, layers: usize) -> ClipTextConfig {
    ClipTextConfig {
        vocab_size: vocabulary,
        hidden_size: width,
        intermediate_size: 4 * width,
        num_hidden_layers: layers,
        num_attention_heads: (width / 32).max(1),
        max_position_embeddings: TOKENS,
        // The vocabulary ends with the end of a prompt.
        eos_token_id: vocabulary.saturating_sub(1) as u32,
        ..ClipTextConfig::default()
    }
}

/// The `config.json` that transformers reads.
pub fn json_of(config: &ClipTextConfig) -> Result<Value, serde_json::Error> {
    let mut all = serde_json::to_value(config)?;
    let ends = json!({
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model",
        "bos_token_id": config.eos_token_id - 1, "pad_token_id": config.eos_token_id,
    });
    if let (Some(all), Value::Object(ends)) = (all.as_object_mut(), ends) {
        all.retain(|_, value| !value.is_null());
        all.extend(ends);
    }
    Ok(all)
}

/// A prompt as the pipeline reads it: between its ends, cut or filled up.
pub fn row(tokenizer: &Tokenizer, text: &str, ends: [u32; 2]) -> Result<Vec<u32>, TextError> {
    let mut row = vec![ends[0]];
    row.extend(tokenizer.encode(text)?.into_iter().take(TOKENS - 2));
    row.resize(TOKENS, ends[1]);
    Ok(row)
}

/// The text encoder, and what reads latents off it.
#[derive(Module, Debug)]
pub struct TextModel {
    pub tower: ClipText,
    pub head: Linear,
}

impl TextModel {
    /// With a head for `values` latents.
    pub fn new(
        tower: ClipText,
        width: usize,
        values: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let head = LinearConfig::new(width, values).with_init(Init::Normal(0.02));
        Self {
            tower,
            head: head.init(rng, device),
        }
    }
}

/// The task of [`engine::train::train`].
pub struct TextTask<'a> {
    pub grid: &'a Grid,
    pub tokenizer: &'a Tokenizer,
    /// Begin and end of a prompt.
    pub ends: [u32; 2],
    /// What is trained on, and the latents of each.
    pub pairs: Vec<Pair>,
    pub latents: Vec<f32>,
    pub batch: usize,
    pub device: Device,
}

impl Task for TextTask<'_> {
    type Model = TextModel;
    type Batch = (Vec<Vec<u32>>, Vec<f32>);

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let size = self.latents.len() / self.pairs.len().max(1);
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for _ in 0..self.batch {
            let at = rng.below(self.pairs.len());
            let pair = self.pairs[at];
            let text = prompts::prompt(&self.grid.subjects[pair.subject], pair.style, rng);
            rows.push(row(self.tokenizer, &text, self.ends)?);
            values.extend_from_slice(&self.latents[at * size..(at + 1) * size]);
        }
        Ok((rows, values))
    }

    fn loss(
        &self,
        model: &TextModel,
        (rows, values): Self::Batch,
    ) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let shape = [self.batch, values.len() / self.batch];
        let wanted: Tensor<2> = Tensor::from_data(TensorData::new(values, shape), &self.device);
        let ended = rows.iter().enumerate().map(|(at, row)| {
            let end = row.iter().position(|id| *id == self.ends[1]);
            (at * TOKENS + end.unwrap_or_default()) as i64
        });
        let ended: Vec<i64> = ended.collect();
        let ended = TensorData::new(ended, [self.batch]);
        let ended: Tensor<1, Int> = Tensor::from_data(ended, &self.device);
        // The rows fit by construction; a tower that refuses them learns nothing.
        let loss = match model.tower.forward(&rows) {
            Ok(out) => {
                let [batch, tokens, width] = out.last.dims();
                // What `out.pooled` is, by one operation: its gradient is cheaper.
                let pooled = out.last.reshape([batch * tokens, width]).select(0, ended);
                (model.head.forward(pooled) - wanted).square().mean()
            }
            Err(_) => wanted.square().mean(),
        };
        (loss, Vec::new())
    }

    fn samples(&self) -> usize {
        self.batch
    }
}
