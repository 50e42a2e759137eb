//! A small byte-level language model, trained on the spot with or without dropout on its embeddings.

use std::path::Path;

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::decoder::{Decoder, DecoderConfig, DecoderError};
use engine::nn::{Init, Linear, LinearConfig, RmsNorm};
use engine::ops::{self, AttentionMask, CrossEntropyOptions, Rope};
use engine::train::{Progress, Run, Schedule, Task, TaskError, TrainConfig, train};
use engine::weights::{Precision, TensorFile, Weights, WeightsError};
use serde_json::json;

const BYTES: usize = 256;
const WIDTH: usize = 128;
const FFN: usize = 352;
const HEADS: usize = 4;
const BLOCKS: usize = 3;
const BASE: f32 = 10_000.0;
const EPS: f32 = 1e-6;
/// Sequences of a step.
const BATCH: usize = 16;
/// Bytes that are predicted of a sequence.
pub(super) const LENGTH: usize = 128;

#[derive(Module, Debug)]
struct Block {
    attention_norm: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    ffn_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// A Llama of three blocks over bytes.
#[derive(Module, Debug)]
struct ByteModel {
    embedding: Param<Tensor<2>>,
    blocks: Vec<Block>,
    norm: RmsNorm,
    head: Linear,
}

impl ByteModel {
    fn new(rng: &mut Rng, device: &Device) -> Self {
        let init = Init::Normal(0.02);
        let mut linear = |input, output| {
            let config = LinearConfig {
                bias: false,
                ..LinearConfig::new(input, output)
            };
            config.with_init(Init::Xavier).init(rng, device)
        };
        let blocks = (0..BLOCKS).map(|_| Block {
            attention_norm: RmsNorm::new(WIDTH, device),
            q: linear(WIDTH, WIDTH),
            k: linear(WIDTH, WIDTH),
            v: linear(WIDTH, WIDTH),
            o: linear(WIDTH, WIDTH),
            ffn_norm: RmsNorm::new(WIDTH, device),
            gate: linear(WIDTH, FFN),
            up: linear(WIDTH, FFN),
            down: linear(FFN, WIDTH),
        });
        let blocks = blocks.collect();
        let head = linear(WIDTH, BYTES);
        Self {
            embedding: init.weight(BYTES, WIDTH, rng, device),
            blocks,
            norm: RmsNorm::new(WIDTH, device),
            head,
        }
    }

    /// Logits `[batch, tokens, 256]` of `ids` `[batch, tokens]`; `kept` `[batch, tokens, width]` multiplies the embeddings.
    fn forward(&self, ids: Tensor<2, Int>, kept: Option<Tensor<3>>, rope: &Rope) -> Tensor<3> {
        let [batch, tokens] = ids.dims();
        let mut x: Tensor<3> = ops::embedding(self.embedding.val(), ids);
        if let Some(kept) = kept {
            x = x * kept;
        }
        let heads = |x: Tensor<3>| x.reshape([batch, tokens, HEADS, WIDTH / HEADS]);
        for block in &self.blocks {
            let normed = ops::rms_norm(x.clone(), block.attention_norm.weight.val(), EPS);
            let q = ops::rotate(heads(block.q.forward(normed.clone())), rope);
            let k = ops::rotate(heads(block.k.forward(normed.clone())), rope);
            let v = heads(block.v.forward(normed));
            let seen = ops::attention(q, k, v, &AttentionMask::causal());
            x = x + block.o.forward(seen.reshape([batch, tokens, WIDTH]));
            let normed = ops::rms_norm(x.clone(), block.ffn_norm.weight.val(), EPS);
            let gated = ops::swiglu(block.gate.forward(normed.clone()), block.up.forward(normed));
            x = x + block.down.forward(gated);
        }
        self.head
            .forward(ops::rms_norm(x, self.norm.weight.val(), EPS))
    }

    /// Writes the weights under the names that Llamas have on the hub.
    fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let mut file = TensorFile::new();
        let mut put = |name: &str, shape: &[usize], values: Vec<f32>| {
            file.floats(&format!("{name}.weight"), shape, &values, Precision::F32)
        };
        let matrix = |param: &Param<Tensor<2>>| -> (Vec<usize>, Vec<f32>) {
            let tensor = param.val();
            (
                tensor.dims().to_vec(),
                tensor.into_data().iter::<f32>().collect(),
            )
        };
        let vector =
            |norm: &RmsNorm| -> Vec<f32> { norm.weight.val().into_data().iter::<f32>().collect() };
        let mut all = vec![
            ("model.embed_tokens".to_owned(), matrix(&self.embedding)),
            ("lm_head".to_owned(), matrix(&self.head.weight)),
        ];
        put("model.norm", &[WIDTH], vector(&self.norm))?;
        for (at, block) in self.blocks.iter().enumerate() {
            let name = |part: &str| format!("model.layers.{at}.{part}");
            put(
                &name("input_layernorm"),
                &[WIDTH],
                vector(&block.attention_norm),
            )?;
            put(
                &name("post_attention_layernorm"),
                &[WIDTH],
                vector(&block.ffn_norm),
            )?;
            all.extend([
                (name("self_attn.q_proj"), matrix(&block.q.weight)),
                (name("self_attn.k_proj"), matrix(&block.k.weight)),
                (name("self_attn.v_proj"), matrix(&block.v.weight)),
                (name("self_attn.o_proj"), matrix(&block.o.weight)),
                (name("mlp.gate_proj"), matrix(&block.gate.weight)),
                (name("mlp.up_proj"), matrix(&block.up.weight)),
                (name("mlp.down_proj"), matrix(&block.down.weight)),
            ]);
        }
        for (name, (shape, values)) in all {
            put(&name, &shape, values)?;
        }
        file.write(path)
    }
}

/// Windows of a text, at random places.
struct ByteTask<'a> {
    text: &'a [u8],
    /// Share of embedding coordinates that are zero in training.
    dropout: f32,
    rope: Rope,
    device: Device,
}

struct ByteBatch {
    inputs: Vec<i32>,
    targets: Vec<i32>,
    kept: Vec<f32>,
}

impl Task for ByteTask<'_> {
    type Model = ByteModel;
    type Batch = ByteBatch;

    fn batch(&self, _step: u64, rng: &mut Rng) -> Result<ByteBatch, TaskError> {
        let mut batch = ByteBatch {
            inputs: Vec::new(),
            targets: Vec::new(),
            kept: Vec::new(),
        };
        for _ in 0..BATCH {
            let at = rng.below(self.text.len() - LENGTH);
            let window = self.text[at..=at + LENGTH]
                .iter()
                .map(|&byte| i32::from(byte));
            batch.inputs.extend(window.clone().take(LENGTH));
            batch.targets.extend(window.skip(1));
        }
        if self.dropout > 0.0 {
            let kept = (0..BATCH * LENGTH * WIDTH)
                .map(|_| f32::from(u8::from(rng.uniform() > self.dropout)));
            batch.kept = kept.collect();
        }
        Ok(batch)
    }

    fn loss(&self, model: &ByteModel, batch: ByteBatch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let int = |values: Vec<i32>| {
            Tensor::<2, Int>::from_data(TensorData::new(values, [BATCH, LENGTH]), &self.device)
        };
        let kept = (!batch.kept.is_empty()).then(|| {
            Tensor::<3>::from_data(
                TensorData::new(batch.kept, [BATCH, LENGTH, WIDTH]),
                &self.device,
            )
        });
        let logits = model.forward(int(batch.inputs), kept, &self.rope);
        let loss = ops::cross_entropy(logits, int(batch.targets), CrossEntropyOptions::default());
        (loss, Vec::new())
    }

    fn samples(&self) -> usize {
        BATCH
    }
}

/// A model of `text` after `steps` steps, trained with this dropout on its embeddings (without a rescale); kept in `folder`
/// under `name` and read from there next time.
pub(super) fn trained(
    (text, dropout): (&[u8], f32),
    (steps, seed): (u64, u64),
    (folder, name): (&Path, &str),
    (progress, context): (bool, Context),
) -> Result<Decoder, Failure> {
    let name = format!("{name}-{steps}-{seed}");
    let file = folder.join(format!("{name}.safetensors"));
    if !file.is_file() {
        let device = Device::flex().autodiff();
        let positions: Vec<f32> = (0..LENGTH).map(|at| at as f32).collect();
        let task = ByteTask {
            text,
            dropout,
            rope: Rope::new(&positions, 1, WIDTH / HEADS, BASE, &device),
            device: device.clone(),
        };
        let config = TrainConfig {
            steps,
            learning_rate: 4e-3,
            warmup: 40,
            schedule: Schedule::Cosine { floor: 0.05 },
            ema: None,
            seed,
            checkpoint_every: 100,
            ..TrainConfig::default()
        };
        let model = ByteModel::new(&mut Rng::new(seed).child("init"), &device);
        let mut shown = Progress::shown(&name, progress);
        let run = Run {
            folder: &folder.join(&name),
            resume: true,
            stop: context.stop,
            progress: &mut shown,
        };
        let trained = train(&task, model, &config, run)?;
        if trained.interrupted {
            return Err(Failure::interrupted(
                "stopped; the same command goes on from here",
            ));
        }
        trained.ema.write(&file)?;
    }
    let config = json!({
        "model_type": "llama", "vocab_size": BYTES, "hidden_size": WIDTH, "intermediate_size": FFN,
        "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS, "rms_norm_eps": EPS, "rope_theta": BASE,
        "max_position_embeddings": 1024, "tie_word_embeddings": false,
    });
    let failed = |error: DecoderError| Failure::failed(error);
    let config = DecoderConfig::from_config_json(&config).map_err(failed)?;
    Decoder::from_source(config, &Weights::open(&file)?).map_err(failed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use engine::models::decoder::{Cache, Input, Logits, Request, Segment};

    use super::*;

    static STOP: AtomicBool = AtomicBool::new(false);

    /// What is trained is what is scored: the decoder reads the written weights to the same logits.
    #[test]
    fn the_trained_model_and_the_decoder_agree() {
        let folder = tempfile::tempdir().unwrap();
        let device = Device::flex();
        let model = ByteModel::new(&mut Rng::new(1), &device);
        model
            .write(&folder.path().join("t-9-1.safetensors"))
            .unwrap();
        let place = (folder.path(), "t");
        let decoder = trained((b"", 0.0), (9, 1), place, (false, Context { stop: &STOP })).unwrap();
        let ids: Vec<u32> = (0..20).map(|at| (at * 37 + 11) % 256).collect();
        let mut cache = Cache::new(decoder.config());
        let request = Request {
            logits: Logits::All,
            ..Request::default()
        };
        let segment = Segment::new(Input::Ids(&ids), &mut cache);
        let found = decoder
            .forward(&mut [segment], &request)
            .unwrap()
            .remove(0)
            .logits;
        let positions: Vec<f32> = (0..20).map(|at| at as f32).collect();
        let rope = Rope::new(&positions, 1, WIDTH / HEADS, BASE, &device);
        let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, 20]), &device);
        let expected = model.forward(ids, None, &rope).into_data();
        let expected: Vec<f32> = expected.iter::<f32>().collect();
        assert!(base::fixtures::furthest(&found, &expected) < 1e-3);
    }
}
