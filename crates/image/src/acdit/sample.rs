//! Block by block sampling with a cache of clean blocks (paper section 3.4).

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
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            steps: 25,
            guidance: 1.5,
            clip: None,
        }
    }
}

/// Draws a sample one block after another: given blocks first, then sampled ones.
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
        Ok(Self {
            model,
            block_size: config.block_size,
            positions: Positions::new(config, blocks, device)?,
            blocks,
            labels: labels.to_vec(),
            null: config.num_classes,
            sampling,
            cache: Cache::default(),
            done: 0,
            last: None,
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
        if self.done >= self.blocks {
            return None;
        }
        self.remember();
        let positions = self
            .positions
            .narrow(self.done * self.block_size, self.block_size);
        let mut solver = DpmSolver::<3>::new(SchedulerConfig::default(), self.sampling.steps)
            .with_clip(self.sampling.clip);
        let timesteps = Scheduler::timesteps(&solver).to_vec();
        let mut x = noise;
        for (i, t) in timesteps.into_iter().enumerate() {
            let noise = self.guided(x.clone(), t as f32, &positions);
            let unused = x.clone();
            x = solver.step(noise, i, x, &mut || unused.clone());
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

    /// Takes the last block into the cache.
    fn remember(&mut self) {
        if let Some(clean) = self.last.take() {
            let from = (self.done - 1) * self.block_size;
            let positions = self.positions.narrow(from, self.block_size);
            self.model.append(clean, &positions, &mut self.cache);
        }
    }
}
