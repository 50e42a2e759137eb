//! HyperFL against recorded numbers of the official code and of the libraries it uses: every case of every kind that is there.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use base::fixtures::{Case, cases, report};
use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights};
use learning::hyperfl::attack::{
    Cost, Guess, InvertConfig, Observation, SingleGradient, Unrolled, invert, recover_label,
    total_variation,
};
use learning::hyperfl::flower::{Object, Scalar};
use learning::hyperfl::lpm::{LpmResnet, LpmVit, ResnetConfig, VitConfig};
use learning::hyperfl::metrics::{Window, psnr, ssim};
use learning::hyperfl::partition::{LabelSplit, emnist_groups, ten_class_groups};
use learning::hyperfl::{
    Batch, HyperModel, Init, Layout, LocalConfig, Model, Network, Noise, SAMPLE_CLIP, Samples,
    Step, Targets, centaur_update, dp_fedavg_update, fedavg_update, hyperfl_update,
    noise_multiplier, ppsgd_update, weighted_mean,
};
use serde_json::Value;

fn committed() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn all(kind: &str) -> Vec<Case> {
    let all = cases("hyperfl", kind, committed());
    report("hyperfl", kind, all.len());
    all
}

/// The number that follows `word` in the case's tolerance, such as `rtol 2e-4`.
fn tolerance(case: &Case, word: &str, default: f64) -> f64 {
    let text = case.get("tolerance").and_then(Value::as_str).unwrap_or("");
    let mut words = text
        .split([' ', ',', ';'])
        .skip_while(|found| *found != word);
    words
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or(default)
}

/// Asserts `|found − expected| ≤ atol + rtol · |expected|` everywhere.
fn close(case: &Case, what: &str, found: &[f32], expected: &[f32], [rtol, atol]: [f64; 2]) {
    assert_eq!(found.len(), expected.len(), "{}: {what}", case.name);
    let mut worst: f64 = 0.0;
    for (at, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let (found, expected) = (f64::from(found), f64::from(expected));
        let off = (found - expected).abs();
        assert!(
            off <= atol + rtol * expected.abs(),
            "{}: {what}[{at}] is {found}, not {expected}",
            case.name
        );
        worst = worst.max(off);
    }
    println!("{}: {what} off by at most {worst:e}", case.name);
}

fn near(case: &Case, what: &str, found: f64, expected: f64, rtol: f64) {
    assert!(
        (found - expected).abs() <= rtol * expected.abs(),
        "{}: {what} is {found}, not {expected}",
        case.name
    );
}

/// The sum, and the sum of absolute values, against `[sum, sum of absolute values]`; sums of large lists are compared on the
/// scale of the second.
fn sums(case: &Case, what: &str, values: &[f32], expected: &[f64], rtol: f64) {
    let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
    let size: f64 = values.iter().map(|&value| f64::from(value.abs())).sum();
    near(case, what, size, expected[1], rtol);
    assert!(
        (sum - expected[0]).abs() <= rtol * expected[1],
        "{}: the sum of {what} is {sum}, not {}",
        case.name,
        expected[0]
    );
}

fn network(name: &str, classes: usize) -> Network {
    match name.contains("FMNIST") || name.contains("EMNIST") {
        true => Network::fmnist(classes),
        false => Network::cifar(classes),
    }
}

fn batch(case: &Case, prefix: &str) -> Batch {
    Samples {
        pictures: case.values(&format!("{prefix}.x")),
        labels: labels(case, &format!("{prefix}.y")),
    }
}

fn labels(case: &Case, name: &str) -> Vec<u8> {
    case.ints(name).iter().map(|&label| label as u8).collect()
}

/// The batches `PREFIXbatch0`, `PREFIXbatch1`, … that the case has.
fn batches(case: &Case, prefix: &str) -> Vec<Batch> {
    (0..)
        .map(|at| format!("{prefix}batch{at}"))
        .take_while(|name| case.weights().contains(&format!("{name}.x")))
        .map(|name| batch(case, &name))
        .collect()
}

/// Compares every tensor of `layout` that the case holds, or of which it holds the sums.
fn tensors(
    case: &Case,
    (layout, values): (&Layout, &[f32]),
    name: impl Fn(&str) -> String,
    sums_at: Option<(&Value, &str)>,
    tolerances: [f64; 2],
) -> usize {
    let mut seen = 0;
    for slot in layout.slots() {
        let found = &values[slot.range.clone()];
        let name = name(&slot.name);
        if case.weights().contains(&name) {
            close(case, &name, found, &case.values(&name), tolerances);
            seen += 1;
        }
        let recorded = sums_at.and_then(|(at, suffix)| at.get(format!("{}{suffix}", slot.name)));
        if let Some(recorded) = recorded {
            let recorded: Vec<f64> = recorded
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect();
            sums(case, &name, found, &recorded, tolerances[0]);
            seen += 1;
        }
    }
    seen
}

fn local_config(case: &Case) -> LocalConfig {
    let default = LocalConfig::default();
    let get = |key: &str, default: f32| match case.get(key) {
        Some(_) => case.f32(key),
        None => default,
    };
    LocalConfig {
        lr: get("config.lr", default.lr),
        head_lr: get("config.lr_g", default.head_lr),
        momentum: get("config.momentum", default.momentum),
        decay: get("config.weight_decay", default.decay),
        ..default
    }
}

#[test]
fn hyperfl_round() {
    for case in all("hyperfl_round") {
        let tolerances = [
            tolerance(&case, "rtol", 2e-4),
            tolerance(&case, "atol", 2e-5),
        ];
        let net = network(case.str("config.model"), case.usize("config.num_classes"));
        let model = HyperModel::new(
            net,
            case.usize("config.embed_dim"),
            case.usize("config.hidden_dim"),
        );
        let phi = model
            .hyper
            .layout
            .read(case.weights(), "init.hypernetwork.")
            .unwrap();
        let config = local_config(&case);
        let clients = case.get("clients").unwrap().as_array().unwrap().len();
        let mut updates = Vec::new();
        for client in 0..clients {
            let own = format!("client{client}");
            let mut params = phi.clone();
            params.extend(case.values(&format!("{own}.embedding.init")));
            for name in ["weight", "bias"] {
                params.extend(case.values(&format!("init.target_model.fc2.{name}")));
            }
            let batches = batches(&case, &format!("{own}."));
            // The generated extractor, and what it makes of the first batch.
            let network = model.network_params(&params);
            let generated = (&model.net.layout, &network[..]);
            tensors(
                &case,
                generated,
                |name| format!("{own}.gen0.{name}"),
                None,
                tolerances,
            );
            let pass = model.net.forward(&network, &batches[0].pictures).unwrap();
            let logits = case.values(&format!("{own}.logits0"));
            // Logits of the official initialisation are in the hundreds: small ones are sums that cancel.
            let largest = logits
                .iter()
                .fold(0.0f32, |most, logit| most.max(logit.abs()));
            let scaled = [tolerances[0], tolerances[0] * f64::from(largest)];
            close(&case, "logits", &pass.logits, &logits, scaled);

            let epochs = vec![batches.clone(); case.usize("config.local_epoch_used")];
            let (losses, _) =
                hyperfl_update(&model, &mut params, &batches, &epochs, &config).unwrap();
            let at = format!("clients.{client}");
            let recorded = case.f64(&format!("{at}.loss_classifier_epoch"));
            near(
                &case,
                "loss of the classifier epoch",
                losses.first.into(),
                recorded,
                tolerances[0],
            );
            let recorded = case.f64(&format!("{at}.loss_last_hyper_epoch"));
            near(
                &case,
                "loss of the last epoch",
                losses.last.into(),
                recorded,
                tolerances[0],
            );
            close(
                &case,
                "embedding",
                &params[model.embedding()],
                &case.values(&format!("{own}.embedding.after")),
                tolerances,
            );
            let head = [
                case.values(&format!("{own}.fc2.weight.after")),
                case.values(&format!("{own}.fc2.bias.after")),
            ];
            close(
                &case,
                "head",
                &params[model.head()],
                &head.concat(),
                tolerances,
            );
            params.truncate(model.shared().end);
            let shared = (&model.hyper.layout, &params[..]);
            let seen = tensors(
                &case,
                shared,
                |name| format!("{own}.hyper.{name}.after"),
                None,
                tolerances,
            );
            assert!(seen > 0, "{}: no tensor of {own} was compared", case.name);
            updates.push((params, case.f64(&format!("{at}.n_samples"))));
        }
        let updates: Vec<(&[f32], f64)> = updates.iter().map(|(u, n)| (&u[..], *n)).collect();
        let server = weighted_mean(&updates).unwrap();
        let recorded = case.get("server_sums").map(|sums| (sums, ""));
        let shared = (&model.hyper.layout, &server[..]);
        let seen = tensors(
            &case,
            shared,
            |name| format!("server.hyper.{name}"),
            recorded,
            tolerances,
        );
        assert!(
            seen >= model.hyper.layout.slots().len(),
            "{}: {seen} compared",
            case.name
        );
    }
}

#[test]
fn baselines_step() {
    for case in all("baselines_step") {
        let tolerances = [
            tolerance(&case, "rtol", 5e-4),
            tolerance(&case, "atol", 2e-5),
        ];
        let net = network(case.str("config.model"), case.usize("config.num_classes"));
        let start = net.layout.read(case.weights(), "init.").unwrap();
        let config = local_config(&case);
        let batches = batches(&case, "");
        let epochs = [batches.clone()];
        let quiet = Noise {
            clip: SAMPLE_CLIP,
            sigma: 0.0,
        };
        let results = case.get("results").unwrap().as_object().unwrap();
        for (method, recorded) in results {
            let mut params = start.clone();
            let mut rng = Rng::new(0);
            let (p, rng) = (&mut params[..], &mut rng);
            let losses = match method.as_str() {
                "fedavg" | "local" => fedavg_update(&net, p, &epochs, &config),
                "dp_fedavg" => dp_fedavg_update(&net, p, &epochs, &config, quiet, rng),
                "centaur" => centaur_update(&net, p, &batches, &epochs, &config, quiet, rng),
                "ppsgd" => ppsgd_update(&net, p, &epochs, &config, quiet, rng),
                other => panic!("{}: unknown method `{other}`", case.name),
            }
            .unwrap();
            println!(
                "{method}: {losses:?}, recorded {} {}",
                recorded["loss_first"], recorded["loss_last"]
            );
            let layout = (&net.layout, &params[..]);
            let seen = tensors(
                &case,
                layout,
                |name| format!("{method}.{name}"),
                Some((recorded, ".sum")),
                tolerances,
            );
            assert!(
                seen > 0,
                "{}: no tensor of {method} was compared",
                case.name
            );
        }
    }
}

#[test]
fn dp_noise() {
    for case in all("dp_noise") {
        let cases = case.get("cases").unwrap().as_array().unwrap();
        for (at, recorded) in cases.iter().enumerate() {
            let number = |key: &str| recorded[key].as_f64().unwrap();
            let found = noise_multiplier(
                number("epsilon"),
                number("delta"),
                number("sample_rate"),
                number("epochs"),
            )
            .unwrap();
            let expected = number("sigma");
            println!("{} {at}: σ {found}, recorded {expected}", case.name);
            near(&case, "σ", found, expected, case.tolerance("sigma", 0.02));
        }
    }
}

#[test]
fn image_metrics() {
    for case in all("image_metrics") {
        let most = case.tolerance("metrics", 1e-5);
        let count = case.get("cases").unwrap().as_array().unwrap().len();
        for at in 0..count {
            let at = format!("cases.{at}");
            let shape: Vec<usize> = case
                .numbers(&format!("{at}.shape_hwc"))
                .iter()
                .map(|&n| n as usize)
                .collect();
            let [rows, columns, channels] = shape[..] else {
                panic!("{}: {shape:?} is no picture", case.name)
            };
            let planes = |name: &str| -> Vec<f32> {
                let values = case.numbers(&format!("{at}.{name}"));
                (0..channels)
                    .flat_map(|c| values.iter().skip(c).step_by(channels).map(|&v| v as f32))
                    .collect()
            };
            let (a, b) = (planes("a"), planes("b"));
            let off = |what: &str, found: f64| {
                let expected = case.f64(&format!("{at}.{what}"));
                assert!(
                    (found - expected).abs() <= most,
                    "{at}: {what} is {found}, not {expected}"
                );
            };
            off("psnr", psnr(&a, &b));
            let shape = [channels, rows, columns];
            off("ssim_uniform7", ssim(&a, &b, shape, Window::Uniform));
            off("ssim_gauss11", ssim(&a, &b, shape, Window::Gaussian));
        }
        println!("{}: {count} pairs", case.name);
    }
}

#[test]
fn partition() {
    for case in all("partition") {
        let count = case.get("cases").unwrap().as_array().unwrap().len();
        for at in 0..count {
            let at = format!("cases.{at}");
            let classes = case.usize(&format!("{at}.classes"));
            let per_class = case.usize(&format!("{at}.per_class"));
            let function = case.str(&format!("{at}.function"));
            let labels: Vec<u8> = (0..classes)
                .flat_map(|class| vec![class as u8; per_class])
                .collect();
            let split = LabelSplit {
                clients: case.usize(&format!("{at}.users")),
                samples: case.usize(&format!("{at}.local_size")),
                even: case.usize(&format!("{at}.noniid_s")),
                groups: match function {
                    "emnist_noniid_s" => emnist_groups(),
                    _ => ten_class_groups(),
                },
                start: if function.starts_with("cifar") {
                    2000
                } else {
                    0
                },
            };
            let clients = split.assign(&labels, classes).unwrap();
            for (client, own) in clients.iter().enumerate() {
                let counts = learning::hyperfl::partition::histogram(&labels, own, classes);
                let counts: Vec<f64> = counts.into_iter().map(|count| count as f64).collect();
                let recorded = case.numbers(&format!("{at}.counts.{client}"));
                assert_eq!(counts, recorded, "{function}: client {client}");
            }
            println!("{function}: {} clients", clients.len());
        }
    }
}

#[test]
fn flower_objects() {
    for case in all("flower_objects") {
        let cases = case.get("cases").unwrap().as_array().unwrap();
        for recorded in cases {
            let arrays: Vec<(String, Object)> = recorded["arrays"]
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
                .map(|(at, array)| {
                    let list = |key: &str| array[key].as_array().unwrap().iter();
                    let shape: Vec<usize> = list("shape")
                        .map(|n| n.as_u64().unwrap() as usize)
                        .collect();
                    let values: Vec<f32> = match &array["values"] {
                        Value::Number(one) => vec![one.as_f64().unwrap() as f32],
                        _ => list("values").map(|v| v.as_f64().unwrap() as f32).collect(),
                    };
                    (format!("layer.{at}"), Object::array(&shape, &values))
                })
                .collect();
            let pairs = |key: &str| -> Vec<(String, Scalar)> {
                recorded[key]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(pair)
                    .collect()
            };
            let record = Object::records(&[
                ("arrays".into(), Object::arrays(&arrays)),
                (
                    "metrics".into(),
                    Object::metrics(&pairs("metrics")).unwrap(),
                ),
                ("config".into(), Object::config(&pairs("config"))),
            ]);
            let objects = recorded["objects_depth_first"].as_array().unwrap();
            let found = record.depth_first();
            assert_eq!(found.len(), objects.len(), "{}", case.name);
            for (found, expected) in found.iter().zip(objects) {
                assert_eq!(found.kind, expected["type"].as_str().unwrap());
                let text = String::from_utf8_lossy(&found.content);
                assert_eq!(found.id, expected["object_id"].as_str().unwrap(), "{text}");
                assert_eq!(
                    found.content.len() as u64,
                    expected["content_len"].as_u64().unwrap()
                );
            }
            println!("{}: {} objects", case.name, found.len());
        }
    }
}

/// A setting as the record holds it; the bytes of `NAME_hex` are those of `NAME`.
fn pair((name, value): (&String, &Value)) -> (String, Scalar) {
    match (name.strip_suffix("_hex"), value.as_str()) {
        (Some(name), Some(hex)) => {
            let bytes = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            (name.to_owned(), Scalar::Bytes(bytes))
        }
        _ => (name.clone(), Scalar::from_json(value).unwrap()),
    }
}

#[test]
fn gradient_inversion() {
    for case in all("gradient_inversion") {
        let shape = case.weights().shape("x_true").unwrap().to_vec();
        let classes = case.weights().shape("w.fc2.bias").unwrap()[0];
        let net = network(if shape[1] == 1 { "FMNIST" } else { "Cifar" }, classes);
        let params = net.layout.read(case.weights(), "w.").unwrap();
        let truth = case.values("x_true");
        let targets = Targets::Labels(labels(&case, "y"));
        let first = net.gradient(&params, &truth, &targets).unwrap();
        near(&case, "loss", first.loss.into(), case.f64("loss"), 1e-4);
        tensors(
            &case,
            (&net.layout, &first.params),
            |name| format!("grad.{name}"),
            None,
            [1e-3, 1e-6],
        );
        if let Targets::Labels(labels) = &targets
            && labels.len() == 1
        {
            let found = recover_label(&net.layout, "fc2.weight", &first.params);
            assert_eq!(found, Some(labels[0]), "{}: the label", case.name);
        }
        let start = Guess {
            pictures: case.values("x0"),
            targets,
            params: params.clone(),
        };
        near(
            &case,
            "PSNR",
            psnr(&start.pictures, &truth),
            case.f64("psnr_x0"),
            1e-4,
        );
        let picture = [shape[1], shape[2], shape[3]];
        near(
            &case,
            "TV",
            total_variation(&start.pictures, picture).0,
            case.f64("tv"),
            1e-4,
        );
        let observe = |cost: Cost| SingleGradient {
            model: &net,
            observed: 0..params.len(),
            tensors: net
                .layout
                .slots()
                .iter()
                .map(|slot| slot.range.clone())
                .collect(),
            gradient: &first.params,
            cost,
        };
        let costs = case.get("cost").unwrap().as_object().unwrap();
        for (name, expected) in costs {
            let cost = match name.as_str() {
                "sim" => Cost::Sim,
                "l2" => Cost::L2,
                "l1" => Cost::L1,
                "simlocal" => Cost::SimLocal,
                other => panic!("{}: unknown cost `{other}`", case.name),
            };
            let compared = observe(cost).compare(&start).unwrap();
            near(&case, name, compared.cost, expected.as_f64().unwrap(), 1e-4);
            let recorded = format!("dcost_{name}_dx");
            if case.weights().contains(&recorded) {
                let expected = case.values(&recorded);
                close(
                    &case,
                    &recorded,
                    &compared.pictures,
                    &expected,
                    [1e-3, 1e-6],
                );
            }
        }
        let trace = case.numbers("trace");
        let config = InvertConfig {
            iterations: trace.len(),
            ..InvertConfig::new(picture)
        };
        let mut watch = |at: usize, guess: &Guess| {
            let name = format!("x_iter{}", at + 1);
            if case.weights().contains(&name) {
                let expected = case.values(&name);
                let pairs = guess.pictures.iter().zip(&expected);
                let same = pairs.filter(|(a, b)| (*a - *b).abs() < 1e-4).count();
                println!("{}: {name}: {same} of {} pixels", case.name, expected.len());
                assert!(at > 0 || 100 * same >= 99 * expected.len());
            }
            Ok(())
        };
        let found = invert(&observe(Cost::Sim), start, &config, &mut watch).unwrap();
        for (at, (found, expected)) in found.trace.iter().zip(&trace).enumerate() {
            near(&case, &format!("trace[{at}]"), *found, *expected, 0.02);
        }
    }
}

/// How near the two derivatives must be, and at what share of the coordinates: of one gradient, and of several steps, each of
/// which adds kinks and rounding.
const GRADIENT: (f64, f64) = (0.02, 0.8);
const UNROLLED: (f64, f64) = (0.1, 0.45);

/// The derivative along single coordinates beside differences. The nets are piecewise smooth: a step that moves all pictures
/// at once switches units, whatever its length; one coordinate rarely does. So a share of the coordinates must agree, not all.
fn check_derivatives(
    observation: &dyn Observation,
    guess: &Guess,
    free: &[std::ops::Range<usize>],
    (near, share): (f64, f64),
) {
    let mut rng = Rng::new(5);
    let compared = observation.compare(guess).unwrap();
    let pictures = (0..64).map(|_| (true, rng.below(guess.pictures.len())));
    let pictures: Vec<(bool, usize)> = pictures.collect();
    let params = free.iter().flat_map(|range| {
        (0..16)
            .map(|_| (false, range.start + rng.below(range.len())))
            .collect::<Vec<_>>()
    });
    let places: Vec<(bool, usize)> = pictures.into_iter().chain(params).collect();
    let slope = |&(picture, at): &(bool, usize)| {
        f64::from(if picture {
            compared.pictures[at]
        } else {
            compared.params[at]
        })
    };
    let largest = |picture: bool| {
        let places = places.iter().filter(|it| it.0 == picture);
        places.map(|it| slope(it).abs()).fold(0.0, f64::max)
    };
    let largest = [false, true].map(largest);
    let agrees = |place: &(bool, usize)| {
        let cost = |by: f32| {
            let mut moved = guess.clone();
            let values = if place.0 {
                &mut moved.pictures
            } else {
                &mut moved.params
            };
            values[place.1] += by;
            observation.compare(&moved).unwrap().cost
        };
        [1e-4f32, 3e-4, 1e-3, 3e-3].iter().any(|&by| {
            let difference = (cost(by) - cost(-by)) / (2.0 * f64::from(by));
            (difference - slope(place)).abs()
                <= near * slope(place).abs() + 0.002 * largest[usize::from(place.0)]
        })
    };
    // Where the slope is nearly nothing, rounding decides; it adds a little everywhere.
    let tested: Vec<_> = places
        .iter()
        .filter(|it| slope(it).abs() > 0.02 * largest[usize::from(it.0)])
        .collect();
    let agreeing = tested.iter().filter(|it| agrees(it)).count();
    println!("{agreeing} of {} coordinates agree", tested.len());
    assert!(tested.len() >= 12, "{} coordinates", tested.len());
    assert!(
        agreeing as f64 >= share * tested.len() as f64,
        "{agreeing} of {} coordinates agree",
        tested.len()
    );
}

fn drawn(net: &Network, count: usize, seed: u64) -> Samples {
    let mut rng = Rng::new(seed);
    Samples {
        pictures: (0..count * net.input.iter().product::<usize>())
            .map(|_| rng.uniform())
            .collect(),
        labels: (0..count).map(|_| rng.below(net.classes) as u8).collect(),
    }
}

#[test]
fn second_derivatives_of_a_gradient_agree_with_differences() {
    let net = Network::cifar(10);
    let params = net.init(&mut Rng::new(1));
    let [truth, other] = [1, 2].map(|seed| drawn(&net, 3, seed));
    let targets = Targets::Labels(truth.labels.clone());
    let guess = Guess {
        pictures: other.pictures,
        targets: targets.clone(),
        params: params.clone(),
    };
    let tensors: Vec<_> = net
        .layout
        .slots()
        .iter()
        .map(|slot| slot.range.clone())
        .collect();
    let seen = net
        .gradient(&params, &truth.pictures, &targets)
        .unwrap()
        .params;
    let single = SingleGradient {
        model: &net,
        observed: 0..params.len(),
        tensors,
        gradient: &seen,
        cost: Cost::L2,
    };
    check_derivatives(&single, &guess, &[net.head()], GRADIENT);
}

#[test]
fn second_derivatives_of_an_upload_agree_with_differences() {
    let model = HyperModel::new(Network::fmnist(10), 6, 4);
    let params = model.init(Init::Scaled, &Rng::new(3));
    let [truth, other] = [1, 2].map(|seed| drawn(&model.net, 2, seed));
    let targets = Targets::Labels(truth.labels.clone());
    let seen = model
        .gradient(&params, &truth.pictures, &targets)
        .unwrap()
        .params;
    let guess = Guess {
        pictures: other.pictures,
        targets,
        params: model.init(Init::Scaled, &Rng::new(4)),
    };
    let naive = SingleGradient {
        model: &model,
        observed: model.shared(),
        tensors: model
            .hyper
            .layout
            .slots()
            .iter()
            .map(|slot| slot.range.clone())
            .collect(),
        gradient: &seen[model.shared()],
        cost: Cost::Sim,
    };
    check_derivatives(&naive, &guess, &[model.embedding(), model.head()], GRADIENT);
}

#[test]
fn second_derivatives_of_unrolled_steps_agree_with_differences() {
    let step = Step {
        scale: 1.0,
        lr: 0.05,
        momentum: 0.5,
        decay: 5e-4,
    };
    let net = Network::cifar(10);
    let params = net.init(&mut Rng::new(1));
    let [truth, other] = [1, 2].map(|seed| drawn(&net, 3, seed));
    let targets = Targets::Labels(truth.labels.clone());
    let guess = Guess {
        pictures: other.pictures,
        targets: targets.clone(),
        params: params.clone(),
    };
    let tensors: Vec<_> = net
        .layout
        .slots()
        .iter()
        .map(|slot| slot.range.clone())
        .collect();
    let seen = net
        .gradient(&params, &truth.pictures, &targets)
        .unwrap()
        .params;
    let unrolled = Unrolled {
        model: &net,
        observed: 0..params.len(),
        tensors,
        update: &seen,
        batches: vec![vec![0, 1], vec![2], vec![0, 1, 2]],
        step,
        classes: 10,
        cost: Cost::Sim,
    };
    check_derivatives(&unrolled, &guess, &[], UNROLLED);

    let model = HyperModel::new(Network::fmnist(10), 6, 4);
    let params = model.init(Init::Scaled, &Rng::new(3));
    let [truth, other] = [1, 2].map(|seed| drawn(&model.net, 2, seed));
    let targets = Targets::Labels(truth.labels.clone());
    let seen = model
        .gradient(&params, &truth.pictures, &targets)
        .unwrap()
        .params;
    let guess = Guess {
        pictures: other.pictures,
        targets,
        params: model.init(Init::Scaled, &Rng::new(4)),
    };
    let unrolled = Unrolled {
        model: &model,
        observed: model.shared(),
        tensors: model
            .hyper
            .layout
            .slots()
            .iter()
            .map(|slot| slot.range.clone())
            .collect(),
        update: &seen[model.shared()],
        batches: vec![vec![0], vec![0, 1]],
        step,
        classes: 10,
        cost: Cost::Sim,
    };
    check_derivatives(
        &unrolled,
        &guess,
        &[model.embedding(), model.head()],
        UNROLLED,
    );
}

#[test]
fn a_single_step_gives_the_extractor_away() {
    let model = HyperModel::new(Network::fmnist(10), 8, 16);
    let params = model.init(Init::Scaled, &Rng::new(1));
    let batch = drawn(&model.net, 1, 3);
    let targets = Targets::Labels(batch.labels);
    let seen = model
        .gradient(&params, &batch.pictures, &targets)
        .unwrap()
        .params;
    let phi = &params[model.shared()];
    let found = model.hyper.recover(phi, &seen[model.shared()]);
    let network = model.network_params(&params);
    let first = model
        .net
        .gradient(&network, &batch.pictures, &targets)
        .unwrap();
    let range = model.net.extractor();
    let off = |a: &[f32], b: &[f32]| base::fixtures::furthest(a, b);
    assert!(off(&found.theta, &network[range.clone()]) < 1e-4);
    assert_eq!(off(&found.grad, &first.params[range]), 0.0);
}

#[test]
fn lpm_vit() {
    for case in all("lpm_vit") {
        let size = |key: &str| case.usize(&format!("config.{key}"));
        let config = VitConfig {
            side: size("img"),
            patch: size("patch"),
            width: size("dim"),
            depth: size("depth"),
            heads: size("heads"),
            mlp_ratio: size("mlp_ratio_of_blocks"),
            reduction: size("reduction"),
            qkv_bias: case.bool("config.qkv_bias"),
            block_eps: case.f32("config.block_norm_eps"),
            final_eps: case.f32("config.final_norm_eps"),
            classes: size("classes"),
        };
        let hyper = config.hypernetwork(size("embed_dim"), size("hidden_dim"));
        let phi = hyper.layout.read(case.weights(), "hypernetwork.").unwrap();
        let embedding = case.values("client_embedding.weight");
        let vit = LpmVit::read(config, case.weights(), "base.").unwrap();
        let head = [case.values("fc.weight"), case.values("fc.bias")].concat();
        let made = hyper.generate(&phi, &embedding);
        let x = case.values("x");
        let pass = vit.forward(&made.theta, &head, &x).unwrap();
        close(
            &case,
            "features",
            &pass.features,
            &case.values("features"),
            [0.0, 1e-4],
        );
        close(
            &case,
            "logits",
            &pass.logits,
            &case.values("logits"),
            [0.0, 1e-4],
        );
        let what = case.str("what");
        let listed = what
            .split("labels [")
            .nth(1)
            .and_then(|rest| rest.split(']').next());
        let labels = listed
            .unwrap()
            .split(',')
            .map(|label| label.trim().parse().unwrap());
        let targets = Targets::Labels(labels.collect());
        let (loss, theta, _) = vit.gradient(&made.theta, &head, &x, &targets).unwrap();
        close(&case, "loss", &[loss], &case.values("loss"), [0.0, 1e-4]);
        let grad = hyper.backward(&phi, &made, theta);
        let dense = hyper.dense(&grad);
        let tolerances = [1e-3, 1e-6];
        let name = |name: &str| format!("grad.hypernetwork.{name}");
        let seen = tensors(&case, (&hyper.layout, &dense), name, None, tolerances);
        assert_eq!(seen, hyper.layout.slots().len());
        let expected = case.values("grad.client_embedding.weight");
        close(&case, "embedding", &grad.embedding, &expected, tolerances);
    }
}

#[test]
fn gradients_of_the_residual_adapters_agree_with_differences() {
    let config = ResnetConfig {
        side: 32,
        planes: [4, 6, 8, 10],
        hidden: 5,
        classes: 3,
    };
    let mut rng = Rng::new(2);
    let mut file = TensorFile::new();
    let layout = config.layout();
    for slot in layout
        .slots()
        .iter()
        .filter(|slot| !slot.name.starts_with("hidden"))
    {
        let draw = |rng: &mut Rng| match slot.name.contains("running_var") {
            true => 0.5 + rng.uniform(),
            false => 0.3 * rng.normal(),
        };
        let values: Vec<f32> = slot.range.clone().map(|_| draw(&mut rng)).collect();
        file.floats(&slot.name, &slot.shape, &values, Precision::F32)
            .unwrap();
    }
    let weights = Weights::from_bytes(file.to_bytes()).unwrap();
    let hidden = rng.normals(5 * 11);
    let net = LpmResnet::read(config.clone(), &weights, &hidden).unwrap();
    let hyper = config.hypernetwork(4, 3);
    let theta = hyper
        .generate(&rng.normals(hyper.layout.len()), &rng.normals(4))
        .theta;
    let head = rng.normals(3 * 6);
    let x = rng.normals(2 * 3 * 32 * 32);
    let targets = Targets::Labels(vec![0, 2]);
    let mut running = net.running();
    let (_, of_theta, of_head) = net
        .gradient(&theta, &head, &x, &targets, &mut running)
        .unwrap();
    assert_ne!(running, net.running(), "the statistics follow the batch");
    let loss = |theta: &[f32], head: &[f32]| {
        net.gradient(theta, head, &x, &targets, &mut net.running())
            .unwrap()
            .0
    };
    let (mut along, mut expected) = (rng.normals(theta.len()), 0.0);
    let along_head = rng.normals(head.len());
    // Large tensors must not drown the small ones.
    along.iter_mut().for_each(|v| *v *= 0.1);
    expected += along
        .iter()
        .zip(&of_theta)
        .map(|(a, b)| f64::from(a * b))
        .sum::<f64>();
    expected += along_head
        .iter()
        .zip(&of_head)
        .map(|(a, b)| f64::from(a * b))
        .sum::<f64>();
    let moved = |by: f32| {
        let step = |v: &[f32], along: &[f32]| -> Vec<f32> {
            v.iter().zip(along).map(|(v, a)| v + by * a).collect()
        };
        f64::from(loss(&step(&theta, &along), &step(&head, &along_head)))
    };
    let best = [1e-3, 3e-3, 1e-2]
        .map(|by| ((moved(by) - moved(-by)) / (2.0 * f64::from(by)) / expected - 1.0).abs())
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    println!("derivative {expected}, relative difference {best}");
    assert!(best < 0.02, "{best}");
    let logits = net.forward(&theta, &head, &x, &running).unwrap();
    assert_eq!(logits.len(), 6);
}
