//! Text towers, image towers and the autoencoder.

use base::fixtures::{Case, furthest};
use base::rng::Rng;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::burn;
use engine::models::autoencoder_kl::{self, AutoencoderKlConfig};
use engine::models::autoencoder_tiny::AutoencoderTinyConfig;
use engine::models::clip_text::{self, ClipText, ClipTextConfig};
use engine::models::clip_vision::{self, ClipVisionConfig};
use engine::models::t5_encoder::{self, T5EncoderConfig};
use engine::weights::{CaseTensor, load};
use serde_json::json;

use crate::{each, same, same_as};

fn tower(case: &Case, prefix: &str, config: serde_json::Value) -> ClipText {
    let weights = case.weights().within(prefix);
    let config: ClipTextConfig = serde_json::from_value(config).unwrap();
    let config = ClipTextConfig {
        max_position_embeddings: case.weights().shape(prompts_of(case)).unwrap()[1],
        ..config
    };
    let tower = config.init(&mut Rng::new(0), &Device::default()).unwrap();
    let keys = clip_text::key_map(&weights);
    load(tower, &weights, &keys).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

fn prompts_of(case: &Case) -> &'static str {
    ["input_ids", "ids"]
        .into_iter()
        .find(|name| case.weights().contains(name))
        .unwrap()
}

fn prompts(case: &Case) -> Vec<Vec<u32>> {
    let name = prompts_of(case);
    let tokens = case.weights().shape(name).unwrap()[1];
    let ids: Vec<u32> = case.ints(name).iter().map(|&id| id as u32).collect();
    ids.chunks(tokens).map(<[u32]>::to_vec).collect()
}

/// The state before the last, without the final norm.
fn penultimate(states: &[Tensor<3>]) -> Tensor<3> {
    states[states.len() - 2].clone()
}

#[test]
fn clip_text_with_both_ends_of_text() {
    each("wind", "clip_text_encoders", |case| {
        for name in ["a", "b"] {
            let config = &case.json[format!("config_{name}")];
            let act = config["act"].as_str().unwrap();
            let act = act.split(' ').next();
            let tower = tower(
                case,
                name,
                json!({
                    "vocab_size": config["vocab"], "hidden_size": config["hidden"], "intermediate_size": config["ff"],
                    "num_hidden_layers": config["layers"], "num_attention_heads": config["heads"], "hidden_act": act,
                    "projection_dim": config["proj"], "eos_token_id": config["eos"],
                }),
            );
            let out = tower.forward(&prompts(case)).unwrap();
            same(case, &format!("{name}_last"), out.last);
            let before = penultimate(&out.hidden_states);
            same(case, &format!("{name}_penultimate"), before);
            match out.text_embeds {
                Some(embeds) => same(case, &format!("{name}_text_embeds"), embeds),
                None => same(case, &format!("{name}_pooled"), out.pooled),
            }
        }
    });
}

#[test]
fn both_text_towers_of_sdxl() {
    each("diffsensei", "text_towers_tiny", |case| {
        let [one, two] = ["te1", "te2"].map(|name| {
            let mut config = case.json["config"][name].clone();
            let projected = format!("{name}.text_projection.weight");
            if !case.weights().contains(&projected) {
                config["projection_dim"] = json!(null);
            }
            tower(case, name, config).forward(&prompts(case)).unwrap()
        });
        same(case, "te1_last", one.last);
        let before = [one.hidden_states, two.hidden_states].map(|states| penultimate(&states));
        same(case, "te1_penultimate", before[0].clone());
        same(case, "te2_penultimate", before[1].clone());
        same(case, "te2_pooled", two.text_embeds.unwrap());
        same(case, "concat", Tensor::cat(before.to_vec(), 2));
    });
}

#[test]
fn the_autoencoder() {
    each("wind", "autoencoder_kl", |case| {
        let device = Device::default();
        let config: AutoencoderKlConfig =
            serde_json::from_value(case.json["config"].clone()).unwrap();
        let model = config.init(&mut Rng::new(0), &device);
        let keys = autoencoder_kl::key_map();
        let model = load(model, &case.weights().within("vae"), &keys).unwrap();
        let posterior = model.encode(case.tensor("image", &device));
        let mean = posterior.mean;
        same(case, "mean", mean.clone());
        same(case, "logvar", posterior.logvar);
        same(case, "latent_scaled", mean.clone() * config.scaling_factor);
        same(case, "decoded", model.decode(mean));
    });
}

#[test]
fn the_tiny_autoencoder() {
    each("sd", "autoencoder_tiny", |case| {
        let device = Device::default();
        let config: AutoencoderTinyConfig =
            serde_json::from_value(case.json["config"].clone()).unwrap();
        let weights = case.weights().within("vae");
        assert_eq!(AutoencoderTinyConfig::of(&weights), Some(config.clone()));
        let model = config.init(&mut Rng::new(0), &device).unwrap();
        let model = load(model, &weights, &config.key_map()).unwrap();
        same(case, "mean", model.encode(case.tensor("image", &device)));
        same(
            case,
            "decoded",
            model.decode(case.tensor("latents", &device)),
        );
    });
    let odd = AutoencoderTinyConfig {
        act_fn: "mish".into(),
        ..AutoencoderTinyConfig::default()
    };
    assert!(odd.check().unwrap_err().contains("`mish`"));
}

#[test]
fn the_autoencoder_in_tiles() {
    each("sd", "vae_tiled", |case| {
        let device = Device::default();
        let config: AutoencoderKlConfig =
            serde_json::from_value(case.json["config"].clone()).unwrap();
        let model = config.init(&mut Rng::new(0), &device);
        let keys = autoencoder_kl::key_map();
        let model = load(model, &case.weights().within("vae"), &keys).unwrap();
        let side = case.usize("config.sample_size");
        let decoded = model.decode_tiled(case.tensor("latents", &device), side / 4);
        same(case, "decoded", decoded);
        let mean = model.encode_tiled(case.tensor("image", &device), side).mean;
        same(case, "mean", mean);
        // What fits into one tile is not cut.
        let image: Tensor<4> = case.tensor("image", &device);
        let whole = model.encode(image.clone()).mean.into_data();
        assert_eq!(model.encode_tiled(image, 72).mean.into_data(), whole);
    });
}

#[test]
fn standardised_latents_are_the_same_pictures() {
    let device = Device::default();
    let config = AutoencoderKlConfig {
        block_out_channels: vec![8, 16],
        layers_per_block: 1,
        norm_num_groups: 4,
        latent_channels: 2,
        ..AutoencoderKlConfig::default()
    };
    let mut rng = Rng::new(3);
    let plain = config.init(&mut rng, &device);
    let image = TensorData::new(rng.normals(3 * 8 * 8), [1, 3, 8, 8]);
    let image: Tensor<4> = Tensor::from_data(image, &device);
    let before = plain.encode(image.clone());
    let other = plain.clone().standardised(&[0.5, -2.0], &[3.0, 0.25]);
    let after = other.encode(image);
    let values = |x: Tensor<4>| x.into_data().try_into_vec::<f32>().unwrap();
    let pairs = values(before.mean.clone())
        .into_iter()
        .zip(values(after.mean.clone()));
    for (at, (old, new)) in pairs.enumerate() {
        let [mean, deviation] = [[0.5, 3.0], [-2.0, 0.25]][at / 16];
        assert!((new - (old - mean) / deviation).abs() < 1e-4, "{old} {new}");
    }
    let spread = |x: Tensor<4>| values((x * 0.5).exp());
    let pairs = spread(before.logvar).into_iter().zip(spread(after.logvar));
    for (at, (old, new)) in pairs.enumerate() {
        assert!((new - old / [3.0, 0.25][at / 16]).abs() < 1e-4 * new);
    }
    let [old, new] = [plain.decode(before.mean), other.decode(after.mean)].map(values);
    assert!(furthest(&old, &new) < 1e-4);
}

#[test]
fn the_image_tower_of_clip() {
    each("diffsensei", "image_encoders_tiny", |case| {
        let device = Device::default();
        let config: ClipVisionConfig =
            serde_json::from_value(case.json["config"]["clip"].clone()).unwrap();
        let model = config.init(&mut Rng::new(0), &device).unwrap();
        let weights = case.weights().within("clip");
        let model = load(model, &weights, &clip_vision::key_map()).unwrap();
        let out = model.forward(case.tensor("pixels", &device)).unwrap();
        same(case, "clip_penultimate", penultimate(&out.hidden_states));
        same(case, "clip_image_embeds", out.image_embeds.unwrap());
    });
}

fn t5(case: &Case, prefix: &str, out: &str) {
    let device = Device::default();
    let config: T5EncoderConfig = serde_json::from_value(case.json["config"].clone()).unwrap();
    let model = config.init(&mut Rng::new(0), &device);
    let keys = t5_encoder::key_map();
    let model = load(model, &case.weights().within(prefix), &keys).unwrap();
    let shape = case.weights().shape("input_ids").unwrap().to_vec();
    let ids = TensorData::new(case.ints("input_ids"), shape.clone());
    let ids: Tensor<2, Int> = Tensor::from_data(ids, &device);
    let mask: Vec<i64> = case.ints("attention_mask");
    let seen = TensorData::new(mask.clone(), shape.clone());
    let seen: Tensor<2, Int> = Tensor::from_data(seen, &device);
    let states = model.forward(ids, seen.not_equal_elem(0));
    // Rows of padding mean nothing.
    let real = TensorData::new(mask.iter().map(|&m| m as f32).collect::<Vec<_>>(), shape);
    let real: Tensor<2> = Tensor::from_data(real, &device);
    let real: Tensor<3> = real.unsqueeze_dim(2);
    let expected: Tensor<3> = case.tensor(out, &device);
    same_as(case, out, states * real.clone(), expected * real);
}

#[test]
fn the_t5_encoder() {
    each("grape", "t5_encoder", |case| {
        t5(case, "t5", "last_hidden_state")
    });
    each("unireal", "t5_encoder_tiny", |case| t5(case, "w", "out"));
}
