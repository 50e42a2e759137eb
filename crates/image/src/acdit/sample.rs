//! Block by block sampling with a cache of clean blocks (paper section 3.4).

use std::collections::VecDeque;

use burn::tensor::{Device, Tensor};
use engine::diffusion::scheduler::{DpmSolver, Scheduler, SchedulerConfig};

use super::config::AcditConfig;
use super::model::{Acdit, Cache};
use super::rope::Positions;

/// How to sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleConfig {
    /// Steps of DPM-Solver++ for each block (published: 25).
    pub steps: usize,
    /// Classifier-free guidance, `ε = ε_u + s·(ε_c − ε_u)`; up to 1 there is no unconditional pass (published: 1.5 for images,
    /// 2.5 for clips).
    pub guidance: f32,
    /// Predicted clean values are kept within `±clip`; for models of pixels.
    pub clip: Option<f32>,
    /// Clips: a block sees the blocks just before it, `window` blocks in all with itself, at the places of a clip of that
    /// length. So a clip may go on for ever at bounded cost. None: it sees all.
    pub window: Option<usize>,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            steps: 25,
            guidance: 1.5,
            clip: None,
            window: None,
        }
    }
}

/// Draws samples one block after another: given blocks first, then drawn ones. The stream of [`Self::next_block`] ends after
/// the last block.
#[derive(Debug)]
pub struct BlockSampler<'a> {
    model: &'a Acdit,
    block_size: usize,
    positions: Positions,
    blocks: usize,
    labels: Vec<usize>,
    null: usize,
    sampling: SampleConfig,
    cache: Cache,
    /// Blocks that are done, and the last of them, which the cache does not hold yet.
    done: usize,
    last: Option<Tensor<3>>,
    /// With a window, the blocks that the cache holds.
    recent: VecDeque<Tensor<3>>,
}

impl<'a> BlockSampler<'a> {
    /// A sampler of `blocks` blocks for as many samples as there are `labels`. Clips may be longer than in training:
    /// positions then go on beyond what the model saw.
    ///
    /// # Errors
    /// Where the sizes do not fit together, in words.
    pub fn new(
        model: &'a Acdit,
        config: &AcditConfig,
        labels: &[usize],
        blocks: usize,
        sampling: SampleConfig,
        device: &Device,
    ) -> Result<Self, String> {
        let places = match sampling.window {
            Some(_) if config.temporal_len == 1 => {
                return Err("a window is for clips: an image has all its blocks".into());
            }
            Some(0) => return Err("a window has at least the block itself".into()),
            Some(window) => blocks.min(window),
            None => blocks,
        };
        Ok(Self {
            model,
            block_size: config.block_size,
            positions: Positions::new(config, places, device)?,
            blocks,
            labels: labels.to_vec(),
            null: config.num_classes,
            sampling,
            cache: Cache::default(),
            done: 0,
            last: None,
            recent: VecDeque::new(),
        })
    }

    /// Blocks that are done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Takes a given clean block, `[batch, block, values]`, as the next one.
    pub fn give(&mut self, clean: Tensor<3>) {
        self.remember();
        self.last = Some(clean);
        self.done += 1;
    }

    /// Samples the next block from `noise`, `[batch, block, values]`; none after the last.
    pub fn next_block(&mut self, noise: Tensor<3>) -> Option<Tensor<3>> {
        self.next_block_watched(noise, &mut |_| true)
    }

    /// As [`Self::next_block`]; `watch` hears of each step that is done, and ends the sampling by false.
    pub fn next_block_watched(
        &mut self,
        noise: Tensor<3>,
        watch: &mut dyn FnMut(usize) -> bool,
    ) -> Option<Tensor<3>> {
        if self.done >= self.blocks {
            return None;
        }
        self.remember();
        let positions = self.places(self.place());
        let mut solver = DpmSolver::<3>::new(SchedulerConfig::default(), self.sampling.steps)
            .with_clip(self.sampling.clip);
        let timesteps = Scheduler::timesteps(&solver).to_vec();
        let mut x = noise;
        for (i, t) in timesteps.into_iter().enumerate() {
            let noise = self.guided(x.clone(), t as f32, &positions);
            let unused = x.clone();
            x = solver.step(noise, i, x, &mut || unused.clone());
            if !watch(i + 1) {
                return None;
            }
        }
        self.done += 1;
        self.last = Some(x.clone());
        Some(x)
    }

    fn guided(&self, x: Tensor<3>, t: f32, positions: &Positions) -> Tensor<3> {
        let denoise = |labels: &[usize]| {
            self.model.denoise(
                x.clone(),
                &vec![t; labels.len()],
                labels,
                positions,
                &self.cache,
            )
        };
        let conditional = denoise(&self.labels);
        match self.sampling.guidance {
            scale if scale > 1.0 => {
                let null = denoise(&vec![self.null; self.labels.len()]);
                null.clone() + (conditional - null) * scale
            }
            _ => conditional,
        }
    }

    /// Positions of the tokens of the block at `place`.
    fn places(&self, place: usize) -> Positions {
        self.positions
            .narrow(place * self.block_size, self.block_size)
    }

    /// The place of the block to come: with a full window the last one.
    fn place(&self) -> usize {
        match self.sampling.window {
            Some(window) => self.done.min(window - 1),
            None => self.done,
        }
    }

    /// Takes the last block into the cache. A full window loses its first block; what the others saw of it goes too, so the
    /// cache is made anew.
    fn remember(&mut self) {
        let Some(clean) = self.last.take() else {
            return;
        };
        let Some(window) = self.sampling.window else {
            let positions = self.places(self.done - 1);
            self.model.append(clean, &positions, &mut self.cache);
            return;
        };
        self.recent.push_back(clean);
        let mut from = self.recent.len() - 1;
        if self.recent.len() >= window {
            self.recent.pop_front();
            self.cache = Cache::default();
            from = 0;
        }
        for (place, block) in self.recent.iter().enumerate().skip(from) {
            let positions = self
                .positions
                .narrow(place * self.block_size, self.block_size);
            self.model
                .append(block.clone(), &positions, &mut self.cache);
        }
    }
}
