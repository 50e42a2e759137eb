//! The networks of Stable Diffusion with random weights of the official shapes: `orrery bench --suite diffusion`.

use std::hint::black_box;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Benchmark, Run};
use crate::models::autoencoder_kl::AutoencoderKlConfig;
use crate::models::clip_text::ClipTextConfig;
use crate::models::unet2d::{AddedConditions, Unet2dConfig, UnetConditions};
use crate::nn::WeightKind;
use crate::ops::{self, Precision};
use crate::weights::store_as;
use base::rng::Rng;

/// What diffusers runs for the same benchmarks.
pub const SCRIPT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../benches/diffusion_peer.py"
));

/// Tokens of a prompt.
const TOKENS: usize = 77;

/// All benchmarks of the suite, with the ratios that they must not exceed.
pub fn benchmarks() -> Vec<Benchmark> {
    let benchmark = Benchmark::with_peer;
    vec![
        benchmark(
            "clip-l",
            "CLIP-L text tower, 77 tokens, bf16 products",
            clip,
        )
        .at_most(1.1)
        .below_peer(),
        benchmark(
            "sd15-unet",
            "U-Net of SD 1.5, latents of 64×64, bf16 products",
            || unet(Unet2dConfig::stable_diffusion_1()),
        )
        .at_most(1.1)
        .below_peer(),
        benchmark(
            "vae-decode",
            "autoencoder, latents of 64×64 to 512×512, bf16 products",
            decode,
        )
        .at_most(1.25)
        .below_peer(),
        benchmark(
            "sdxl-unet",
            "U-Net of SDXL, latents of 64×64, bf16 products",
            || unet(Unet2dConfig::stable_diffusion_xl()),
        )
        .at_most(1.1)
        .below_peer(),
    ]
}

fn noise<const D: usize>(shape: [usize; D], rng: &mut Rng, device: &Device) -> Tensor<D> {
    let values = rng.normals(shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn unet(config: Unet2dConfig) -> Run {
    let device = Device::flex();
    let mut rng = Rng::new(1);
    let model = config.init(&mut rng, &device).ok().and_then(in_bf16);
    let width = config.cross_attention_dim.at(0).unwrap_or(768);
    let x = noise([1, 4, 64, 64], &mut rng, &device);
    let added = config
        .addition_embed_type
        .as_ref()
        .map(|_| AddedConditions {
            text_embeds: noise([1, 1280], &mut rng, &device),
            time_ids: noise([1, 6], &mut rng, &device),
        });
    let conditions = UnetConditions {
        context: noise([1, TOKENS, width], &mut rng, &device),
        added,
        guidance: None,
    };
    bf16(move || {
        let out = model
            .as_ref()
            .map(|model| model.forward(x.clone(), &[500.0], &conditions, &mut ()));
        black_box(out.map(Tensor::into_data));
    })
}

fn clip() -> Run {
    let device = Device::flex();
    let model = ClipTextConfig::default().init(&mut Rng::new(1), &device);
    let model = model.ok().and_then(in_bf16);
    let prompt: Vec<u32> = (0..TOKENS as u32).map(|at| 1 + 500 * at).collect();
    bf16(move || {
        let out = model
            .as_ref()
            .and_then(|model| model.forward(std::slice::from_ref(&prompt)).ok());
        black_box(out);
    })
}

fn decode() -> Run {
    let device = Device::flex();
    let mut rng = Rng::new(1);
    let model = in_bf16(AutoencoderKlConfig::default().init(&mut rng, &device));
    let latents = noise([1, 4, 64, 64], &mut rng, &device);
    bf16(move || {
        let out = model.as_ref().map(|model| model.decode(latents.clone()));
        black_box(out.map(Tensor::into_data));
    })
}

/// A network whose weights are in bf16, as the peer's are.
fn in_bf16<M: Module>(module: M) -> Option<M> {
    store_as(module, &|_| WeightKind::Bf16).ok()
}

fn bf16(mut run: impl FnMut() + Send + 'static) -> Run {
    Box::new(move || {
        let before = ops::set_precision(Precision::Bf16);
        run();
        ops::set_precision(before);
    })
}
