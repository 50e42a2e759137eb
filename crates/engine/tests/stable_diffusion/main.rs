//! The networks of the Stable Diffusion family against numbers of diffusers, transformers and the authors' code.
#![allow(clippy::unwrap_used)]

mod edit;
#[path = "../decoder/gguf.rs"]
#[allow(dead_code)]
mod gguf;
mod hooks;
mod kinds;
mod pipeline;
mod samplers;
mod single;
mod tiny;
mod towers;
mod unets;

use std::path::Path;

use base::fixtures::{Case, cases, furthest, report};
use base::rng::Rng;
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::models::unet2d::{self, AddedConditions, Unet2d, Unet2dConfig, UnetConditions};
use engine::weights::{CaseTensor, load, load_partial};
use serde_json::{Value, json};

/// Runs `check` on every case of `kind`.
fn each(slug: &str, kind: &str, check: impl Fn(&Case)) {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let cases = cases(slug, kind, &committed);
    cases.iter().for_each(check);
    report(slug, kind, cases.len());
}

/// Compares with the case's tensor `what`, at its tolerance, relative where values are above 1.
fn same<const D: usize>(case: &Case, what: &str, found: Tensor<D>) {
    same_as(
        case,
        what,
        found,
        case.tensor::<D>(what, &Device::default()),
    );
}

fn same_as<const D: usize>(case: &Case, what: &str, found: Tensor<D>, expected: Tensor<D>) {
    assert_eq!(found.dims(), expected.dims(), "{}: {what}", case.name);
    let [found, expected] =
        [found, expected].map(|tensor| tensor.into_data().try_into_vec::<f32>().unwrap());
    let allowed = case.tolerance(what, 5e-4) as f32;
    // Cases may allow more where values are large.
    if let Some(relative) = case.json["tolerance"]["rel"].as_f64() {
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let room = allowed + relative as f32 * expected.abs();
            assert!(
                (found - expected).abs() <= room,
                "{}: {what}[{at}] is {found}, recorded {expected}",
                case.name
            );
        }
        return;
    }
    let scale = expected.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    let off = furthest(&found, &expected) / scale;
    assert!(
        off <= allowed,
        "{}: {what} is off by {off}, allowed is {allowed}",
        case.name
    );
}

/// The U-Net of a case: its configuration under `config`, its weights under `prefix`.
fn unet(case: &Case, prefix: &str) -> Unet2d {
    unet_of(case, case.json["config"].clone(), prefix)
}

/// The same with a configuration from elsewhere.
fn unet_of(case: &Case, mut config: Value, prefix: &str) -> Unet2d {
    if config.get("down_block_types").is_none() {
        // The case names sizes only: which resolutions have attention is read off its tensors.
        let levels = config["block_out_channels"].as_array().unwrap().len();
        for (way, end) in [("down", "Down"), ("up", "Up")] {
            let kinds: Vec<Value> = (0..levels)
                .map(|at| {
                    let name = format!("{prefix}.{way}_blocks.{at}.attentions.0.norm.weight");
                    let cross = if case.weights().contains(&name) {
                        "CrossAttn"
                    } else {
                        ""
                    };
                    json!(format!("{cross}{end}Block2D"))
                })
                .collect();
            config[format!("{way}_block_types")] = json!(kinds);
        }
    }
    let config: Unet2dConfig = serde_json::from_value(config).unwrap();
    let network = config.init(&mut Rng::new(0), &Device::default()).unwrap();
    let weights = case.weights().within(prefix);
    // What adapters add has names of its own, and is read by whoever knows it.
    let keys = unet2d::key_map()
        .ignore("_ip.")
        .ignore("dialog_bbox_embedding");
    load(network, &weights, &keys).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

/// Pooled text and time ids of a case.
fn added(case: &Case) -> AddedConditions {
    AddedConditions {
        text_embeds: case.tensor("text_embeds", &Device::default()),
        time_ids: case.tensor("time_ids", &Device::default()),
    }
}

/// The case's list of times.
fn times(case: &Case, name: &str) -> Vec<f64> {
    match case.weights().ints(name) {
        Ok(times) => times.iter().map(|&t| t as f64).collect(),
        Err(_) => case.values(name).iter().map(|&t| f64::from(t)).collect(),
    }
}

/// Slice `at` of the first axis.
fn at<const D: usize, const E: usize>(all: &Tensor<D>, at: usize) -> Tensor<E> {
    all.clone().narrow(0, at, 1).squeeze_dim(0)
}

/// Slice `at` of the first axis, which stays.
fn row<const D: usize>(all: &Tensor<D>, at: usize) -> Tensor<D> {
    all.clone().narrow(0, at, 1)
}

fn text(context: Tensor<3>) -> UnetConditions {
    UnetConditions::text(context)
}

#[test]
fn a_file_of_another_network_is_refused_with_names() {
    let config: Unet2dConfig = serde_json::from_value(json!({
        "block_out_channels": [8, 16], "norm_num_groups": 4, "attention_head_dim": 2, "cross_attention_dim": 6,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "layers_per_block": 1,
    }))
    .unwrap();
    let network = config.init(&mut Rng::new(0), &Device::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unet.safetensors");
    let mut keys = unet2d::key_map();
    let precision = engine::weights::Precision::F32;
    engine::weights::save(&network, &keys, &[], precision, &path).unwrap();
    let file = engine::weights::Weights::open(&path).unwrap();
    assert!(file.contains("up_blocks.0.upsamplers.0.conv.weight"));
    assert!(file.contains("mid_block.attentions.0.transformer_blocks.0.ff.net.2.bias"));
    let again = load(network, &file, &keys).unwrap();
    keys = keys.only("nothing");
    let (_, report) = load_partial(again, &file, &keys).unwrap();
    assert!(report.loaded.is_empty());
    let wider = Unet2dConfig {
        cross_attention_dim: unet2d::PerBlock::Same(7),
        ..config
    };
    let wider = wider.init(&mut Rng::new(0), &Device::default()).unwrap();
    let error = load(wider, &file, &unet2d::key_map()).unwrap_err();
    assert!(error.to_string().contains("attn2.to_k"), "{error}");
}

#[test]
fn fields_that_change_the_network_are_refused_by_name() {
    for (field, value) in [
        ("class_embed_type", json!("timestep")),
        ("only_cross_attention", json!(true)),
        ("resnet_time_scale_shift", json!("scale_shift")),
        ("addition_embed_type", json!("image")),
        ("mid_block_type", json!("UNetMidBlock2D")),
        ("norm_num_groups", json!(7)),
        ("block_out_channels", json!([320, 640])),
        ("attention_head_dim", json!([1, 2])),
        ("down_block_types", json!(["A", "B", "C", "D"])),
    ] {
        let config: Unet2dConfig = serde_json::from_value(json!({ field: value })).unwrap();
        let error = config.check().unwrap_err();
        assert!(
            !error.contains('\n') && error.len() > 20,
            "{field}: {error}"
        );
    }
    for config in [
        Unet2dConfig::stable_diffusion_1(),
        Unet2dConfig::stable_diffusion_2(),
        Unet2dConfig::stable_diffusion_xl(),
    ] {
        config.check().unwrap();
    }
}
