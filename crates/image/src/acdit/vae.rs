//! Reading the folder of a KL autoencoder.

use std::path::Path;

use base::command::Failure;
use base::rng::Rng;
use burn::tensor::Device;
use engine::models::autoencoder_kl::{self, AutoencoderKlConfig};
use engine::weights::{self, Weights};

use super::generate::Vae;

/// Names of the weights in a folder, the first that is there.
const FILES: [&str; 2] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
];
/// Names of the middle attention's layers in files of 2022 and 2023, and today's.
const OLD: [(&str, &str); 4] = [
    ("query", "to_q"),
    ("key", "to_k"),
    ("value", "to_v"),
    ("proj_attn", "to_out"),
];

/// Reads the autoencoder in `folder`: `config.json` and the weights, as diffusers writes them, today's names or those of 2022.
///
/// # Errors
/// Where a file is absent or does not fit.
pub fn read(folder: &Path, device: &Device) -> Result<Vae, Failure> {
    // The folder of a whole pipeline holds it as `vae`.
    let inner = folder.join("vae");
    let folder = match inner.join("config.json").is_file() {
        true => &inner,
        false => folder,
    };
    let refuse = |reason: String| {
        Failure::input(format!(
            "`{}` is not the directory of an autoencoder: {reason}; give the `vae` folder of a Stable Diffusion or DiT model",
            folder.display()
        ))
    };
    let path = folder.join("config.json");
    let text = base::files::read_to_string(&path)
        .map_err(|error| refuse(format!("`config.json` cannot be read ({error})")))?;
    let config: AutoencoderKlConfig =
        serde_json::from_str(&text).map_err(|error| refuse(format!("`config.json`: {error}")))?;
    let fits = (1..=8).contains(&config.block_out_channels.len())
        && config.block_out_channels.iter().all(|count| {
            (1..=4096).contains(count) && count.is_multiple_of(config.norm_num_groups.max(1))
        })
        && (1..=64).contains(&config.latent_channels)
        && config.layers_per_block <= 16
        && config.scaling_factor.is_normal();
    if !fits || config.norm_num_groups == 0 || [config.in_channels, config.out_channels] != [3; 2] {
        return Err(refuse("`config.json` has senseless sizes".into()));
    }
    let file = FILES
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| refuse(format!("`{}` is not there", FILES[0])))?;
    let weights = Weights::open(file)?;
    let old = weights.contains("encoder.mid_block.attentions.0.query.weight");
    let mut keys = autoencoder_kl::key_map();
    if old {
        keys = weights::KeyMap::new();
        for side in ["encoder", "decoder"] {
            for (name, ours) in OLD {
                keys = keys.rename(
                    &format!("{side}.mid_block.attentions.0.{name}"),
                    &format!("{side}.mid_block.attention.{ours}"),
                );
            }
            keys = keys.rename(
                &format!("{side}.mid_block.attentions.0"),
                &format!("{side}.mid_block.attention"),
            );
        }
        keys = keys
            .rename(
                "encoder.down_blocks.{}.downsamplers.0.conv",
                "encoder.down_blocks.{}.resample",
            )
            .rename(
                "decoder.up_blocks.{}.upsamplers.0.conv",
                "decoder.up_blocks.{}.resample",
            );
    }
    let model = config.init(&mut Rng::new(0), device);
    Ok(Vae {
        model: weights::load(model, &weights, &keys)?,
        config,
    })
}
