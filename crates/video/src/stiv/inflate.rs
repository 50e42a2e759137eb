//! From pictures to clips: patch layers inflated in time (paper section 3.4, progressive training).

use base::rng::Rng;
use burn::module::Param;
use burn::tensor::Tensor;
use engine::nn::Init;

use super::config::StivConfig;
use super::model::Stiv;

/// Standard deviation of what is added to the inflated head.
const HEAD_DEVIATION: f32 = 0.02;

/// Patch weights `[width, channels · side²]` of a picture model for clips with `time` frames a patch:
/// `[width, channels · time · side²]`, each value divided by `time`, so that a still clip makes the token that the
/// picture made.
pub fn inflate_input(weight: Tensor<2>, channels: usize, time: usize) -> Tensor<2> {
    let [width, values] = weight.dims();
    let area = values / channels;
    (weight / time as f32)
        .reshape([width, channels, 1, area])
        .repeat_dim(2, time)
        .reshape([width, channels * time * area])
}

/// Head weights `[channels · side², width]` copied for each of `time` frames:
/// `[channels · time · side², width]`.
pub fn inflate_head(weight: Tensor<2>, channels: usize, time: usize) -> Tensor<2> {
    let [values, width] = weight.dims();
    let area = values / channels;
    weight
        .reshape([channels, 1, area, width])
        .repeat_dim(1, time)
        .reshape([channels * time * area, width])
}

/// A clip model out of a picture model of the same sizes.
///
/// Patch layers are inflated, all other weights kept. `config` is the picture model's; the temporal attention of
/// `picture` (which pictures never used) starts with a silent output.
///
/// Frames that share a token would stay indistinguishable: equal weights get equal gradients on average. So random
/// weights that sum to zero over time are added to the patch layers (ours; the paper says nothing of it). They cancel on
/// a still clip, which makes the same tokens as before.
pub fn inflate(picture: Stiv, config: &StivConfig, time: usize, rng: &mut Rng) -> Stiv {
    let channels = config.channels;
    let mut clip = picture;
    let change2 = |param: Param<Tensor<2>>, f: &mut dyn FnMut(Tensor<2>) -> Tensor<2>| {
        let gradient = param.is_require_grad();
        param.map(|value| f(value.detach()).detach().set_require_grad(gradient))
    };
    clip.cubify.weight = change2(clip.cubify.weight, &mut |weight| {
        let wide = inflate_input(weight, channels, time);
        let [width, values] = wide.dims();
        let fresh = Init::Xavier
            .weight(width, values, rng, &wide.device())
            .val();
        wide + without_mean(fresh.detach().transpose(), channels, time).transpose()
    });
    clip.head.weight = change2(clip.head.weight, &mut |weight| {
        let wide = inflate_head(weight, channels, time);
        let [values, width] = wide.dims();
        let fresh = Init::Normal(HEAD_DEVIATION).weight(values, width, rng, &wide.device());
        wide + without_mean(fresh.val().detach(), channels, time)
    });
    clip.head.bias = clip.head.bias.map(|bias| {
        let gradient = bias.is_require_grad();
        bias.map(|bias| {
            let bias = bias.detach();
            let values = bias.dims()[0];
            inflate_head(bias.reshape([values, 1]), channels, time)
                .reshape([values * time])
                .detach()
                .set_require_grad(gradient)
        })
    });
    for block in clip.blocks.iter_mut().chain(clip.extra_blocks.iter_mut()) {
        let output = block.temporal.o.weight.clone();
        block.temporal.o.weight = change2(output, &mut |w| w.zeros_like());
    }
    clip.with_temporal_patch(time)
}

/// `[channels · time · side², width]` less its mean over time.
fn without_mean(weight: Tensor<2>, channels: usize, time: usize) -> Tensor<2> {
    let [values, width] = weight.dims();
    let parts = weight.reshape([channels, time, values / channels / time, width]);
    let mean: Tensor<4> = parts.clone().mean_dim(1);
    (parts - mean).reshape([values, width])
}
