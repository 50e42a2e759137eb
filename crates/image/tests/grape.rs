//! GraPE against recorded numbers of the official code: every case of every kind that is there.
#![cfg(feature = "grape")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use base::fixtures::{Case, each, furthest};
use base::rng::Rng;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use engine::diffusion::scheduler::{Scheduler, sample};
use engine::models::pixart::PixArt;
use engine::models::t5_encoder::{self, T5EncoderConfig};
use engine::nn::{Cubify, sinusoid};
use engine::ops;
use engine::weights::{CaseTensor, TensorFile, Weights, load};
use image_systems::grape::pixedit::{self, Caption, EditSettings, LatentEdit};
use image_systems::grape::{Parser, Plan, checkpoint, dsg};
use serde_json::Value;

/// `tolerance.abs + tolerance.rel · |expected|`.
fn near(case: &Case, what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{}: {what}", case.name);
    let of = |key: &str| {
        case.get(&format!("tolerance.{key}"))
            .and_then(Value::as_f64)
    };
    let [abs, rel] = ["abs", "rel"].map(|key| of(key).unwrap_or_default() as f32);
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let room = abs + rel * expected.abs();
        let apart = (found - expected).abs();
        assert!(
            apart <= room,
            "{}: {what} {at} is {found}, not {expected} within {room:e}",
            case.name
        );
    }
    println!(
        "{}: {what} off by {:e}",
        case.name,
        furthest(found, expected)
    );
}

fn same<const D: usize>(case: &Case, what: &str, found: Tensor<D>) {
    let found: Vec<f32> = found.into_data().iter::<f32>().collect();
    near(case, what, &found, &case.values(what));
}

#[test]
fn plan_parser() {
    each("grape", "plan_parser", |case| {
        for given in case.json["cases"].as_array().unwrap() {
            let reply = given["response"].as_str().unwrap();
            let wanted: Vec<String> = serde_json::from_value(given["plan"].clone()).unwrap();
            let found = match Parser::Official.parse(reply).unwrap() {
                Plan::Empty => Vec::new(),
                Plan::Regenerate => vec!["<REGENERATE>".to_owned()],
                Plan::Edit(steps) => steps,
            };
            assert_eq!(found, wanted, "{reply}");
        }
    });
}

#[test]
fn dsg_scores() {
    each("grape", "dsg_scores", |case| {
        for given in case.json["cases"].as_array().unwrap() {
            let answers: BTreeMap<u32, String> =
                serde_json::from_value(given["answers"].clone()).unwrap();
            let answers = answers
                .into_iter()
                .map(|(id, it)| (id, it == "yes"))
                .collect();
            let dependencies = serde_json::from_value(given["dependency"].clone()).unwrap();
            let valid: BTreeMap<u32, bool> =
                serde_json::from_value(given["valid"].clone()).unwrap();
            assert_eq!(dsg::valid(&answers, &dependencies), valid);
            let close = |found: f64, name: &str| {
                let wanted = given[name].as_f64().unwrap();
                assert!(
                    (found - wanted).abs() <= case.tolerance("abs", 1e-9),
                    "{given}"
                );
            };
            close(dsg::score(&answers, None), "score_without_dependency");
            close(
                dsg::score(&answers, Some(&dependencies)),
                "score_with_dependency",
            );
        }
    });
}

fn read(case: &Case, weights: &Weights, device: &Device) -> PixArt {
    let side = case.usize("config.base_size") * case.usize("config.patch_size");
    let sizes = checkpoint::config(weights, case.usize("config.num_heads"), side).unwrap();
    assert_eq!(sizes.num_layers, case.usize("config.depth"));
    assert_eq!(
        sizes.caption_channels,
        case.usize("config.caption_channels")
    );
    checkpoint::read(weights, &sizes, device).unwrap()
}

fn network(case: &Case, device: &Device) -> PixArt {
    read(case, &case.weights().within("model"), device)
}

fn mask(case: &Case, rows: usize) -> Tensor<2, Bool> {
    let mask: Vec<bool> = case.ints("mask").iter().map(|&it| it != 0).collect();
    let keys = mask.len() / rows;
    Tensor::from_data(TensorData::new(mask, [rows, keys]), &Device::flex())
}

#[test]
fn pixedit_forward() {
    each("grape", "pixedit_forward", |case| {
        let device = Device::flex();
        let model = network(case, &device);
        let x: Tensor<4> = case.tensor("x", &device);
        let source: Tensor<4> = case.tensor("z_src", &device);
        let times = case.values("timesteps");
        let caption: Tensor<4> = case.tensor("y", &device);
        let caption: Tensor<3> = caption.squeeze_dim(1);
        let x = Tensor::cat(vec![x, source], 1);
        let [batch, _, height, width] = x.dims();
        let side = case.usize("config.patch_size");
        let mask = mask(case, batch);

        let cut = Cubify { time: 1, side };
        let tokens = model
            .patch_embedding
            .forward(cut.cut(x.clone().unsqueeze_dim(2)));
        same(case, "x_embed", tokens.clone());
        let positions = model.positions(
            height / side,
            width / side,
            case.usize("config.hidden_size"),
            &device,
        );
        same(case, "pos_embed_used", positions.clone());
        let time = model.time.forward(sinusoid(&times, 256, &device));
        same(case, "t_embed", time.clone());
        let projected = model
            .caption_2
            .forward(ops::gelu(model.caption_1.forward(caption.clone())));
        let modulation = model.modulation.forward(time);
        let first = &model.blocks[0];
        let block = first.forward(
            tokens + positions,
            &modulation,
            projected,
            Some(mask.clone()),
        );
        same(case, "block0", block);
        same(case, "out", model.forward(x, &times, caption, Some(mask)));
    });
}

#[test]
fn pixedit_sampler() {
    each("grape", "pixedit_sampler", |case| {
        let device = Device::flex();
        let model = network(case, &device);
        let edit = LatentEdit {
            source: case.tensor("z_src", &device),
            caption: Caption {
                states: case.tensor("cond", &device),
                mask: mask(case, 1),
            },
            null: case.tensor("null", &device),
        };
        let settings = EditSettings {
            steps: case.usize("steps"),
            text_guidance: case.f32("text_guidance"),
            image_guidance: case.f32("image_guidance"),
        };
        let noise: Tensor<4> = case.tensor("noise", &device);
        let (mut states, mut times) = (Vec::new(), Vec::new());
        let mut scheduler = pixedit::scheduler(settings.steps);
        // The last call that the case records belongs to `guided_eps_at_t07`.
        let labels = case.values("model_times");
        let guided = edit.noise(
            &model,
            &settings,
            noise.clone(),
            f64::from(labels[settings.steps]),
        );
        same(case, "guided_eps_at_t07", guided);
        let predict = |x: Tensor<4>, t: f64| {
            states.push(x.clone());
            times.push(t as f32);
            Ok::<_, ()>(edit.noise(&model, &settings, x, t))
        };
        let last = sample(&mut scheduler, noise.clone(), predict, &mut || {
            noise.zeros_like()
        });
        states.push(last.unwrap());
        near(case, "model_times", &times, &labels[..settings.steps]);
        same(case, "intermediates", Tensor::cat(states, 0));
        let whole = edit.sample(&model, &settings, noise, &mut |_, _| true);
        same(case, "final", whole.unwrap());
        let stopped = edit.sample(&model, &settings, edit.source.clone(), &mut |_, _| false);
        assert!(stopped.is_err());

        // The schedule at the case's times: α and σ of clean ones and zero noise.
        let times = case.values("schedule_t");
        let steps = times.len() - 1;
        let scheduler = pixedit::scheduler(steps);
        for (at, ratio) in scheduler.sigmas().iter().enumerate() {
            let log_alpha = -0.5 * (ratio * ratio + 1.0).ln();
            let wanted = |name: &str| f64::from(case.values(name)[steps - at]);
            let room = case.f64("tolerance.abs");
            assert!((log_alpha - wanted("schedule_log_alpha")).abs() < room);
            assert!((ratio * log_alpha.exp() - wanted("schedule_sigma")).abs() < room);
            assert!((-ratio.ln() - wanted("schedule_lambda")).abs() < room);
        }
        assert_eq!(Scheduler::<4>::timesteps(&scheduler).len(), steps);
    });
}

#[test]
fn t5_encoder() {
    each("grape", "t5_encoder", |case| {
        let device = Device::flex();
        let config: T5EncoderConfig = serde_json::from_value(case.json["config"].clone()).unwrap();
        let model = config.init(&mut Rng::new(0), &device);
        let model = load(model, &case.weights().within("t5"), &t5_encoder::key_map()).unwrap();
        let shape = case.weights().shape("input_ids").unwrap().to_vec();
        let ids = TensorData::new(case.ints("input_ids"), shape.clone());
        let ids: Tensor<2, Int> = Tensor::from_data(ids, &device);
        let mask: Tensor<2, Int> =
            Tensor::from_data(TensorData::new(case.ints("attention_mask"), shape), &device);
        // Rows of padding count too: the empty text is seen with the mask of the instruction.
        same(
            case,
            "last_hidden_state",
            model.forward(ids, mask.not_equal_elem(0)),
        );
    });
}

#[test]
fn a_widened_pixart_says_the_same_of_any_source() {
    each("grape", "pixedit_forward", |case| {
        let device = Device::flex();
        let own = case.weights().within("model");
        let [width, channels, side, _]: [usize; 4] = own
            .shape("x_embedder.proj.weight")
            .unwrap()
            .try_into()
            .unwrap();
        // A network without a source: the first half of the patches' channels.
        let mut file = TensorFile::new();
        for name in own.names() {
            let (mut shape, mut values) =
                (own.shape(name).unwrap().to_vec(), own.values(name).unwrap());
            if name == "x_embedder.proj.weight" {
                shape = vec![width, channels / 2, side, side];
                let row = channels * side * side;
                values = values
                    .chunks(row)
                    .flat_map(|it| it[..row / 2].to_vec())
                    .collect();
            }
            file.floats(name, &shape, &values, Default::default())
                .unwrap();
        }
        let narrow = Weights::from_bytes(file.to_bytes()).unwrap();
        let wide = checkpoint::widened(&narrow).unwrap().to_bytes();
        let wide = Weights::from_bytes(wide).unwrap();
        assert!(checkpoint::widened(&wide).is_err());
        let [narrow, wide] = [narrow, wide].map(|it| read(case, &it, &device));
        let x: Tensor<4> = case.tensor("x", &device);
        let caption: Tensor<4> = case.tensor("y", &device);
        let caption: Tensor<3> = caption.squeeze_dim(1);
        let times = case.values("timesteps");
        let both = Tensor::cat(vec![x.clone(), case.tensor("z_src", &device)], 1);
        let apart = narrow.forward(x, &times, caption.clone(), None)
            - wide.forward(both, &times, caption, None);
        assert!(apart.abs().max().into_scalar::<f32>() < 1e-5);
    });
}
