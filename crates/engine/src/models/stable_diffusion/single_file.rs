//! Models in one file, as latent-diffusion's training code and what came after it save them. Sizes are read off the shapes.

use std::path::{Path, PathBuf};

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;

use super::parts::{Part, Parts, Schedule, TowerPart, Usual};
use super::vae::VaePart;
use super::{DiffusionError, OpenOptions, bundle, folder, gguf, ldm};
use crate::diffusion::scheduler::Prediction;
use crate::models::autoencoder_kl::{self, AutoencoderKlConfig};
use crate::models::clip_text::{self, ClipTextConfig};
use crate::models::unet2d::{self, Depths, PerBlock, Unet2dConfig};
use crate::weights::{KeyMap, View, Weights, params};

pub(super) const UNET: &str = "model.diffusion_model.";
pub(super) const VAE: &str = "first_stage_model.";
/// CLIP-L of Stable Diffusion 1 and XL.
pub(super) const TOWERS_L: [&str; 2] = [
    "cond_stage_model.transformer.",
    "conditioner.embedders.0.transformer.",
];
/// OpenCLIP of Stable Diffusion 2, and the second tower of XL.
pub(super) const TOWERS_OPEN: [&str; 2] =
    ["cond_stage_model.model.", "conditioner.embedders.1.model."];

/// The parts in the file at `path`.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Parts, DiffusionError> {
    let file = match gguf::is_one(path) {
        true => gguf::open(path)?,
        false => Weights::open(path)?,
    };
    if bundle::is_one(&file) {
        return bundle::open(&file, options);
    }
    let file = match file.contains(&format!("{UNET}input_blocks.0.0.weight")) {
        true => file,
        false => file.within("state_dict"),
    };
    let Some(config) = unet_config(&file) else {
        return Err(DiffusionError::model(
            path,
            format!(
                "it is not a checkpoint of Stable Diffusion: it has no `{UNET}input_blocks.0.0.weight`; give one `.safetensors` \
                 or `.ckpt` file with U-Net, autoencoder and text encoder in it, or a diffusers folder"
            ),
        ));
    };
    let prediction = options
        .prediction
        .or(file.contains("v_pred").then_some(Prediction::VPrediction));
    config
        .check()
        .map_err(|reason| DiffusionError::model(path, reason))?;
    let unet = views(
        &config.init(&mut Rng::new(0), &Device::flex()),
        &unet2d::key_map(),
        |name| {
            let of = ldm::unet(&config, name)?;
            Some(View::whole(name, format!("{UNET}{of}")))
        },
    );
    let xl = config.addition_embed_type.is_some();
    let vae = match &options.vae {
        Some(place) => VaePart::open(place, xl)?,
        None => vae(&file, xl).map(VaePart::Kl).ok_or_else(|| {
            DiffusionError::model(
                path,
                "it holds no autoencoder; give one with `--vae FOLDER|FILE`",
            )
        })?,
    };
    Ok(Parts {
        path: path.to_owned(),
        unet: Part {
            weights: file.viewed(unet),
            config,
        },
        vae,
        towers: towers(&file, path, options)?,
        scheduler: Schedule::usual(prediction),
        zero_negative: file.contains("conditioner.embedders.1.model.ln_final.weight"),
        usual: Usual::default(),
    })
}

/// A view for every parameter of a module, by its official name.
fn views<M: Module, E>(
    module: &Result<M, E>,
    keys: &KeyMap,
    view: impl Fn(&str) -> Option<View>,
) -> Vec<View> {
    let Ok(module) = module else {
        return Vec::new();
    };
    let names = params(module).into_iter().map(|it| keys.to_file(&it.path));
    names.filter_map(|name| view(&name)).collect()
}

/// How many of `name(0)`, `name(1)`, … there are.
fn count(file: &Weights, name: impl Fn(usize) -> String) -> usize {
    (0..1000).take_while(|&at| file.contains(&name(at))).count()
}

fn rows(file: &Weights, name: &str) -> Option<usize> {
    file.shape(name)?.first().copied()
}

fn columns(file: &Weights, name: &str) -> Option<usize> {
    file.shape(name)?.get(1).copied()
}

fn unet_config(file: &Weights) -> Option<Unet2dConfig> {
    let name = |rest: &str| format!("{UNET}{rest}");
    let first = rows(file, &name("input_blocks.0.0.weight"))?;
    let depth = |place: &str| {
        count(file, |at| {
            name(&format!("{place}.1.transformer_blocks.{at}.norm1.weight"))
        })
    };
    let (mut channels, mut depths, mut layers) = (vec![first], vec![0], vec![0]);
    let mut attention = None;
    for entry in 1..200 {
        let place = format!("input_blocks.{entry}");
        if file.contains(&name(&format!("{place}.0.op.weight"))) {
            channels.push(0);
            depths.push(0);
            layers.push(0);
            continue;
        }
        let Some(width) = rows(file, &name(&format!("{place}.0.out_layers.3.weight"))) else {
            break;
        };
        let level = channels.len() - 1;
        channels[level] = width;
        layers[level] += 1;
        depths[level] = depths[level].max(depth(&place));
        if depth(&place) > 0 {
            attention.get_or_insert(place);
        }
    }
    let attention = attention?;
    let crossed: Vec<bool> = depths.iter().map(|&depth| depth > 0).collect();
    let kinds = |way: &str| -> Vec<String> {
        let name = |&crossed: &bool| match crossed {
            true => format!("CrossAttn{way}Block2D"),
            false => format!("{way}Block2D"),
        };
        crossed.iter().map(name).collect()
    };
    let mut up = kinds("Up");
    up.reverse();
    let middle = depth("middle_block");
    if let (Some(last), true) = (depths.last_mut(), middle > 0) {
        *last = middle;
    }
    let key = name(&format!(
        "{attention}.1.transformer_blocks.0.attn2.to_k.weight"
    ));
    let context = columns(file, &key)?;
    let projection = file
        .shape(&name(&format!("{attention}.1.proj_in.weight")))?
        .len();
    let pooled = columns(file, &name("label_emb.0.0.weight"));
    // Stable Diffusion 1 projects by convolutions and has eight heads everywhere, what came later heads of 64 values. GGUF files
    // have convolutions there in all of them.
    let heads = match projection {
        4 if context != 1024 && pooled.is_none() => PerBlock::Same(8),
        _ => PerBlock::Each(channels.iter().map(|c| (c / 64).max(1)).collect()),
    };
    let cfg = Unet2dConfig {
        in_channels: columns(file, &name("input_blocks.0.0.weight"))?,
        out_channels: rows(file, &name("out.2.weight"))?,
        down_block_types: kinds("Down"),
        up_block_types: up,
        mid_block_type: (middle > 0).then(|| "UNetMidBlock2DCrossAttn".into()),
        block_out_channels: channels,
        layers_per_block: PerBlock::Each(layers),
        cross_attention_dim: PerBlock::Same(context),
        attention_head_dim: heads,
        transformer_layers_per_block: Depths::Each(
            depths.into_iter().map(PerBlock::Same).collect(),
        ),
        use_linear_projection: projection == 2,
        addition_embed_type: pooled.map(|_| "text_time".into()),
        addition_time_embed_dim: pooled.map(|_| 256),
        projection_class_embeddings_input_dim: pooled,
        sample_size: Some(if pooled.is_some() { 128 } else { 64 }),
        ..Unet2dConfig::default()
    };
    Some(cfg)
}

/// The autoencoder in a whole checkpoint, or in a file of its own with the same names.
pub(super) fn vae(file: &Weights, xl: bool) -> Option<Part<AutoencoderKlConfig>> {
    let prefix = match file.contains("encoder.conv_in.weight") {
        true => "",
        false => VAE,
    };
    let name = |rest: String| format!("{prefix}{rest}");
    let levels = count(file, |at| {
        name(format!("encoder.down.{at}.block.0.conv1.weight"))
    });
    let width = |at: usize| {
        rows(
            file,
            &name(format!("encoder.down.{at}.block.0.conv1.weight")),
        )
    };
    let config = AutoencoderKlConfig {
        block_out_channels: (0..levels).map(width).collect::<Option<_>>()?,
        layers_per_block: count(file, |at| {
            name(format!("encoder.down.0.block.{at}.conv1.weight"))
        }),
        latent_channels: rows(file, &name("post_quant_conv.weight".into()))?,
        scaling_factor: if xl { 0.13025 } else { 0.18215 },
        ..AutoencoderKlConfig::default()
    };
    if levels == 0 {
        return None;
    }
    let module: Result<_, ()> = Ok(config.init(&mut Rng::new(0), &Device::flex()));
    let views = views(&module, &autoencoder_kl::key_map(), |official| {
        Some(View::whole(official, name(ldm::vae(levels, official))))
    });
    Some(Part {
        weights: file.viewed(views),
        config,
    })
}

fn towers(
    file: &Weights,
    path: &Path,
    options: &OpenOptions,
) -> Result<Vec<TowerPart>, DiffusionError> {
    let place = words(path, options)?;
    let mut towers = Vec::new();
    for prefix in TOWERS_L {
        let inner = format!("{prefix}text_model.");
        let Some(table) = file.shape(&format!("{inner}embeddings.token_embedding.weight")) else {
            continue;
        };
        let config = sizes(file, table, |rest| format!("{inner}{rest}"))?;
        let names = file.names().filter_map(|of| {
            let name = of.strip_prefix(prefix)?;
            Some(View::whole(name, of))
        });
        let (tokenizer, ends, pad) = folder::tokenizer(&place)?;
        towers.push(TowerPart {
            weights: file.viewed(names.collect::<Vec<_>>()),
            config,
            transposed: None,
            tokenizer,
            pad,
            ends,
        });
    }
    for prefix in TOWERS_OPEN {
        let Some(table) = file.shape(&format!("{prefix}token_embedding.weight")) else {
            continue;
        };
        let config = open_clip(file, prefix, table)?;
        let module = config.init(&mut Rng::new(0), &Device::flex());
        let mut names = views(&module, &KeyMap::new(), |official| {
            Some(ldm::open_clip(prefix, official))
        });
        let projection = format!("{prefix}text_projection");
        names.push(View::whole(&projection, &projection));
        let (tokenizer, ends, pad) = folder::tokenizer(&place)?;
        towers.push(TowerPart {
            weights: file.viewed(names),
            transposed: config.projection_dim.map(|_| projection),
            config,
            // OpenCLIP fills up with the first token of the vocabulary.
            pad: tokenizer.piece_id("!").unwrap_or(pad),
            tokenizer,
            ends,
        });
    }
    match towers.is_empty() {
        true => Err(DiffusionError::model(
            path,
            "it holds no text encoder; give a whole checkpoint",
        )),
        false => Ok(towers),
    }
}

/// Sizes of a tower, by its tensors; heads have 64 values.
fn sizes(
    file: &Weights,
    table: &[usize],
    name: impl Fn(String) -> String,
) -> Result<ClipTextConfig, DiffusionError> {
    let [vocab_size, hidden_size] = *table else {
        return Err(file.unfit("its table of tokens has no two axes").into());
    };
    let layers = count(file, |at| {
        name(format!("encoder.layers.{at}.layer_norm1.weight"))
    });
    let inner = rows(file, &name("encoder.layers.0.mlp.fc1.weight".into()));
    let places = rows(file, &name("embeddings.position_embedding.weight".into()));
    Ok(ClipTextConfig {
        vocab_size,
        hidden_size,
        intermediate_size: inner.unwrap_or(4 * hidden_size),
        num_hidden_layers: layers,
        num_attention_heads: (hidden_size / 64).max(1),
        max_position_embeddings: places.unwrap_or(77),
        ..ClipTextConfig::default()
    })
}

/// Sizes of an OpenCLIP tower. That of Stable Diffusion 2 goes without its last layer.
fn open_clip(
    file: &Weights,
    prefix: &str,
    table: &[usize],
) -> Result<ClipTextConfig, DiffusionError> {
    let plain = sizes(file, table, |rest| rest)?;
    let block = |at: usize| format!("{prefix}transformer.resblocks.{at}.ln_1.weight");
    let layers = count(file, block);
    let second = prefix == TOWERS_OPEN[1];
    let inner = rows(
        file,
        &format!("{prefix}transformer.resblocks.0.mlp.c_fc.weight"),
    );
    let width = plain.hidden_size;
    Ok(ClipTextConfig {
        intermediate_size: inner.unwrap_or(4 * width),
        num_hidden_layers: if second {
            layers
        } else {
            layers.saturating_sub(1)
        },
        hidden_act: clip_text::ClipActivation::Gelu,
        max_position_embeddings: rows(file, &format!("{prefix}positional_embedding")).unwrap_or(77),
        projection_dim: columns(file, &format!("{prefix}text_projection")).filter(|_| second),
        ..plain
    })
}

/// Where the vocabulary is: a single file holds none.
fn words(path: &Path, options: &OpenOptions) -> Result<PathBuf, DiffusionError> {
    if let Some(folder) = &options.tokenizer {
        return Ok(folder.clone());
    }
    let beside = path.parent().unwrap_or(Path::new("."));
    let places = [beside.join("tokenizer"), beside.to_owned()];
    let found = places.into_iter().find(|folder| {
        folder.join("tokenizer.json").exists()
            || (folder.join("vocab.json").exists() && folder.join("merges.txt").exists())
    });
    found.ok_or_else(|| {
        DiffusionError::model(
            path,
            "a single file holds no vocabulary: put CLIP's `vocab.json` and `merges.txt` beside it, or name their folder with \
             `--tokenizer FOLDER`",
        )
    })
}
