//! A look at a picture model while it is made: what the judge sees in pictures of some pairs.

use std::sync::atomic::AtomicBool;

use base::command::Failure;
use base::proof::Share;
use base::rng::Rng;
use burn::tensor::Device;
use engine::data::pack::EmojiPack;

use super::asked::Asked;
use super::draw::Canvas;
use super::pictures::PAIR_SEED;
use crate::stiv::data::{EmojiGrid, Split};
use crate::stiv::judge::Judge;
use crate::stiv::pipeline::StivPipeline;
use crate::stiv::sample::SampleConfig;

/// Draws at most `most` pairs of a split, drawn by lot, and gives how often the judge sees the subject and the style that
/// were asked for.
///
/// # Errors
/// When the pack cannot be read, or `stop` ended it.
pub fn look(
    (pipeline, judge): (&StivPipeline, &Judge),
    (split, most): (Split, usize),
    config: &SampleConfig,
    seed: u64,
    device: &Device,
    stop: &AtomicBool,
) -> Result<[Share; 2], Failure> {
    let grid = EmojiGrid::new(EmojiPack::embedded()?, &pipeline.tower.codes)?;
    let mut pairs = grid.pairs_of(split);
    Rng::new(PAIR_SEED).shuffle(&mut pairs);
    pairs.truncate(most);
    let asked = Asked::new(&grid, pairs, judge);
    let canvas = Canvas::of(pipeline, device, stop);
    let drawn = canvas.draw(&asked.prompts, None, config, seed)?.samples;
    Ok(asked.count(&judge.judge(&drawn), seed))
}
