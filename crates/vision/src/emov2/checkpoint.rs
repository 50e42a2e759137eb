//! Official names, and which network a file holds.

use std::path::Path;

use base::tensor_file::{TensorFile, Weights, WeightsError};
use engine::weights::{self, KeyMap, Precision};

use super::config::{EmoConfig, PRESETS};
use super::model::Emo;
use super::segment::UEmoConfig;

/// Metadata key of the config, as JSON.
pub const CONFIG_KEY: &str = "emov2.config";
/// Metadata key of the names of classes, as a JSON list.
pub const CLASSES_KEY: &str = "emov2.classes";
/// Metadata key of the side of the pictures that it was trained on.
pub const SIZE_KEY: &str = "emov2.size";
/// Metadata key of the share of a picture that evaluation keeps.
pub const CROP_KEY: &str = "emov2.crop";
/// A tensor that every backbone has.
pub const PROBE: &str = "stage0.0.conv.weight";
/// Wrappers around the tensors of official checkpoints; those with averaged weights first.
const WRAPPERS: [&str; 6] = ["net_E", "model_ema", "ema", "net", "model", "module"];

/// Names of a backbone or classifier.
pub fn key_map() -> KeyMap {
    backbone_rules(KeyMap::new(), "")
}

/// Names of a detector.
pub fn detector_keys() -> KeyMap {
    let keys = KeyMap::new()
        .rename("neck.extra_layers.{}.0", "ssd.neck.extra_layers.{}.reduce")
        .rename("neck.extra_layers.{}.1", "ssd.neck.extra_layers.{}.enlarge")
        .rename(
            "bbox_head.cls_convs.{}.0",
            "ssd.bbox_head.cls_convs.{}.local",
        )
        .rename("bbox_head.cls_convs.{}.1", "ssd.bbox_head.cls_convs.{}.out")
        .rename(
            "bbox_head.reg_convs.{}.0",
            "ssd.bbox_head.reg_convs.{}.local",
        )
        .rename("bbox_head.reg_convs.{}.1", "ssd.bbox_head.reg_convs.{}.out")
        .rename("", "ssd")
        .rename("", "retina")
        .rename("", "mask_rcnn");
    backbone_rules(keys, "backbone.")
}

/// Names of the neck and head of SSDLite alone.
pub fn ssd_keys() -> KeyMap {
    KeyMap::new()
        .rename("neck.extra_layers.{}.0", "neck.extra_layers.{}.reduce")
        .rename("neck.extra_layers.{}.1", "neck.extra_layers.{}.enlarge")
        .rename("bbox_head.{}.{}.0", "bbox_head.{}.{}.local")
        .rename("bbox_head.{}.{}.1", "bbox_head.{}.{}.out")
        .ignore("num_batches_tracked")
}

/// Names of a segmentation head whose paths here begin with `ours` (ending in a dot, or empty).
pub fn decode_rules(keys: KeyMap, ours: &str) -> KeyMap {
    let file = "decode_head";
    let keys = keys
        .rename(
            &format!("{file}.image_pool.1"),
            &format!("{ours}image_pool"),
        )
        .rename(
            &format!("{file}.psp_modules.{{}}.1"),
            &format!("{ours}psp_modules.{{}}"),
        );
    // Between the convolutions of a scale stand enlargements.
    let levels = (0..4).flat_map(|level| (0..4).map(move |at| (level, at)));
    let keys = levels.fold(keys, |keys, (level, at)| {
        keys.rename(
            &format!("{file}.scale_heads.{level}.{}", 2 * at),
            &format!("{ours}scale_heads.{level}.{at}"),
        )
    });
    keys.rename(file, ours.trim_end_matches('.'))
        .ignore("num_batches_tracked")
        .ignore("auxiliary_head")
}

/// Names of a segmenter.
pub fn segmenter_keys() -> KeyMap {
    let heads = ["aspp", "psp", "fpn", "segformer"];
    let keys = heads.iter().fold(KeyMap::new(), |keys, head| {
        decode_rules(keys, &format!("decode_head.{head}."))
    });
    let keys = unet_rules(keys, &UEmoConfig::default(), "backbone.", "unet.");
    backbone_rules(keys, "backbone.")
}

/// Names of a U-Net whose tensors are called `file..` in files and `ours..` here; both end in a dot or are empty.
pub fn unet_rules(keys: KeyMap, config: &UEmoConfig, file: &str, ours: &str) -> KeyMap {
    let mut keys = keys;
    let mut layers = |from: String, to: String| {
        let mut rename = |from: String, to: String| {
            keys = std::mem::take(&mut keys).rename(&from, &to);
        };
        rename(format!("{from}.norm.norm"), format!("{to}.block.norm.ln"));
        rename(
            format!("{from}.conv_local.norm.norm"),
            format!("{to}.block.conv_local.ln"),
        );
        rename(from.clone(), format!("{to}.block"));
        rename(from, format!("{to}.conv"));
    };
    for stage in 0..config.num_stages {
        let pooled = stage > 0 && config.downsamples[stage - 1] && config.strides[stage] == 1;
        layers(
            format!("{file}encoder.{stage}.{}.convs.{{}}", usize::from(pooled)),
            format!("{ours}encoder.{stage}.convs.{{}}"),
        );
    }
    layers(
        format!("{file}decoder.{{}}.conv_block.convs.{{}}"),
        format!("{ours}decoder.{{}}.conv_block.convs.{{}}"),
    );
    for up in 0..config.num_stages.saturating_sub(1) {
        let doubles = config.downsamples[up] || config.strides[up + 1] != 1;
        let inner = if doubles { ".interp_upsample.1" } else { "" };
        keys = keys.rename(
            &format!("{file}decoder.{up}.upsample{inner}"),
            &format!("{ours}decoder.{up}.upsample"),
        );
    }
    keys.ignore("num_batches_tracked")
}

/// Names of one block.
pub fn block_keys() -> KeyMap {
    block_rules(KeyMap::new(), "").ignore("num_batches_tracked")
}

fn block_rules(keys: KeyMap, at: &str) -> KeyMap {
    keys.rename(&format!("{at}norm.norm"), &format!("{at}norm.ln"))
        .rename(&format!("{at}norm"), &format!("{at}norm.bn"))
        .rename(
            &format!("{at}conv_local.norm.norm"),
            &format!("{at}conv_local.ln"),
        )
        .rename(
            &format!("{at}conv_local.norm"),
            &format!("{at}conv_local.bn"),
        )
}

fn backbone_rules(keys: KeyMap, prefix: &str) -> KeyMap {
    let keys = keys
        .rename(&format!("{prefix}norm.norm"), &format!("{prefix}norm.ln"))
        .rename(
            &format!("{prefix}{{}}.{{}}.norm"),
            &format!("{prefix}{{}}.{{}}.bn"),
        );
    block_rules(keys, &format!("{prefix}{{}}.{{}}.")).ignore("num_batches_tracked")
}

/// The tensors of a checkpoint as they are called in the state dict, out of whatever a training script put around them.
/// `averaged` says whether those of the average are wanted where there are both.
pub fn unwrapped(weights: &Weights, probe: &str, averaged: bool) -> Weights {
    if weights.contains(probe) {
        return weights.clone();
    }
    let mut wrappers = WRAPPERS;
    if !averaged {
        wrappers.rotate_left(3);
    }
    wrappers
        .iter()
        .flat_map(|wrapper| [(*wrapper).to_owned(), format!("{wrapper}.module")])
        .map(|wrapper| weights.within(&wrapper))
        .find(|inner| inner.contains(probe))
        .unwrap_or_else(|| weights.clone())
}

/// The network that a file holds: what its metadata say, else the published one whose shapes it has.
///
/// # Errors
/// [`WeightsError::Unfit`] where it is neither.
pub fn config_of(weights: &Weights, prefix: &str) -> Result<EmoConfig, WeightsError> {
    if let Some(text) = weights.metadata().get(CONFIG_KEY) {
        let config: EmoConfig = serde_json::from_str(text).map_err(|error| {
            weights.unfit(format!("its metadata `{CONFIG_KEY}` is wrong: {error}"))
        })?;
        if let Some(problem) = config.problem() {
            return Err(weights.unfit(format!("its config {problem}")));
        }
        return Ok(config);
    }
    let rows = |name: &str| Some(*weights.shape(&format!("{prefix}{name}"))?.first()?);
    let kernel = |stage: usize| {
        let name = format!("{prefix}stage{stage}.0.conv_local.conv.weight");
        weights.shape(&name)?.get(2).copied()
    };
    let fits = |config: &EmoConfig| {
        (0..4).all(|stage| {
            let (number, depth) = (stage + 1, config.depths[stage]);
            let proj = |at: usize| rows(&format!("stage{number}.{at}.proj.conv.weight"));
            proj(depth - 1) == Some(config.embed_dims[stage])
                && proj(depth).is_none()
                && kernel(number) == Some(config.dw_kss[stage])
        })
    };
    let found = PRESETS
        .iter()
        .filter_map(|name| EmoConfig::preset(name))
        .find(fits);
    let config = found.ok_or_else(|| {
        weights.unfit(format!(
            "its tensors are those of no network here ({}), and it says no config of its own; was it made by the EMOv2 code?",
            PRESETS.join(", ")
        ))
    })?;
    Ok(config.with_classes(rows("head.weight").unwrap_or(0)))
}

/// Whether a file's largest tensors are as large as its config says, before anything of that size is made.
///
/// # Errors
/// [`WeightsError::Unfit`].
pub fn check_widths(weights: &Weights, config: &EmoConfig) -> Result<(), WeightsError> {
    let rows = |name: &str| weights.shape(name).and_then(|shape| shape.first()).copied();
    for (stage, blocks) in config.block_configs().iter().enumerate() {
        let last = blocks.len() - 1;
        let name = format!("stage{}.{last}.proj.conv.weight", stage + 1);
        if rows(&name) != Some(config.embed_dims[stage]) {
            return Err(weights.unfit(format!(
                "its config asks for {} rows in `{name}`: give the config of this checkpoint",
                config.embed_dims[stage]
            )));
        }
    }
    match config.num_classes == rows("head.weight").unwrap_or(0) {
        true => Ok(()),
        false => Err(weights.unfit(format!(
            "its config says {} classes, which its head has not",
            config.num_classes
        ))),
    }
}

/// What a classifier's file says of it.
pub fn notes(
    config: &EmoConfig,
    classes: &[String],
    size: usize,
    crop: f64,
) -> Vec<(&'static str, String)> {
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let mut notes = vec![
        (CONFIG_KEY, json(serde_json::to_string(config))),
        (SIZE_KEY, size.to_string()),
        (CROP_KEY, crop.to_string()),
    ];
    if !classes.is_empty() {
        notes.push((CLASSES_KEY, json(serde_json::to_string(classes))));
    }
    notes
}

/// Writes a classifier under its official names, with `notes` in the metadata.
///
/// # Errors
/// When the file cannot be written, or a value does not fit `precision`.
pub fn save(
    model: &Emo,
    notes: &[(&str, String)],
    precision: Precision,
    path: &Path,
) -> Result<(), WeightsError> {
    let keys = key_map();
    let mut file = TensorFile::new();
    for (key, value) in notes {
        file.note(*key, value.as_str());
    }
    weights::collect(model, &keys, precision, &mut file)?;
    for param in weights::params(model) {
        // PyTorch looks for the counter beside each running mean; nothing reads it.
        if let Some(norm) = keys.to_file(&param.path).strip_suffix("running_mean") {
            file.ints(&format!("{norm}num_batches_tracked"), &[], &[0])?;
        }
    }
    file.write(path)
}
