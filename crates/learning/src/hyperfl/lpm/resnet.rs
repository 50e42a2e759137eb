//! LPM-ResNet: a frozen ResNet-18 with a generated adapter `y = BN(x + Conv1×1(BN(x)))` behind each of its four stages.
//!
//! The release names its generated tensors so that the adapters never receive them; here they are used.

use base::tensor_file::Weights;
use kernels::{
    ConvAxis, ConvDims, Level, LinearDims, Precision, column_sums, conv, conv_backward_input,
    linear, linear_backward_input, linear_backward_weight,
};

use super::batch_norm::Statistics;
use super::resnet_adapter::{AdapterPass, adapter_backward, adapter_forward};
use crate::error::{LearningError, Result};
use crate::hyperfl::hypernetwork::Hypernetwork;
use crate::hyperfl::layout::Layout;
use crate::hyperfl::loss::{Targets, cross_entropy};
use crate::hyperfl::vector::add_scaled;

const F32: Precision = Precision::F32;

/// Sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct ResnetConfig {
    /// Rows and columns of a picture.
    pub side: usize,
    /// Channels of the four stages.
    pub planes: [usize; 4],
    /// Width of the random layer before the head.
    pub hidden: usize,
    /// Number of labels.
    pub classes: usize,
}

impl ResnetConfig {
    /// ResNet-18 on pictures of `side`.
    pub fn resnet18(side: usize, classes: usize) -> Self {
        Self {
            side,
            planes: [64, 128, 256, 512],
            hidden: 128,
            classes,
        }
    }

    /// Names and places of the frozen parameters, torchvision's names and `hidden_layer`.
    pub fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        let mut conv = |name: &str, out: usize, input: usize, kernel: usize, norm: &str| {
            layout.push(format!("{name}.weight"), &[out, input, kernel, kernel]);
            for part in ["weight", "bias", "running_mean", "running_var"] {
                layout.push(format!("{norm}.{part}"), &[out]);
            }
        };
        conv("conv1", self.planes[0], 3, 7, "bn1");
        let mut input = self.planes[0];
        for (stage, &out) in self.planes.iter().enumerate() {
            for block in 0..2 {
                let name = format!("layer{}.{block}", stage + 1);
                let from = if block == 0 { input } else { out };
                conv(
                    &format!("{name}.conv1"),
                    out,
                    from,
                    3,
                    &format!("{name}.bn1"),
                );
                conv(
                    &format!("{name}.conv2"),
                    out,
                    out,
                    3,
                    &format!("{name}.bn2"),
                );
                if block == 0 && stage > 0 {
                    let part = |at: usize| format!("{name}.downsample.{at}");
                    conv(&part(0), out, from, 1, &part(1));
                }
            }
            input = out;
        }
        layout.push("hidden_layer.weight", &[self.hidden, self.planes[3]]);
        layout.push("hidden_layer.bias", &[self.hidden]);
        layout
    }

    /// The hypernetwork that makes the adapters.
    pub fn hypernetwork(&self, embed: usize, hidden: usize) -> Hypernetwork {
        let tensors: Vec<_> = self
            .planes
            .iter()
            .enumerate()
            .flat_map(|(at, &width)| {
                let name = |part: &str| format!("adapter.{at}.{part}");
                [
                    (name("conv.0.weight"), vec![width], 1),
                    (name("conv.0.bias"), vec![width], 1),
                    (name("conv.1.weight"), vec![width, width, 1, 1], width),
                    (name("bn.weight"), vec![width], 1),
                    (name("bn.bias"), vec![width], 1),
                ]
            })
            .collect();
        Hypernetwork::new(embed, &[hidden], &tensors)
    }
}

/// Running statistics of the two norms of each adapter; they stay with the client.
pub type Running = Vec<[Statistics; 2]>;

/// The frozen network.
#[derive(Clone, Debug)]
pub struct LpmResnet {
    /// Its sizes.
    pub config: ResnetConfig,
    layout: Layout,
    params: Vec<f32>,
}

/// A frozen convolution with its norm behind.
struct Folded {
    weight: Vec<f32>,
    bias: Vec<f32>,
    dims: ConvDims,
}

struct BlockPass {
    convs: [Folded; 2],
    shortcut: Option<Folded>,
    middle: Vec<f32>,
    out: Vec<f32>,
}

/// What the forward pass leaves.
struct Pass {
    logits: Vec<f32>,
    hidden: Vec<f32>,
    pixels: usize,
    stages: Vec<(Vec<BlockPass>, AdapterPass)>,
}

impl LpmResnet {
    /// Reads the network under torchvision's names; a file without `hidden_layer` gets `hidden`, its weight and bias.
    ///
    /// # Errors
    /// Where a tensor is missing or misshapen, and for pictures too small for five halvings.
    pub fn read(config: ResnetConfig, weights: &Weights, hidden: &[f32]) -> Result<Self> {
        let layout = config.layout();
        let at = layout
            .find("hidden_layer.weight")
            .map_or(0, |range| range.start);
        if config.side < 32 || config.planes.contains(&0) || hidden.len() != layout.len() - at {
            return Err(LearningError::invalid(format!(
                "the sizes {config:?} make no network: pictures need 32 or more rows"
            )));
        }
        let params = match weights.contains("hidden_layer.weight") {
            true => layout.read(weights, "")?,
            false => {
                let mut params = layout.part(0..at).read(weights, "")?;
                params.extend_from_slice(hidden);
                params
            }
        };
        Ok(Self {
            config,
            layout,
            params,
        })
    }

    /// Statistics before any batch.
    pub fn running(&self) -> Running {
        let both = |&width: &usize| [Statistics::new(width), Statistics::new(width)];
        self.config.planes.iter().map(both).collect()
    }

    fn get(&self, name: &str) -> &[f32] {
        &self.params[self.layout.find(name).unwrap_or_default()]
    }

    /// The convolution `name` with the norm `norm` folded into it.
    fn folded(
        &self,
        name: &str,
        norm: &str,
        batch: usize,
        side: usize,
        stride: usize,
    ) -> Result<Folded> {
        let weight = self.get(&format!("{name}.weight"));
        let part = |part: &str| self.get(&format!("{norm}.{part}"));
        let (factor, shift) = (part("weight"), part("bias"));
        let (mean, variance) = (part("running_mean"), part("running_var"));
        let out = factor.len();
        let shape = self
            .layout
            .slots()
            .iter()
            .find(|slot| slot.name == format!("{name}.weight"));
        let (input, kernel) = shape.map_or((1, 1), |slot| (slot.shape[1], slot.shape[2]));
        let scale: Vec<f32> = factor
            .iter()
            .zip(variance)
            .map(|(f, v)| f / (v + 1e-5).sqrt())
            .collect();
        let rows = weight.chunks_exact(input * kernel * kernel).zip(&scale);
        let axis = ConvAxis {
            stride,
            padding: [kernel / 2; 2],
            ..ConvAxis::new(side, kernel)
        };
        Ok(Folded {
            weight: rows
                .flat_map(|(row, s)| row.iter().map(move |w| w * s))
                .collect(),
            bias: (0..out).map(|c| shift[c] - mean[c] * scale[c]).collect(),
            dims: ConvDims::new(batch, input, out, 1, &[axis, axis])?,
        })
    }

    fn pass(
        &self,
        theta: &[f32],
        head: &[f32],
        x: &[f32],
        running: Option<&Running>,
    ) -> Result<Pass> {
        let ResnetConfig {
            side,
            planes,
            hidden,
            classes,
        } = &self.config;
        let size = 3 * side * side;
        let adapters: usize = planes.iter().map(|width| width * (width + 4)).sum();
        if x.is_empty()
            || !x.len().is_multiple_of(size)
            || theta.len() != adapters
            || head.len() != classes * (hidden + 1)
        {
            return Err(LearningError::invalid(format!(
                "{} picture values, {} adapter values and {} head values do not fit a network for pictures of {size}, adapters of {adapters} and a head of {}",
                x.len(),
                theta.len(),
                head.len(),
                classes * (hidden + 1)
            )));
        }
        let batch = x.len() / size;
        let stem = self.folded("conv1", "bn1", batch, *side, 2)?;
        let value = relu(stem.apply(x)?);
        let mut side = side.div_ceil(2);
        let mut value = pool(&value, side);
        side = side.div_ceil(2);
        let mut stages = Vec::new();
        let mut from = 0;
        for (stage, &width) in planes.iter().enumerate() {
            let mut blocks = Vec::new();
            for block in 0..2 {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                let name = format!("layer{}.{block}", stage + 1);
                let part = |part: &str| format!("{name}.{part}");
                let first = self.folded(&part("conv1"), &part("bn1"), batch, side, stride)?;
                let middle = relu(first.apply(&value)?);
                let shortcut = match stride {
                    1 => None,
                    _ => Some(self.folded(
                        &part("downsample.0"),
                        &part("downsample.1"),
                        batch,
                        side,
                        2,
                    )?),
                };
                side = side.div_ceil(stride);
                let second = self.folded(&part("conv2"), &part("bn2"), batch, side, 1)?;
                let mut out = second.apply(&middle)?;
                match &shortcut {
                    Some(shortcut) => add_scaled(&mut out, 1.0, &shortcut.apply(&value)?),
                    None => add_scaled(&mut out, 1.0, &value),
                }
                value = relu(out);
                blocks.push(BlockPass {
                    convs: [first, second],
                    shortcut,
                    middle,
                    out: value.clone(),
                });
            }
            let own = &theta[from..from + width * (width + 4)];
            from += own.len();
            let fixed = running.map(|running| &running[stage]);
            let (next, adapter) = adapter_forward(own, value, [batch, width, side * side], fixed)?;
            value = next;
            stages.push((blocks, adapter));
        }
        let pixels = side * side;
        let pooled: Vec<f32> = value
            .chunks_exact(pixels)
            .map(|plane| plane.iter().sum::<f32>() / pixels as f32)
            .collect();
        let dims = LinearDims {
            rows: batch,
            input: planes[3],
            output: *hidden,
        };
        let layer = [
            self.get("hidden_layer.weight"),
            self.get("hidden_layer.bias"),
        ];
        let hidden = linear(F32, &pooled, layer[0], Some(layer[1]), dims)?;
        let (weight, bias) = head.split_at(head.len() - classes);
        let dims = self.head_dims(batch);
        let logits = linear(F32, &hidden, weight, Some(bias), dims)?;
        Ok(Pass {
            logits,
            hidden,
            pixels,
            stages,
        })
    }

    fn head_dims(&self, rows: usize) -> LinearDims {
        LinearDims {
            rows,
            input: self.config.hidden,
            output: self.config.classes,
        }
    }

    /// Logits `[batch, classes]` of `x` `[batch, 3, side, side]`, with the running statistics.
    ///
    /// # Errors
    /// Where lengths do not fit.
    pub fn forward(
        &self,
        theta: &[f32],
        head: &[f32],
        x: &[f32],
        running: &Running,
    ) -> Result<Vec<f32>> {
        Ok(self.pass(theta, head, x, Some(running))?.logits)
    }

    /// Loss on `targets`, and the gradients of the adapters and of the head; the adapters' norms take the batch's statistics,
    /// which `running` follows.
    ///
    /// # Errors
    /// Where lengths do not fit.
    pub fn gradient(
        &self,
        theta: &[f32],
        head: &[f32],
        x: &[f32],
        targets: &Targets,
        running: &mut Running,
    ) -> Result<(f32, Vec<f32>, Vec<f32>)> {
        let pass = self.pass(theta, head, x, None)?;
        let (loss, logits) = cross_entropy(&pass.logits, targets, self.config.classes)?;
        let batch = pass.hidden.len() / self.config.hidden;
        let dims = self.head_dims(batch);
        let mut of_head = linear_backward_weight(F32, &logits, &pass.hidden, dims)?;
        of_head.extend(column_sums(&logits, self.config.classes)?);
        let weight = &head[..head.len() - self.config.classes];
        let of_hidden = linear_backward_input(F32, &logits, weight, dims)?;
        let dims = LinearDims {
            rows: batch,
            input: self.config.planes[3],
            output: self.config.hidden,
        };
        let of_pooled =
            linear_backward_input(F32, &of_hidden, self.get("hidden_layer.weight"), dims)?;
        let share = 1.0 / pass.pixels as f32;
        let mut grad: Vec<f32> = of_pooled
            .iter()
            .flat_map(|g| std::iter::repeat_n(g * share, pass.pixels))
            .collect();
        let mut of_theta = vec![0.0; theta.len()];
        let mut end = theta.len();
        for (stage, (blocks, adapter)) in pass.stages.iter().enumerate().rev() {
            let width = self.config.planes[stage];
            let from = end - width * (width + 4);
            let (next, own) = adapter_backward(&theta[from..end], adapter, &grad)?;
            of_theta[from..end].copy_from_slice(&own);
            end = from;
            for (running, found) in running[stage].iter_mut().zip(&adapter.statistics) {
                running.follow(found, batch * adapter.pixels);
            }
            grad = next;
            // Nothing before the first adapter is trained.
            for block in blocks.iter().rev().filter(|_| stage > 0) {
                grad = block.backward(&grad)?;
            }
        }
        Ok((loss, of_theta, of_head))
    }
}

impl Folded {
    fn apply(&self, x: &[f32]) -> Result<Vec<f32>> {
        Ok(conv(
            Level::best(),
            F32,
            x,
            &self.weight,
            Some(&self.bias),
            &self.dims,
        )?)
    }

    fn backward(&self, grad: &[f32]) -> Result<Vec<f32>> {
        Ok(conv_backward_input(
            Level::best(),
            F32,
            grad,
            &self.weight,
            &self.dims,
        )?)
    }
}

impl BlockPass {
    fn backward(&self, grad: &[f32]) -> Result<Vec<f32>> {
        let grad = masked(grad, &self.out);
        let middle = masked(&self.convs[1].backward(&grad)?, &self.middle);
        let mut x = self.convs[0].backward(&middle)?;
        match &self.shortcut {
            Some(shortcut) => add_scaled(&mut x, 1.0, &shortcut.backward(&grad)?),
            None => add_scaled(&mut x, 1.0, &grad),
        }
        Ok(x)
    }
}

fn relu(mut values: Vec<f32>) -> Vec<f32> {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
    values
}

fn masked(grad: &[f32], out: &[f32]) -> Vec<f32> {
    let pairs = grad.iter().zip(out);
    pairs
        .map(|(g, out)| if *out > 0.0 { *g } else { 0.0 })
        .collect()
}

/// The largest of 3 × 3 values at every second place, of planes `side` × `side`.
fn pool(x: &[f32], side: usize) -> Vec<f32> {
    let half = side.div_ceil(2);
    let mut out = Vec::with_capacity(x.len() / 4);
    for plane in x.chunks_exact(side * side) {
        for row in 0..half {
            for column in 0..half {
                let near = |at: usize| (2 * at).saturating_sub(1)..(2 * at + 2).min(side);
                let values =
                    near(row).flat_map(|r| plane[r * side..][near(column)].iter().copied());
                out.push(values.fold(f32::NEG_INFINITY, f32::max));
            }
        }
    }
    out
}
