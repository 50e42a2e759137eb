//! Sampling: frame replacement, joint and separate guidance, CFG-renorm (paper sections 3.2 and 3.3).

use base::rng::Rng;
use burn::tensor::{Tensor, TensorData};
use engine::diffusion::{Renorm, Solver, combine_joint, combine_separate, renorm, sde_step};
use serde::{Deserialize, Serialize};

use super::model::{Condition, Reading, Stiv};
use super::train::replace_given as replace;

/// How the passes of a guided step are combined.
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
    /// The walk.
    pub solver: Solver,
    /// The given frames of the null pass.
    pub null_image: NullImage,
    /// Factor on the positions (see [`Reading`]).
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

/// Frames that are known: the first (TI2V), the first four (prediction), every second (upsampling), both ends
/// (interpolation), or any others.
#[derive(Clone, Debug)]
pub struct Given {
    /// `[batch, channels, frames, height, width]`; frames outside the mask are ignored.
    pub latents: Tensor<5>,
    /// True for each known frame.
    pub frames: Vec<bool>,
}

impl Given {
    /// 1 at known frames, 0 elsewhere: `[1, 1, frames, 1, 1]`.
    fn mask(&self) -> Tensor<5> {
        let values: Vec<f32> = self
            .frames
            .iter()
            .map(|&known| f32::from(u8::from(known)))
            .collect();
        let count = values.len();
        Tensor::from_data(
            TensorData::new(values, [1, 1, count, 1, 1]),
            &self.latents.device(),
        )
    }
}

/// What came out, and what it cost.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// `[batch, channels, frames, height, width]`; known frames hold what was given.
    pub latents: Tensor<5>,
    /// Passes through the network, counted for one sample.
    pub passes: usize,
}

/// What the passes of a guided step are told; all have as many keys.
#[derive(Clone, Debug)]
pub struct Texts {
    /// The prompt.
    pub full: Condition,
    /// What the prompt says of the style, and nothing else, for [`Guidance::Style`].
    pub style: Option<Condition>,
    /// The empty text.
    pub null: Condition,
}

/// Draws samples: walks from `noise` to data under the full text, away from the empty one.
///
/// `noise` is `[batch, channels, frames, height, width]`. `rng` is drawn from by [`Solver::Sde`] only. `each_step` sees
/// the state after each step and may stop the walk by returning false.
pub fn sample(
    model: &Stiv,
    noise: Tensor<5>,
    given: Option<&Given>,
    texts: &Texts,
    config: &SampleConfig,
    rng: &mut Rng,
    each_step: &mut dyn FnMut(usize, &Tensor<5>) -> bool,
) -> Sampled {
    let Texts {
        full,
        style: styled,
        null,
    } = texts;
    let guidance = match (config.guidance, styled) {
        (Guidance::Style { text, .. }, None) => Guidance::Joint { scale: text },
        (guidance, _) => guidance,
    };
    let steps = config.steps.max(1);
    let dt = 1.0 / steps as f32;
    let given = given.map(|given| (given.latents.clone(), given.mask()));
    let reading = Reading {
        position_scale: config.position_scale,
        keep: None,
    };
    let mut x = noise.clone();
    let mut passes = 0;
    for step in 0..steps {
        let t = step as f32 * dt;
        let seen = match &given {
            Some((latents, mask)) => replace(x.clone(), latents.clone(), mask.clone()),
            None => x.clone(),
        };
        let unseen = match &given {
            Some((latents, mask)) => {
                let hidden = match config.null_image {
                    NullImage::NoisyPath => latents.clone() * t + noise.clone() * (1.0 - t),
                    NullImage::Zeros => latents.zeros_like(),
                };
                replace(x.clone(), hidden, mask.clone())
            }
            None => x.clone(),
        };
        let mut velocities = |inputs: Vec<(Tensor<5>, &Condition)>| {
            passes += inputs.len();
            together(model, inputs, t, &reading)
        };
        let guidance = match t < config.guided_until {
            true => guidance,
            false => Guidance::Joint { scale: 1.0 },
        };
        let (guided, conditional) = match guidance {
            Guidance::Joint { scale } if scale <= 1.0 => {
                let [v] = take(velocities(vec![(seen, full)]));
                (v.clone(), v)
            }
            Guidance::Joint { scale } => {
                let [nothing, v] = take(velocities(vec![(unseen, null), (seen, full)]));
                (combine_joint(nothing, v.clone(), scale), v)
            }
            Guidance::Separate { image, text } => {
                let inputs = vec![(unseen, null), (seen.clone(), null), (seen, full)];
                let [nothing, frames, v] = take(velocities(inputs));
                (combine_separate(nothing, frames, v.clone(), image, text), v)
            }
            Guidance::Style { text, style } => {
                let styled = styled.as_ref().unwrap_or(null);
                let inputs = vec![(unseen, null), (seen.clone(), styled), (seen, full)];
                let [nothing, styled, v] = take(velocities(inputs));
                (combine_separate(nothing, styled, v.clone(), style, text), v)
            }
        };
        // Known frames would bias the ratio of norms: they are left out of it.
        let generated = |v: Tensor<5>| match &given {
            Some((_, mask)) => v * (mask.clone().neg() + 1.0),
            None => v,
        };
        let v = generated(guided);
        let v = if config.renorm > 0.0 {
            renorm(v, generated(conditional), config.renorm_over, config.renorm)
        } else {
            v
        };
        x = match config.solver {
            Solver::Sde if step + 1 < steps => {
                let shape = x.dims();
                let draws = rng.normals(shape.iter().product());
                let z = Tensor::from_data(TensorData::new(draws, shape), &x.device());
                sde_step(x, v, z, t, dt)
            }
            _ => x + v * dt,
        };
        if let Some((latents, mask)) = &given {
            // Known frames stay on their own path.
            let there = latents.clone() * (t + dt) + noise.clone() * (1.0 - t - dt);
            x = replace(x, there, mask.clone());
        }
        if !each_step(step, &x) {
            break;
        }
    }
    if let Some((latents, mask)) = given {
        x = replace(x, latents, mask);
    }
    Sampled { latents: x, passes }
}

/// Several passes as one batch.
fn together(
    model: &Stiv,
    inputs: Vec<(Tensor<5>, &Condition)>,
    t: f32,
    reading: &Reading,
) -> Vec<Tensor<5>> {
    let batch = inputs[0].0.dims()[0];
    let parts = inputs.len();
    let (x, conditions): (Vec<_>, Vec<_>) = inputs.into_iter().unzip();
    let condition = Condition::cat(&conditions);
    let v = model.forward(
        Tensor::cat(x, 0),
        &vec![t; batch * parts],
        &condition,
        reading,
    );
    v.chunk(parts, 0)
}

/// The parts as an array; the caller asked for exactly `N`.
fn take<const N: usize>(parts: Vec<Tensor<5>>) -> [Tensor<5>; N] {
    let mut parts = parts.into_iter();
    std::array::from_fn(|_| parts.next().expect("one velocity for each input"))
}
