//! Small models of the proof, trained through the same calls as large ones.

use std::path::Path;

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use engine::models::causal_lm::{CausalLm, CausalLmConfig};
use engine::models::decoder::Decoder;
use engine::weights::Precision;

use super::corpus::Corpus;
use crate::moxin::data::pack::Pack;
use crate::moxin::{Phase, Place, SystemError, TokensTask, copy_tokenizer, text_loss};

/// Tokens of a sequence.
pub(super) const CONTEXT: usize = 128;

/// A model of `blocks` blocks and width 128 with a window of 64 tokens.
pub(super) fn sizes(corpus: &Corpus, blocks: usize) -> CausalLmConfig {
    CausalLmConfig {
        vocab_size: corpus.tokenizer.len(),
        num_hidden_layers: blocks,
        ..CausalLmConfig::toy()
    }
}

/// One phase of training, in `folder`, which ends with a model's folder that is read next time.
pub(super) struct Stage<'a> {
    /// Where it goes on from; a new model for none.
    pub from: Option<(CausalLmConfig, CausalLm)>,
    /// Blocks of a new model.
    pub blocks: usize,
    /// Tokens.
    pub pack: Pack,
    /// Steps.
    pub steps: u64,
    /// Peak learning rate.
    pub rate: f64,
    /// Of weights, order and draws.
    pub seed: u64,
    /// Checkpoint, log and model.
    pub folder: &'a Path,
}

/// Trains a stage.
pub(super) fn trained(
    corpus: &Corpus,
    stage: Stage<'_>,
    (progress, context): (bool, Context),
) -> Result<(CausalLmConfig, CausalLm), Failure> {
    let device = Device::flex().autodiff();
    let done = stage.folder.join("model");
    if done.join("config.json").is_file() {
        return Ok(CausalLm::open(&done, &device).map_err(SystemError::from)?);
    }
    let (config, model) = match stage.from {
        Some(from) => from,
        None => {
            let config = sizes(corpus, stage.blocks);
            let model = config.init(&mut Rng::new(stage.seed).child("weights"), &device);
            (config, model.map_err(SystemError::from)?)
        }
    };
    let phase = Phase {
        name: "proof".into(),
        data: Default::default(),
        context: CONTEXT,
        batch: 8,
        accumulation: 1,
        steps: Some(stage.steps),
        epochs: 1.0,
        learning_rate: stage.rate,
        warmup: stage.steps / 10,
        floor: 0.1,
        weight_decay: 0.1,
        dropout: 0.0,
        label_smoothing: 0.0,
        document_mask: false,
        checkpoint_every: 100,
    };
    let task = TokensTask::new(stage.pack, &phase, &config, stage.seed, &device)?;
    // Mixed precision: a third of the time on CPUs that have it, and the same for all arms.
    let recipe = task.recipe(&phase, stage.seed, true);
    let place = Place {
        folder: stage.folder,
        resume: true,
        title: progress.then_some("proof"),
        context,
        workers: None,
    };
    let trained = place.train(&task, model, &recipe)?;
    trained
        .model
        .valid()
        .save(&done, &config, Precision::F32)
        .map_err(SystemError::from)?;
    copy_tokenizer(&corpus.vocabulary(), &done)?;
    Ok((config, trained.model))
}

/// Loss on held-out text, in nats a token.
pub(super) fn held_out_loss(corpus: &Corpus, decoder: &Decoder) -> Result<f64, Failure> {
    Ok(text_loss(decoder, &corpus.held_out, CONTEXT)?.0)
}
