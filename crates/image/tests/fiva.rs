//! FiVA against numbers of the authors' code, diffusers and transformers.
#![cfg(feature = "fiva")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use base::fixtures::{Case, cases, report};
use base::media::Image;
use base::rng::Rng;
use burn::tensor::{Device, Tensor};
use engine::models::qformer::{self, QFormerConfig};
use engine::models::unet2d::{self, AddedConditions, Unet2d, Unet2dConfig, UnetConditions};
use engine::nn::{CrossAttention, Linear};
use engine::weights::{CaseTensor, KeyMap, Precision, Weights, load};
use image_systems::fiva::judge::Verdict;
use image_systems::fiva::preprocess::pixel_values;
use image_systems::fiva::range::{Node, ranges};
use image_systems::fiva::{Adapter, Branch, Padding, Projector, TagTokenizer, checkpoint, places};
use serde_json::Value;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn each(kind: &str, check: impl Fn(&Case)) {
    let cases = cases("fiva", kind, &committed());
    cases.iter().for_each(check);
    report("fiva", kind, cases.len());
}

fn device() -> Device {
    Device::flex()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap()
}

/// Every value within `abs + rel · |expected|` of the case.
fn close(case: &Case, what: &str, found: &[f32]) {
    let expected = case.values(what);
    assert_eq!(found.len(), expected.len(), "{}: {what}", case.name);
    let abs = case.f64("tolerance.abs");
    let rel = case
        .get("tolerance.rel")
        .map_or(0.0, |it| it.as_f64().unwrap());
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let off = f64::from((found - expected).abs());
        let room = abs + rel * f64::from(expected.abs());
        assert!(
            off <= room,
            "{}: {what}[{at}] is {found} and not {expected}",
            case.name
        );
    }
}

fn same<const D: usize>(case: &Case, what: &str, found: Tensor<D>) {
    assert_eq!(case.weights().shape(what).unwrap(), found.dims(), "{what}");
    close(case, what, &values(found));
}

fn texts(case: &Case) -> Vec<Vec<u32>> {
    let shape = case.weights().shape("input_ids").unwrap().to_vec();
    let [ids, mask] = ["input_ids", "attention_mask"].map(|name| case.ints(name));
    let rows = ids.chunks(shape[1]).zip(mask.chunks(shape[1]));
    rows.map(|(ids, mask)| {
        let kept = ids.iter().zip(mask).filter(|(_, seen)| **seen != 0);
        kept.map(|(id, _)| *id as u32).collect()
    })
    .collect()
}

fn config_of(case: &Case) -> QFormerConfig {
    let field = |name: &str| case.json[name].clone();
    QFormerConfig {
        vision_config: serde_json::from_value(field("vision_config")).unwrap(),
        qformer_config: serde_json::from_value(field("qformer_config")).unwrap(),
        num_query_tokens: case.usize("num_query_tokens"),
    }
}

#[test]
fn qformer() {
    each("qformer", |case| {
        let config = config_of(case);
        let weights = case.weights().within("qformer");
        let network = config.init(&mut Rng::new(0), &device()).unwrap();
        let network = load(network, &weights, &qformer::key_map()).unwrap();
        let seen = network.see(case.tensor("pixel_values", &device())).unwrap();
        same(case, "vision_last_hidden", seen.clone());
        let texts = texts(case);
        let out = network.read(&seen, &texts).unwrap();
        // What is filled up is seen by nobody, and what stands there is not compared.
        let shape = out.embedded.dims();
        let there = |row: usize, at: usize| at < config.num_query_tokens + texts[row].len();
        let known = |what: &str, found: Tensor<3>| {
            let expected = case.values(what);
            let mut found = values(found);
            for row in 0..shape[0] {
                for at in (0..shape[1]).filter(|at| !there(row, *at)) {
                    let from = (row * shape[1] + at) * shape[2];
                    let place = from..from + shape[2];
                    found[place.clone()].copy_from_slice(&expected[place]);
                }
            }
            close(case, what, &found);
        };
        known("embedding_output", out.embedded.clone());
        known("layer0_output", out.states[0].clone());
        known("encoder_output", out.states.last().unwrap().clone());
        same(case, "out", out.features.clone());
        // A reference does not depend on the length of another one's text.
        for (row, text) in texts.iter().enumerate() {
            let alone = network
                .read(&seen.clone().narrow(0, row, 1), std::slice::from_ref(text))
                .unwrap();
            let [alone, beside] =
                [alone.features, out.features.clone().narrow(0, row, 1)].map(values);
            let off = base::fixtures::furthest(&alone, &beside);
            assert!(off < 1e-5, "{}: row {row} is off by {off}", case.name);
        }
        // Sizes are read off the weights, but for heads; the file that is written is the one that was read.
        let found = checkpoint::qformer_config(&weights, None, Path::new("nowhere")).unwrap();
        assert_eq!(found.num_query_tokens, config.num_query_tokens);
        assert_eq!(
            found.vision_config.image_size,
            config.vision_config.image_size
        );
        assert_eq!(
            found
                .qformer_config
                .cross_attention_frequency
                .min(config.qformer_config.num_hidden_layers),
            config
                .qformer_config
                .cross_attention_frequency
                .min(config.qformer_config.num_hidden_layers)
        );
        let file = checkpoint::qformer_tensors(&network, Precision::F16).unwrap();
        let again = Weights::from_bytes(file.to_bytes()).unwrap();
        for name in weights
            .names()
            .filter(|name| !name.ends_with("position_ids"))
        {
            assert_eq!(again.shape(name), weights.shape(name), "{name}");
            assert_eq!(
                again.values(name).unwrap(),
                weights.values(name).unwrap(),
                "{name}"
            );
        }
    });
}

fn unet(case: &Case) -> Unet2d {
    let config: Unet2dConfig = serde_json::from_value(case.json["config"].clone()).unwrap();
    let network = config.init(&mut Rng::new(0), &device()).unwrap();
    load(network, &case.weights().within("unet"), &unet2d::key_map()).unwrap()
}

#[test]
fn adapter_unet() {
    each("adapter_unet", |case| {
        let device = device();
        let unet = unet(case);
        // Places are counted as the file counts them.
        let recorded = case.json["ip_layer_index_to_processor"]
            .as_object()
            .unwrap();
        let found = places(&unet);
        assert_eq!(found.len(), recorded.len());
        for place in &found {
            let name = format!("{}.processor", place.name);
            assert_eq!(recorded[&place.index.to_string()], Value::from(name));
        }
        let adapter = Adapter::read(&adapter_weights(case), &unet, &device).unwrap();
        let features: Tensor<3> = case.tensor("qformer_features", &device);
        let references = features.dims()[0];
        let slots = case.usize("max_references");
        let filled = |at: usize, of: usize| (at < of).then_some(at);
        let full: Vec<Option<usize>> = (0..slots).map(|at| filled(at, references)).collect();
        let project = |features: &Tensor<3>, order: Vec<Option<usize>>| {
            adapter.image_proj.slots(features.clone(), &[order])
        };
        same(case, "tokens_two_refs", project(&features, full));
        same(case, "uncond_tokens", project(&features, vec![None; slots]));
        // One reference as the published code has it: a slot is missing.
        let one = features.clone().narrow(0, 0, 1);
        let few = Padding::Published.slots(1);
        let order: Vec<Option<usize>> = (0..few).map(|at| filled(at, 1)).collect();
        same(case, "tokens_one_ref", project(&one, order));
        same(
            case,
            "uncond_tokens_one_ref",
            project(&one, vec![None; few]),
        );

        let rows = |name: &str| case.tensor::<2>(name, &device);
        let context: Tensor<3> = case.tensor("text_context", &device);
        let times: Vec<f64> = case.ints("timestep").iter().map(|&t| t as f64).collect();
        let noises: Vec<&str> = case
            .weights()
            .names()
            .filter(|it| it.starts_with("noise_"))
            .collect();
        assert!(!noises.is_empty());
        for name in noises {
            let (kind, scale) = name.rsplit_once("scale").unwrap();
            let scale: f32 = match scale.strip_prefix('0') {
                Some(after) if !after.is_empty() => format!("0.{after}").parse().unwrap(),
                _ => scale.parse().unwrap(),
            };
            let tokens = match kind {
                "noise_uncond_tokens_" => "uncond_tokens",
                _ => "tokens_two_refs",
            };
            let tokens: Tensor<3> = case.tensor(tokens, &device);
            let mut hooks = adapter.hooks(tokens.dims()[1], scale);
            let conditions = UnetConditions {
                context: Tensor::cat(vec![context.clone(), tokens], 1),
                added: Some(AddedConditions {
                    text_embeds: rows("text_embeds"),
                    time_ids: rows("time_ids"),
                }),
                guidance: None,
            };
            let x: Tensor<4> = case.tensor("x", &device);
            same(case, name, unet.forward(x, &times, &conditions, &mut hooks));
        }
        // The file that is written is the one that was read, and a fresh adapter begins as the text's keys and values.
        let bytes = adapter.file(&unet, Precision::F16).unwrap().to_bytes();
        let again = Weights::from_bytes(bytes).unwrap();
        for name in adapter_weights(case).names() {
            assert_eq!(again.values(name).unwrap(), case.values(name), "{name}");
        }
        let width = features.dims()[2];
        let fresh = Adapter::new(&unet, width, &mut Rng::new(1), &device).unwrap();
        let written =
            Weights::from_bytes(fresh.file(&unet, Precision::F16).unwrap().to_bytes()).unwrap();
        for place in &found {
            for part in ["k", "v"] {
                let own =
                    written.values(&format!("ip_adapter.{}.to_{part}_ip.weight", place.index));
                let text = case.values(&format!("unet.{}.to_{part}.weight", place.name));
                assert_eq!(own.unwrap(), text);
            }
        }
    });
}

/// The adapter file of a case.
fn adapter_weights(case: &Case) -> Weights {
    use engine::weights::View;
    let names = case.weights().names();
    let own = names.filter(|it| it.starts_with("image_proj.") || it.starts_with("ip_adapter."));
    case.weights()
        .viewed(own.map(|name| View::whole(name, name)))
}

#[test]
fn ip_attention() {
    each("ip_attention", |case| {
        let device = device();
        let weights = case.weights().within("attn");
        let [width, context] =
            ["to_q.weight", "to_k.weight"].map(|name| weights.shape(name).unwrap()[1]);
        let layer = CrossAttention::new(
            width,
            context,
            case.usize("heads"),
            &mut Rng::new(0),
            &device,
        );
        let keys = KeyMap::new().rename("to_out.0", "to_out");
        let layer = load(layer, &weights, &keys).unwrap();
        let own = |name: &str| {
            let weight = case.tensor(&format!("ip.{name}.weight"), &device);
            Linear::new(burn::module::Param::from_tensor(weight), None)
        };
        let branch = Branch {
            to_k_ip: own("to_k_ip"),
            to_v_ip: own("to_v_ip"),
        };
        let [x, context]: [Tensor<3>; 2] = ["x", "context"].map(|name| case.tensor(name, &device));
        let count = case.usize("num_tokens");
        let scale = case.f32("scale");
        let out = branch.decoupled(&layer, x.clone(), context.clone(), count, scale, None);
        same(case, "out", out.clone());
        // Strengths of 1 change nothing; of 0, only the text is left.
        let weights = |value: f32| Tensor::<4>::full([1, count, 1, 1], value, &device);
        let [ones, zeros] = [1.0, 0.0].map(|value| {
            let weights = weights(value);
            let scaled = branch.decoupled(
                &layer,
                x.clone(),
                context.clone(),
                count,
                scale,
                Some(&weights),
            );
            values(scaled)
        });
        assert_eq!(ones, values(out));
        let text = branch.decoupled(&layer, x.clone(), context.clone(), count, 0.0, None);
        assert_eq!(zeros, values(text));
        let [_, all, _] = context.dims();
        let probabilities = branch.probabilities(&layer, x, context.narrow(1, all - count, count));
        close(case, "ip_attention_probs", &values(probabilities));
    });
}

#[test]
fn preprocess() {
    each("preprocess", |case| {
        let shape = case.weights().shape("image").unwrap().to_vec();
        let pixels = case.weights().bytes("image").unwrap().to_vec();
        let picture = Image::new(shape[1] as u32, shape[0] as u32, pixels).unwrap();
        let numbers = |name: &str| -> [f32; 3] {
            let numbers = case.numbers(name);
            [0, 1, 2].map(|at| numbers[at] as f32)
        };
        let norm = [numbers("mean"), numbers("std")];
        for (name, first) in [("pixel_values", None), ("pixel_values_via_512", Some(512))] {
            let Some(shape) = case.weights().shape(name) else {
                continue;
            };
            assert_eq!(shape[1], shape[2]);
            let found = pixel_values(&picture, shape[1] as u32, first, norm);
            close(case, name, &found);
        }
    });
}

#[test]
fn tokenizer() {
    each("tokenizer", |case| {
        let pieces: Vec<String> = serde_json::from_value(case.json["vocab"].clone()).unwrap();
        // Added behind the vocabulary, as its id says.
        let mut all = pieces.clone();
        assert_eq!(all.len(), case.usize("dec_token_id"));
        all.push("[DEC]".into());
        for pieces in [&pieces, &all] {
            let tokenizer = TagTokenizer::from_pieces(pieces).unwrap();
            for line in case.json["cases"].as_array().unwrap() {
                let ids: Vec<u32> = serde_json::from_value(line["ids"].clone()).unwrap();
                let text = line["text"].as_str().unwrap();
                assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text}");
            }
        }
    });
}

#[test]
fn range_filter() {
    each("range_filter", |case| {
        for (number, line) in case.json["cases"].as_array().unwrap().iter().enumerate() {
            let tree = line["tree"].as_object().unwrap();
            let mut tree: Vec<(String, Vec<String>)> = tree
                .iter()
                .map(|(major, subs)| (major.clone(), serde_json::from_value(subs.clone()).unwrap()))
                .collect();
            // JSON objects have no order here; names that end in numbers are in theirs.
            tree.sort_by_key(|(name, _)| (name.len(), name.clone()));
            let mut asked = Vec::new();
            let found = ranges(&tree, case.usize("grid"), case.f64("threshold"), |node| {
                asked.push(node.clone());
                let name = match node {
                    Node::Major(name) => name,
                    Node::Set(_) => "set",
                    Node::Sub(_, name) => name,
                };
                serde_json::from_value(line["votes"][name].clone())
            })
            .unwrap();
            let lists = |name: &str| line[name].clone();
            assert_eq!(
                serde_json::to_value(&found.ranges).unwrap(),
                lists("ranges"),
                "case {number}"
            );
            assert_eq!(
                serde_json::to_value(&found.dropped).unwrap(),
                lists("dropped"),
                "case {number}"
            );
            // Nothing is asked twice, and single subjects only under majors that failed.
            let mut once = asked.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), asked.len());
        }
    });
}

#[test]
fn judge_parse() {
    each("judge_parse", |case| {
        for line in case.json["cases"].as_array().unwrap() {
            let found = Verdict::parse(line["reply"].as_str().unwrap());
            let list = |name: &str| -> Option<Vec<usize>> {
                serde_json::from_value(line[name].clone()).unwrap()
            };
            assert_eq!(
                found.as_ref().map(|it| it.subject.clone()),
                list("subject"),
                "{line}"
            );
            assert_eq!(
                found.as_ref().map(|it| it.attribute.clone()),
                list("attribute"),
                "{line}"
            );
            assert_eq!(
                found.map(|it| it.both()),
                list("attr_and_subject"),
                "{line}"
            );
        }
    });
}

#[test]
fn projector_of_several_tokens_a_query() {
    let device = device();
    let projector = Projector::new(6, 4, 2, &mut Rng::new(3), &device);
    let features = Tensor::<3>::ones([1, 5, 6], &device);
    assert_eq!(projector.forward(features).dims(), [1, 10, 4]);
}
