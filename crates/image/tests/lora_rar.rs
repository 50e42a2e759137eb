//! LoRA.rar against numbers of the authors' code, PEFT and diffusers.
#![cfg(feature = "lora-rar")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use base::fixtures::{Case, cases, furthest, report};
use base::tensor_file::TensorFile;
use burn::tensor::{Device, Tensor, activation::silu};
use engine::train::optim::step;
use engine::weights::{Precision, Weights};
use image_systems::lora_rar::distill::{Adapted, Losses, PairLayer, Update, coefficients, losses};
use image_systems::lora_rar::judge::Votes;
use image_systems::lora_rar::ziplora::Mergers;
use image_systems::lora_rar::{
    Coefficients, FactorTensors, Factors, Hypernet, Keep, Layer, LoraFile, Matrix, Merger, Method,
    Network, Rule, Settings, Slot, Weighted, merge_layer, parse, train,
};

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// All cases of a kind; `check` says whether it could run one.
fn each(kind: &str, check: impl Fn(&Case) -> bool) {
    let ran = cases("lora-rar", kind, &committed())
        .iter()
        .filter(|case| check(case))
        .count();
    report("lora-rar", kind, ran);
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap()
}

/// Every value within `abs + rel · |expected|`.
fn close(case: &Case, what: &str, found: &[f32], expected: &[f32], [abs, rel]: [f64; 2]) {
    assert_eq!(found.len(), expected.len(), "{}: {what}", case.name);
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = f64::from((found - expected).abs());
        assert!(
            off <= abs + rel * f64::from(expected.abs()),
            "{}: {what}[{at}] is {found} and not {expected}",
            case.name
        );
    }
}

fn tolerance(case: &Case) -> [f64; 2] {
    [case.f64("tolerance.abs"), case.f64("tolerance.rel")]
}

fn same(case: &Case, what: &str, found: &[f32]) {
    close(case, what, found, &case.values(what), tolerance(case));
}

fn matrix(case: &Case, name: &str) -> Matrix {
    let shape = case.weights().shape(name).unwrap().to_vec();
    Matrix::new(shape[0], shape[1], case.values(name)).unwrap()
}

/// The hypernetwork under `hyper.` in a case, through its file form.
fn hypernet(case: &Case, device: &Device) -> Hypernet {
    let weights = case.weights().within("hyper");
    let net = Hypernet::load(&weights, device).unwrap();
    let bytes = net.file(&[]).unwrap().to_bytes();
    let again = Hypernet::load(&Weights::from_bytes(bytes).unwrap(), device).unwrap();
    for name in weights.names() {
        let written = Weights::from_bytes(again.file(&[]).unwrap().to_bytes()).unwrap();
        assert_eq!(written.values(name).unwrap(), weights.values(name).unwrap());
    }
    again
}

#[test]
fn hypernet_forward() {
    let device = Device::flex();
    each("hypernet_forward", |case| {
        let net = hypernet(case, &device);
        let inputs: Vec<&str> = case
            .weights()
            .names()
            .filter(|name| name.starts_with("x_"))
            .collect();
        assert!(!inputs.is_empty());
        for name in inputs {
            let x = matrix(case, name).tensor(&device);
            let found = net.forward(x).unwrap();
            same(case, &name.replacen('x', "y", 1), &values(found));
        }
        true
    });
}

#[test]
fn merged_layer() {
    let device = Device::flex();
    let hypers = cases("lora-rar", "hypernet_forward", &committed());
    each("merged_layer", |case| {
        // The network is that of the case beside it.
        let own = case.weights().contains("hyper.output.1.weight");
        let Some(of) = (if own { Some(case) } else { hypers.first() }) else {
            return false;
        };
        let merger = Merger {
            network: hypernet(of, &device),
            effective: false,
        };
        let settings = Settings {
            method: Method::Rar,
            strengths: [1.0, 1.0],
            density: 1.0,
        };
        for (name, layer) in case.json["layers"].as_object().unwrap() {
            let at = |part: &str| format!("{name}.{part}");
            let factors = |side: &str| {
                Factors::new(
                    matrix(case, &at(&format!("{side}.down"))),
                    matrix(case, &at(&format!("{side}.up"))),
                )
            };
            let [content, style] = [factors("content"), factors("style")];
            assert_eq!(content.rank() as u64, layer["rank"].as_u64().unwrap());
            let part = layer["part"].as_str().unwrap();
            let asked = Layer {
                network: Network::Unet,
                module: format!("mid_block.attentions.0.transformer_blocks.0.attn1.{part}"),
            }
            .is_merged_by_network();
            assert_eq!(asked, layer["uses_hypernetwork"].as_bool().unwrap());
            let pair = PairLayer {
                content: FactorTensors::raw(&content, &device),
                style: FactorTensors::raw(&style, &device),
                asked,
            };
            let found = coefficients(&merger.network, std::slice::from_ref(&pair))
                .unwrap()
                .remove(0);
            same(case, &at("merger_content"), &values(found.content.clone()));
            same(case, &at("merger_style"), &values(found.style.clone()));
            same(case, &at("abs_cos"), &values(found.similarity()));

            let sides = [Some(&content), Some(&style)];
            let mut rng = base::rng::Rng::new(0);
            let merged =
                merge_layer(name, sides, &settings, asked.then_some(&merger), &mut rng).unwrap();
            let update = merged.factors.update();
            assert_eq!(merged.factors.rank(), content.rank() + style.rank());
            let wanted = case.values(&at("merged_rows_0_4"));
            let tolerance = tolerance(case);
            close(
                case,
                &at("merged rows"),
                &update.values[..wanted.len()],
                &wanted,
                tolerance,
            );
            close(
                case,
                &at("norm"),
                &[update.norm() as f32],
                &case.values(&at("merged_fro")),
                tolerance,
            );
            close(
                case,
                &at("norm by factors"),
                &[merged.factors.norm() as f32],
                &case.values(&at("merged_fro")),
                tolerance,
            );

            let x = case.values(&at("x"));
            let x = Matrix::new(x.len() / update.columns, update.columns, x)
                .unwrap()
                .tensor(&device);
            same(
                case,
                &at("y_merged"),
                &values(Update::Merged(&pair, &found).apply(x.clone())),
            );
            same(
                case,
                &at("y_content"),
                &values(Update::Single(&pair.content).apply(x.clone())),
            );
            same(
                case,
                &at("y_style"),
                &values(Update::Single(&pair.style).apply(x)),
            );
        }
        true
    });
}

/// The toy networks of the recorded trainings.
struct Chain {
    /// Base weights; none for `h + update`, through tanh.
    bases: Option<Vec<Tensor<2>>>,
}

impl Adapted for Chain {
    type Input = Tensor<2>;

    fn predict(&self, input: &Tensor<2>, updates: &[Update]) -> Tensor<2> {
        let mut h = input.clone();
        for (at, update) in updates.iter().enumerate() {
            let changed = update.apply(h.clone());
            h = match &self.bases {
                None => (h + changed).tanh(),
                Some(bases) => silu(h.matmul(bases[at].clone().transpose()) + changed),
            };
        }
        h
    }
}

fn pair(case: &Case, asked: bool, device: &Device) -> Vec<PairLayer> {
    let side = |at: usize, side: &str| {
        let factor = |name: &str| matrix(case, &format!("layer{at}.{side}.{name}"));
        FactorTensors::raw(&Factors::new(factor("down"), factor("up")), device)
    };
    let there = |at: &usize| case.weights().contains(&format!("layer{at}.content.down"));
    (0..)
        .take_while(there)
        .map(|at| PairLayer {
            content: side(at, "content"),
            style: side(at, "style"),
            asked,
        })
        .collect()
}

fn history(case: &Case, at: usize, found: &Losses) {
    let row = [
        &found.content,
        &found.style,
        &found.similarity,
        &found.total(),
    ];
    let row = row.map(|term| values(term.clone())[0]);
    let expected = &case.values("loss_history")[4 * at..][..4];
    let name = format!("losses of step {at}");
    close(case, &name, &row, expected, tolerance(case));
}

/// Learning rate and clip, as written in a case's words.
const RATE: f64 = 0.01;
const CLIP: f64 = 1.0;

#[test]
fn hypernet_training_step() {
    let device = Device::flex().autodiff();
    each("hypernet_training_step", |case| {
        let mut net = hypernet(case, &device);
        let pair = pair(case, true, &device);
        let inputs = ["x_content", "x_style"].map(|name| matrix(case, name).tensor(&device));
        let mut optimizer = train::optimizer().init();
        for at in 0..case.usize("steps") {
            let m = coefficients(&net, &pair).unwrap();
            let chain = Chain { bases: None };
            let found = losses(
                &chain,
                [&inputs[0], &inputs[1]],
                &pair,
                &m,
                case.f64("similarity_lambda"),
            );
            history(case, at, &found);
            let mut gradients = found.total().backward();
            let again = || {
                let m = coefficients(&net, &pair).unwrap();
                losses(
                    &chain,
                    [&inputs[0], &inputs[1]],
                    &pair,
                    &m,
                    case.f64("similarity_lambda"),
                )
            };
            if at == 0 {
                let mut of =
                    |path: &str| engine::weights::gradient(&net, path, &mut gradients).unwrap();
                let rows = of("inputs.0.weight");
                let wanted = case.values("grad.input_1.weight_rows_0_3");
                let all = [
                    rows.clone(),
                    of("inputs.0.bias"),
                    of("output.weight"),
                    of("output.bias"),
                ];
                close(
                    case,
                    "gradient of input_1.weight",
                    &rows[..wanted.len()],
                    &wanted,
                    tolerance(case),
                );
                same(case, "grad.input_1.bias", &all[1]);
                same(case, "grad.output.1.weight", &all[2]);
                same(case, "grad.output.1.bias", &all[3]);
                let squares = all.iter().flatten().map(|value| f64::from(*value).powi(2));
                same(case, "grad_norm", &[squares.sum::<f64>().sqrt() as f32]);
                gradients = again().total().backward();
            }
            (net, _) = step(net, gradients, optimizer.as_mut(), RATE, Some(CLIP));
        }
        let loose = [case.f64("tolerance.after_abs"), case.f64("tolerance.rel")];
        let written = Weights::from_bytes(net.file(&[]).unwrap().to_bytes()).unwrap();
        for name in ["output.1.weight", "output.1.bias"] {
            let expected = case.values(&format!("after.{name}"));
            close(case, name, &written.values(name).unwrap(), &expected, loose);
        }
        true
    });
}

#[test]
fn ziplora_optimise() {
    let device = Device::flex().autodiff();
    each("ziplora_optimise", |case| {
        let pair = pair(case, false, &device);
        assert_eq!(pair.len(), case.json["layers"].as_array().unwrap().len());
        let base = |at: usize| matrix(case, &format!("layer{at}.base")).tensor(&device);
        let chain = Chain {
            bases: Some((0..pair.len()).map(base).collect()),
        };
        let inputs = ["x_content", "x_style"].map(|name| matrix(case, name).tensor(&device));
        let alone = |of: fn(&PairLayer) -> &FactorTensors| -> Vec<Update> {
            pair.iter().map(|layer| Update::Single(of(layer))).collect()
        };
        let [content, style] = [alone(|it| &it.content), alone(|it| &it.style)];
        same(
            case,
            "target_content",
            &values(chain.predict(&inputs[0], &content)),
        );
        same(
            case,
            "target_style",
            &values(chain.predict(&inputs[1], &style)),
        );
        let columns: Vec<usize> = pair
            .iter()
            .map(|layer| layer.content.down.dims()[1])
            .collect();
        let mut mergers = Mergers::new(&columns, &device);
        let mut optimizer = train::optimizer().init();
        for at in 0..case.usize("steps") {
            let m = mergers.coefficients();
            let found = losses(
                &chain,
                [&inputs[0], &inputs[1]],
                &pair,
                &m,
                case.f64("similarity_lambda"),
            );
            history(case, at, &found);
            let mut gradients = found.total().backward();
            let again = || {
                let m = mergers.coefficients();
                losses(
                    &chain,
                    [&inputs[0], &inputs[1]],
                    &pair,
                    &m,
                    case.f64("similarity_lambda"),
                )
            };
            if at == 0 {
                for layer in 0..pair.len() {
                    for side in ["content", "style"] {
                        let path = format!("{side}.{layer}");
                        let found =
                            engine::weights::gradient(&mergers, &path, &mut gradients).unwrap();
                        same(case, &format!("layer{layer}.grad_{side}"), &found);
                    }
                }
                gradients = again().total().backward();
            }
            (mergers, _) = step(mergers, gradients, optimizer.as_mut(), RATE, Some(CLIP));
        }
        for (layer, found) in mergers.coefficients().into_iter().enumerate() {
            let Coefficients { content, style } = found;
            same(
                case,
                &format!("layer{layer}.merger_content_after"),
                &values(content),
            );
            same(
                case,
                &format!("layer{layer}.merger_style_after"),
                &values(style),
            );
        }
        true
    });
}

/// Masks as recorded, in the order in which they were drawn.
struct Recorded(std::vec::IntoIter<Vec<bool>>);

impl Keep for Recorded {
    fn keep(&mut self, count: usize, _: f64) -> Vec<bool> {
        let mask = self.0.next().expect("a recorded mask");
        assert_eq!(mask.len(), count);
        mask
    }
}

#[test]
fn baseline_merges() {
    each("baseline_merges", |case| {
        let factors = |name: &str| Factors {
            alpha: Some(case.f32(&format!("alpha.{name}"))),
            ..Factors::new(
                matrix(case, &format!("{name}.lora_A")),
                matrix(case, &format!("{name}.lora_B")),
            )
        };
        let all = case.json["cases"].as_array().unwrap();
        for (at, entry) in all.iter().enumerate() {
            let field = |name: &str| format!("cases.{at}.{name}");
            let (name, kind) = (case.str(&field("name")), case.str(&field("type")));
            let adapters: Vec<Factors> = entry["adapters"]
                .as_array()
                .unwrap()
                .iter()
                .map(|adapter| factors(adapter.as_str().unwrap()))
                .collect();
            let weights = case.numbers(&field("weights"));
            let pair = [&adapters[0], &adapters[1]];
            let masks: Vec<Vec<bool>> = (0..case.usize(&field("masks")))
                .map(|at| {
                    case.ints(&format!("{name}.mask{at}"))
                        .iter()
                        .map(|bit| *bit != 0)
                        .collect()
                })
                .collect();
            let mut masks = Recorded(masks.into_iter());
            let rule = match kind.trim_end_matches("_svd") {
                "linear" | "svd" | "cat" => Rule::Linear,
                "ties" => Rule::Ties,
                "dare_linear" => Rule::DareLinear,
                "dare_ties" => Rule::DareTies,
                "magnitude_prune" => Rule::MagnitudePrune,
                other => panic!("{other}"),
            };
            let weighted = Weighted {
                rule,
                weights: [weights[0] as f32, weights[1] as f32],
                density: entry["density"].as_f64().unwrap_or(1.0),
            };
            let merged = match kind {
                "cat" => {
                    let settings = Settings {
                        method: Method::Direct,
                        strengths: weighted.weights,
                        density: 1.0,
                    };
                    let mut rng = base::rng::Rng::new(0);
                    merge_layer(name, pair.map(Some), &settings, None, &mut rng)
                        .unwrap()
                        .factors
                }
                _ if kind.ends_with("svd") => weighted.update(pair, &mut masks),
                _ => weighted.factors(pair, &mut masks).unwrap(),
            };
            assert!(masks.0.next().is_none(), "{name}: masks are left");
            assert_eq!(merged.rank(), case.usize(&field("merged_rank")), "{name}");
            assert_eq!(
                f64::from(merged.scale()),
                case.f64(&field("merged_scaling"))
            );
            same(case, &format!("{name}.delta"), &merged.update().values);
            if !kind.ends_with("svd") {
                same(case, &format!("{name}.lora_A"), &merged.down.values);
                same(case, &format!("{name}.lora_B"), &merged.up.values);
            }
        }
        assert_eq!((case.usize("out_features"), case.usize("in_features")), {
            let update = factors("a").update();
            (update.rows, update.columns)
        });
        true
    });
}

#[test]
fn mllm_vote() {
    each("mllm_vote", |case| {
        for entry in case.json["cases"].as_array().unwrap() {
            let answers = |key: &str| serde_json::from_value(entry[key].clone()).unwrap();
            let votes = Votes {
                subject: answers("subject_answers"),
                style: answers("style_answers"),
            };
            let expected = ["subject_correct", "style_correct", "both"].map(|key| entry[key] == 1);
            assert_eq!(votes.verdicts(), expected, "{entry}");
        }
        true
    });
}

/// The published networks, where `ORRERY_LORA_RAR` names a folder that has them.
#[test]
fn official_checkpoints() {
    let device = Device::flex();
    each("official_checkpoints", |case| {
        let Some(folder) = std::env::var_os("ORRERY_LORA_RAR").map(PathBuf::from) else {
            return false;
        };
        for (name, file) in case.json["files"].as_object().unwrap() {
            let path = folder.join(name);
            let print = image_systems::lora_rar::pipeline::fingerprint(&path).unwrap();
            assert_eq!(print, file["sha256"].as_str().unwrap());
            let weights = Weights::open(&path).unwrap();
            for (key, sum) in file["weight_sums"].as_object().unwrap() {
                let found: f64 = weights.doubles(key).unwrap().iter().sum();
                assert!(
                    (found - sum.as_f64().unwrap()).abs() < 1e-3,
                    "{name}: {key}"
                );
            }
            let net = Hypernet::load(&weights, &device).unwrap();
            assert_eq!(net.parameters(), 492_034);
            for (input, output, factor) in [
                ("x_640", "y_640", 1.0),
                ("x_640", "y_640_scaled100", 100.0),
                ("x_1280", "y_1280", 1.0),
            ] {
                let x = matrix(case, input).tensor(&device) * factor;
                same(
                    case,
                    &format!("{name}.{output}"),
                    &values(net.forward(x).unwrap()),
                );
            }
        }
        true
    });
}

/// The names of every format, and files of each; the U-Net's outputs are checked with the U-Net.
#[test]
fn sdxl_unet_lora_names_and_files() {
    each("sdxl_unet_lora", |case| {
        let folder = tempfile::tempdir().unwrap();
        let forms = [
            "legacy_double_unet",
            "legacy",
            "peft",
            "kohya_diffusers",
            "kohya_sgm",
        ];
        let alpha = case.f32("lora.alpha");
        for form in forms {
            let mut file = TensorFile::new();
            let mut wanted = Vec::new();
            for entry in case.json["key_names"].as_array().unwrap() {
                let module = entry["module"].as_str().unwrap();
                let suffixes = entry["kohya_suffixes"].as_array().unwrap();
                let names: Vec<String> = match &entry[form] {
                    serde_json::Value::String(stem) => suffixes
                        .iter()
                        .map(|end| format!("{stem}{}", end.as_str().unwrap()))
                        .collect(),
                    names => serde_json::from_value(names.clone()).unwrap(),
                };
                for (name, slot) in names.iter().zip([Slot::Down, Slot::Up, Slot::Alpha]) {
                    let (layer, found, _) = parse(name).unwrap();
                    assert_eq!((layer.module.as_str(), found), (module, slot), "{name}");
                }
                let [a, b] = ["A", "B"].map(|side| matrix(case, &format!("lora.{module}.{side}")));
                for (name, it) in names.iter().zip([&a, &b]) {
                    file.floats(name, &[it.rows, it.columns], &it.values, Precision::F32)
                        .unwrap();
                }
                if let Some(name) = names.get(2) {
                    file.floats(name, &[], &[alpha], Precision::F32).unwrap();
                }
                wanted.push((module, a, b, names.len() > 2));
            }
            let path = folder.path().join(format!("{form}.safetensors"));
            file.write(&path).unwrap();
            let lora = LoraFile::open(&path).unwrap();
            assert_eq!(lora.layers().count(), wanted.len());
            for (module, a, b, has_alpha) in wanted {
                let layer = Layer {
                    network: Network::Unet,
                    module: module.into(),
                };
                let factors = lora.factors(&layer).unwrap().unwrap();
                assert_eq!(factors.rank(), case.usize("lora.rank"));
                assert_eq!(factors.alpha, has_alpha.then_some(alpha));
                assert_eq!(furthest(&factors.down.values, &a.values), 0.0);
                assert_eq!(furthest(&factors.up.values, &b.values), 0.0);
                let scale = if has_alpha {
                    alpha / factors.rank() as f32
                } else {
                    1.0
                };
                let by_hand = b.times(&a).map(|value| value * scale);
                assert!(furthest(&factors.update().values, &by_hand.values) < 1e-6);
            }
        }
        true
    });
}
