//! Sampling: frame replacement, joint and separate guidance, CFG-renorm (paper sections 3.2 and 3.3).

use base::rng::Rng;
use burn::tensor::{Tensor, TensorData};
use engine::diffusion::scheduler::{self, Flow};
use engine::diffusion::{Renorm, Solver, combine_joint, combine_separate, renorm};
use serde::{Deserialize, Serialize};

use super::condition::{Condition, Texts, replace_given as replace};
use super::model::{ForwardOptions, Stiv};

/// How the guidance branches are combined.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guidance {
    /// JIT: text and given frames are dropped together; 2 passes a step, 1 where `scale ≤ 1`.
    Joint {
        /// Guidance scale.
        scale: f32,
    },
    /// SIT: a scale for the given frames and one for the text on top of them; 3 passes a step.
    Separate {
        /// Scale of the given frames.
        image: f32,
        /// Scale of the text.
        text: f32,
    },
    /// A scale for the style said alone and one for the rest of the text on top of it (ours, in the form of SIT): 3 passes
    /// a step. Joint guidance at `text` where [`Texts::style`] is absent, and of prompts that name no style.
    Style {
        /// Scale of what the prompt says beyond its style.
        text: f32,
        /// Scale of the style.
        style: f32,
    },
}

/// What the given frames hold in the pass without conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullImage {
    /// Their own noisy path `t·frame + (1−t)·noise`: what training with dropped images saw.
    #[default]
    NoisyPath,
    /// Zeros (the paper's multi-view model).
    Zeros,
}

/// How to sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampleConfig {
    /// Steps from noise to data, at least 1.
    pub steps: usize,
    /// Guidance.
    pub guidance: Guidance,
    /// Steps that begin at this time or later (noise is 0, data 1) follow the full text alone, in one pass: where the subject
    /// is there already, guidance only hardens it. 1 guides all steps.
    pub guided_until: f32,
    /// Over what the guided velocity is renormalised.
    pub renorm_over: Renorm,
    /// Strength of CFG-renorm in `[0, 1]`; 0 switches it off.
    pub renorm: f32,
    /// The solver.
    pub solver: Solver,
    /// The given frames of the null pass.
    pub null_image: NullImage,
    /// Factor on the positions (see [`ForwardOptions`]).
    pub position_scale: f32,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            steps: 50,
            guidance: Guidance::Joint { scale: 7.5 },
            guided_until: 1.0,
            renorm_over: Renorm::Sample,
            renorm: 1.0,
            solver: Solver::Euler,
            null_image: NullImage::NoisyPath,
            position_scale: 1.0,
        }
    }
}

/// Given frames: the first (TI2V), the first four (prediction), every second (upsampling), both ends (interpolation), or
/// any others.
#[derive(Clone, Debug)]
pub struct Given {
    /// `[batch, channels, frames, height, width]`; frames outside the mask are ignored.
    pub latents: Tensor<5>,
    /// True for each given frame.
    pub frames: Vec<bool>,
}

impl Given {
    /// Those of one sample for a batch of `count`.
    pub fn repeat(&self, count: usize) -> Self {
        Self {
            latents: self.latents.clone().repeat_dim(0, count),
            frames: self.frames.clone(),
        }
    }

    /// 1 at given frames, 0 elsewhere: `[1, 1, frames, 1, 1]`.
    fn mask(&self) -> Tensor<5> {
        let frames = self.frames.iter();
        let values: Vec<f32> = frames.map(|&given| f32::from(u8::from(given))).collect();
        let shape = [1, 1, values.len(), 1, 1];
        Tensor::from_data(TensorData::new(values, shape), &self.latents.device())
    }
}

/// What came out, and what it cost.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// `[batch, channels, frames, height, width]`; given frames hold what was given.
    pub latents: Tensor<5>,
    /// Passes through the network, counted for one sample.
    pub passes: usize,
}

/// Draws samples: solves the flow from `noise` to data under the full text, away from the empty one.
///
/// `noise` is `[batch, channels, frames, height, width]`. `rng` is drawn from by [`Solver::Sde`] only. `each_step` sees
/// the state after each step, in which given frames hold nothing of use; none comes where it returned false.
pub fn sample(
    model: &Stiv,
    noise: Tensor<5>,
    given: Option<&Given>,
    texts: &Texts,
    config: &SampleConfig,
    rng: &mut Rng,
    each_step: &mut dyn FnMut(usize, &Tensor<5>) -> bool,
) -> Option<Sampled> {
    let mut guided = Guided {
        model,
        texts,
        config,
        given: given.map(|given| (given.latents.clone(), given.mask())),
        noise: noise.clone(),
        passes: 0,
    };
    let (shape, device) = (noise.dims(), noise.device());
    let mut draw = || {
        let draws = rng.normals(shape.iter().product());
        Tensor::from_data(TensorData::new(draws, shape), &device)
    };
    let mut flow = Flow::new(config.steps, config.solver);
    let mut begun = 0;
    let network = |x: Tensor<5>, t: f64| {
        if begun > 0 && !each_step(begun - 1, &x) {
            return Err(Stopped);
        }
        begun += 1;
        Ok(guided.velocity(x, t as f32))
    };
    let x = scheduler::sample(&mut flow, noise, network, &mut draw).ok()?;
    let passes = guided.passes;
    each_step(begun - 1, &x).then(|| Sampled {
        latents: match guided.given {
            Some((latents, mask)) => replace(x, latents, mask),
            None => x,
        },
        passes,
    })
}

/// The caller wants no more steps.
struct Stopped;

/// The network under guidance.
struct Guided<'a> {
    model: &'a Stiv,
    texts: &'a Texts,
    config: &'a SampleConfig,
    /// Given frames, and the mask that is 1 there.
    given: Option<(Tensor<5>, Tensor<5>)>,
    noise: Tensor<5>,
    passes: usize,
}

impl Guided<'_> {
    /// The velocity at `x` and time `t`, zero at given frames.
    fn velocity(&mut self, x: Tensor<5>, t: f32) -> Tensor<5> {
        let Texts { full, style, null } = self.texts;
        let (seen, unseen) = match &self.given {
            Some((latents, mask)) => {
                let hidden = match self.config.null_image {
                    NullImage::NoisyPath => latents.clone() * t + self.noise.clone() * (1.0 - t),
                    NullImage::Zeros => latents.zeros_like(),
                };
                (
                    replace(x.clone(), latents.clone(), mask.clone()),
                    replace(x, hidden, mask.clone()),
                )
            }
            None => (x.clone(), x),
        };
        let guidance = match (self.config.guidance, style) {
            _ if t >= self.config.guided_until => Guidance::Joint { scale: 1.0 },
            (Guidance::Style { text, .. }, None) => Guidance::Joint { scale: text },
            (guidance, _) => guidance,
        };
        let (guided, conditional) = match guidance {
            Guidance::Joint { scale } if scale <= 1.0 => {
                let [v] = self.velocities([(seen, full)], t);
                (v.clone(), v)
            }
            Guidance::Joint { scale } => {
                let [nothing, v] = self.velocities([(unseen, null), (seen, full)], t);
                (combine_joint(nothing, v.clone(), scale), v)
            }
            Guidance::Separate { image, text } => {
                let inputs = [(unseen, null), (seen.clone(), null), (seen, full)];
                let [nothing, frames, v] = self.velocities(inputs, t);
                (combine_separate(nothing, frames, v.clone(), image, text), v)
            }
            Guidance::Style { text, style: scale } => {
                let style = style.as_ref().unwrap_or(null);
                let inputs = [(unseen, null), (seen.clone(), style), (seen, full)];
                let [nothing, styled, v] = self.velocities(inputs, t);
                (combine_separate(nothing, styled, v.clone(), scale, text), v)
            }
        };
        // Given frames would bias the ratio of norms: they are left out of it.
        let generated = |v: Tensor<5>| match &self.given {
            Some((_, mask)) => v * (mask.clone().neg() + 1.0),
            None => v,
        };
        let (v, config) = (generated(guided), self.config);
        match config.renorm > 0.0 {
            true => renorm(v, generated(conditional), config.renorm_over, config.renorm),
            false => v,
        }
    }

    /// Several passes as one batch.
    fn velocities<const N: usize>(
        &mut self,
        inputs: [(Tensor<5>, &Condition); N],
        t: f32,
    ) -> [Tensor<5>; N] {
        self.passes += N;
        let batch = self.noise.dims()[0];
        let conditions = Condition::cat(&inputs.each_ref().map(|(_, condition)| *condition));
        let x = Tensor::cat(inputs.map(|(x, _)| x).to_vec(), 0);
        let options = ForwardOptions {
            position_scale: self.config.position_scale,
            keep: None,
        };
        let v = (self.model).forward(x, &vec![t; batch * N], &conditions, &options);
        std::array::from_fn(|part| v.clone().narrow(0, part * batch, batch))
    }
}
