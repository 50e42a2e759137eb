//! RAPL against recorded numbers of X-MAGICAL, XIRL and POT: every case of every kind that is there.
#![allow(clippy::unwrap_used)]

mod pretrained;
mod world;

use base::fixtures::{self, Case};
use base::numerics::{kendall, spearman};
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use clap::ValueEnum;
use engine::weights;
use learning::rapl::metrics::alignment_tau;
use learning::rapl::sac::{Actor, Critic, sac_keys};
use learning::rapl::{
    Alignment, Cycle, CycleLoss, Embeddings, Epsilon, Ground, NoiseErrors, Similarity, Timed,
    Transport, bradley_terry, diffusion_dpo, exact_cost, triplet_loss,
};
use serde_json::Value;

fn all(kind: &str) -> Vec<Case> {
    fixtures::all("rapl", kind)
}

/// All numbers in the text of the case's tolerance, in order.
fn tolerances(case: &Case) -> Vec<f64> {
    let text = case
        .get("tolerance")
        .map(Value::to_string)
        .unwrap_or_default();
    let trimmed = |word: &str| {
        word.trim_matches(|c: char| !c.is_ascii_alphanumeric())
            .to_owned()
    };
    text.split_whitespace()
        .filter_map(|word| trimmed(word).parse().ok())
        .collect()
}

/// The number that follows `word` in the case's tolerance.
fn after(case: &Case, word: &str) -> f64 {
    let text = case
        .get("tolerance")
        .map(Value::to_string)
        .unwrap_or_default();
    let trim = |c: char| !c.is_ascii_alphanumeric();
    let mut words = text
        .split_whitespace()
        .map(|found| found.trim_matches(trim));
    words.by_ref().find(|found| *found == word);
    words
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no tolerance {word}"))
}

/// Asserts `|found − expected| ≤ atol + rtol · |expected|` everywhere.
fn close(what: &str, found: &[f64], expected: &[f64], [rtol, atol]: [f64; 2]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let mut worst: f64 = 0.0;
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(
            off <= atol + rtol * expected.abs(),
            "{what}[{at}] is {found}, not {expected}"
        );
        worst = worst.max(off);
    }
    println!("{what} off by at most {worst:e}");
}

fn doubles(case: &Case, name: &str) -> Vec<f64> {
    let weights = case.weights();
    match weights.doubles(name) {
        Ok(values) => values,
        Err(_) => case.values(name).into_iter().map(f64::from).collect(),
    }
}

fn embeddings(case: &Case, name: &str) -> Embeddings {
    let shape = case.weights().shape(name).unwrap();
    Embeddings::new(doubles(case, name), shape[shape.len() - 1]).unwrap()
}

fn list<'a>(case: &'a Case, at: &str) -> &'a [Value] {
    case.get(at)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

#[test]
fn ot_reward() {
    for case in all("ot_reward") {
        let (plan_off, reward_off) = (after(&case, "plan"), after(&case, "reward"));
        for one in list(&case, "cases") {
            let index = &one["index"];
            let ground = Ground::from_str(one["cost"].as_str().unwrap(), true).unwrap();
            let transport = Transport {
                ground,
                epsilon: Epsilon::Absolute(one["epsilon"].as_f64().unwrap()),
                // Where it converges slowly the recording ended here, rows exact.
                iterations: 20_000,
                tolerance: 1e-13,
                position: 0.0,
                columns_first: true,
            };
            let [x, y] = ["X", "Y"].map(|name| embeddings(&case, &format!("{index}.{name}")));
            let found = transport.solve(&x, &y).unwrap();
            let sizes = ["T_robot", "T_expert"].map(|key| one[key].as_u64().unwrap() as usize);
            assert_eq!([found.plan.rows, found.plan.columns], sizes);
            let check = |what: &str, found: &[f64], off: f64| {
                let name = format!("{index}.{what}");
                close(&name, found, &doubles(&case, &name), [0.0, off]);
            };
            check("C", &found.costs.values, plan_off);
            check("plan", &found.plan.values, plan_off);
            check("reward", &found.rewards(), reward_off);
            let expected = |key: &str| one[key].as_f64().unwrap();
            close(
                "cost",
                &[found.cost()],
                &[expected("transport_cost")],
                [0.0, reward_off],
            );
            let exact = exact_cost(&found.costs).unwrap();
            close(
                "exact cost",
                &[exact],
                &[expected("exact_ot_cost")],
                [0.0, reward_off],
            );
        }
    }
}

/// `X W`, and `Xᵀ G` summed into `out`.
fn encode(x: &Embeddings, w: &[f64], to: usize) -> Embeddings {
    let values = x.rows().flat_map(|row| {
        (0..to).map(move |j| {
            row.iter()
                .enumerate()
                .map(|(i, x)| x * w[i * to + j])
                .sum::<f64>()
        })
    });
    Embeddings::new(values.collect(), to).unwrap()
}

#[test]
fn triplets() {
    for case in all("triplet_loss") {
        let what = case.str("what");
        // The sizes that the case states in words.
        let stated = |after: &str| -> f64 {
            let rest = &what[what.find(after).unwrap() + after.len()..];
            rest.split([' ', ','])
                .find_map(|word| word.parse().ok())
                .unwrap()
        };
        let alignment = Alignment {
            transport: Transport {
                ground: Ground::Cosine,
                epsilon: Epsilon::Absolute(stated("epsilon")),
                iterations: stated("epsilon 0.1,") as usize,
                tolerance: 0.0,
                position: 0.0,
                columns_first: false,
            },
            temperature: 1.0,
            unroll: false,
        };
        let w = doubles(&case, "W");
        let to = case.weights().shape("W").unwrap()[1];
        let features = ["anchor", "preferred", "other"].map(|name| embeddings(&case, name));
        let encoded = features.each_ref().map(|x| encode(x, &w, to));
        let found = triplet_loss(encoded.each_ref(), &alignment).unwrap();
        let mut gradient = vec![0.0; w.len()];
        for (x, g) in features.iter().zip(&found.gradients) {
            for (x, g) in x.rows().zip(g.rows()) {
                for (i, x) in x.iter().enumerate() {
                    for (j, g) in g.iter().enumerate() {
                        gradient[i * to + j] += x * g;
                    }
                }
            }
        }
        let off = [0.0, tolerances(&case)[0]];
        close(
            "similar",
            &found.similarities[..1],
            &doubles(&case, "sim_pref"),
            off,
        );
        close(
            "other",
            &found.similarities[1..],
            &doubles(&case, "sim_other"),
            off,
        );
        close("loss", &[found.loss], &doubles(&case, "loss"), off);
        close("gradient", &gradient, &doubles(&case, "grad_W"), off);
    }
}

#[test]
fn preferences() {
    for case in all("preference_losses") {
        let off = [0.0, tolerances(&case)[0]];
        let what = case.str("what");
        let beta: f64 = what.rsplit(' ').next().unwrap().parse().unwrap();
        let rewards = doubles(&case, "rewards");
        let shape = case.weights().shape("rewards").unwrap();
        let (count, frames) = (shape[0], shape[2]);
        let video = |pair: usize, at: usize| &rewards[(2 * pair + at) * frames..][..frames];
        let pairs: Vec<[&[f64]; 2]> = (0..count).map(|at| [video(at, 0), video(at, 1)]).collect();
        let labels: Vec<usize> = case.ints("labels").iter().map(|at| *at as usize).collect();
        let (loss, gradients) = bradley_terry(&pairs, &labels).unwrap();
        close("Bradley–Terry", &[loss], &doubles(&case, "bt_loss"), off);
        // The gradient is that of differences.
        let mut moved = rewards.clone();
        moved[0] += 1e-6;
        let first = [&moved[..frames], &moved[frames..2 * frames]];
        let mut others = pairs.clone();
        others[0] = first;
        let slope = (bradley_terry(&others, &labels).unwrap().0 - loss) / 1e-6;
        assert!((slope - gradients[0][0]).abs() < 1e-5);
        let [pw, rw, pl, rl] = ["err_theta_w", "err_ref_w", "err_theta_l", "err_ref_l"]
            .map(|name| doubles(&case, name));
        let errors: Vec<NoiseErrors> = (0..pw.len())
            .map(|at| NoiseErrors {
                policy_preferred: pw[at],
                reference_preferred: rw[at],
                policy_rejected: pl[at],
                reference_rejected: rl[at],
            })
            .collect();
        let (loss, _) = diffusion_dpo(&errors, beta).unwrap();
        close("DPO", &[loss], &doubles(&case, "dpo_loss"), off);
    }
}

#[test]
fn cycles() {
    for case in all("tcc_loss") {
        let rtol = after(&case, "rtol");
        let shape = case.weights().shape("embs").unwrap().to_vec();
        let values = doubles(&case, "embs");
        let videos: Vec<Embeddings> = values
            .chunks(shape[1] * shape[2])
            .map(|values| Embeddings::new(values.to_vec(), shape[2]).unwrap())
            .collect();
        let (frames, lengths) = (case.ints("idxs"), case.ints("seq_lens"));
        let timed: Vec<Timed> = videos
            .iter()
            .zip(frames.chunks(shape[1]))
            .zip(&lengths)
            .map(|((embeddings, frames), &length)| Timed {
                embeddings,
                frames,
                length,
            })
            .collect();
        let variants = case.get("tcc").and_then(Value::as_object).unwrap();
        for (name, expected) in variants {
            let (loss, similarity) = name.split_once('/').unwrap();
            let cycle = Cycle {
                loss: match loss {
                    "classification" => {
                        CycleLoss::Classification(case.f64("config.label_smoothing"))
                    }
                    "regression_mse" => CycleLoss::Mse,
                    "regression_mse_var" => {
                        CycleLoss::MseVariance(case.f64("config.variance_lambda"))
                    }
                    "regression_huber" => CycleLoss::Huber(case.f64("config.huber_delta")),
                    other => panic!("no cycle loss {other}"),
                },
                similarity: match similarity {
                    "l2" => Similarity::L2,
                    "cosine" => Similarity::Cosine,
                    other => panic!("no similarity {other}"),
                },
                temperature: case.f64("config.temperature"),
                by_width: case.bool("config.normalize_dimension"),
                by_length: case.bool("config.normalize_indices"),
            };
            let (found, gradients) = cycle.loss(&timed).unwrap();
            close(name, &[found], &[expected.as_f64().unwrap()], [rtol, 0.0]);
            let gradients: Vec<f64> = gradients.iter().flat_map(|g| g.values().to_vec()).collect();
            let expected = doubles(&case, &format!("grad.{}", name.replace('/', ".")));
            let largest = expected.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
            close(
                &format!("{name} gradient"),
                &gradients,
                &expected,
                [rtol, rtol * largest],
            );
        }
        println!("{} variants", variants.len());
    }
}

#[test]
fn soft_actor_critic() {
    for case in all("sac") {
        let off = [tolerances(&case)[0]; 2];
        let config = |at: &str| case.usize(&format!("config.{at}"));
        let (observation, action) = (config("obs"), config("action"));
        let sizes = [config("hidden"), config("depth")];
        let bounds = case.numbers("config.log_std_bounds");
        let device = Device::flex().autodiff();
        let rng = &mut Rng::new(0);
        let actor = Actor::new(
            [observation, action],
            sizes,
            [bounds[0], bounds[1]],
            rng,
            &device,
        );
        let critic = Critic::new([observation, action], sizes, rng, &device);
        let keys = |network| sac_keys(network, sizes[1]);
        let actor = weights::load(actor, case.weights(), &keys("actor")).unwrap();
        let critic = weights::load(critic, case.weights(), &keys("critic")).unwrap();
        let table = |name: &str| {
            let shape = case.weights().shape(name).unwrap();
            let data = TensorData::new(case.values(name), [shape[0], shape[1]]);
            Tensor::<2>::from_data(data, &device)
        };
        let values = |x: Tensor<2>| -> Vec<f64> { x.into_data().iter::<f64>().collect() };
        let draw = actor.draw(table("obs"), table("noise"));
        let [q1, q2] = critic.forward(table("obs"), draw.action.clone());
        for (name, found) in [
            ("mean", &draw.mean),
            ("std", &draw.deviation),
            ("action", &draw.action),
            ("log_prob", &draw.log_probability),
            ("q1", &q1),
            ("q2", &q2),
        ] {
            close(name, &values(found.clone()), &doubles(&case, name), off);
        }
        let what = case.str("what");
        let alpha = what[what.find("alpha ").unwrap()..]
            .split(' ')
            .find_map(|word| word.parse::<f64>().ok());
        let loss = (draw.log_probability * alpha.unwrap() - q1.min_pair(q2)).mean();
        let mut gradients = loss.backward();
        let found = f64::from(loss.into_scalar::<f32>());
        close("actor loss", &[found], &doubles(&case, "actor_loss"), off);
        for name in case
            .weights()
            .names()
            .filter(|name| name.starts_with("grad.actor"))
        {
            let ours = keys("actor").to_ours(&name[5..]).unwrap();
            let found = weights::gradient(&actor, &ours, &mut gradients).unwrap();
            let found: Vec<f64> = found.into_iter().map(f64::from).collect();
            close(name, &found, &doubles(&case, name), off);
        }
    }
}

#[test]
fn ranks() {
    for case in all("rank_metrics") {
        let off = [0.0, tolerances(&case)[0]];
        for pair in list(&case, "pairs") {
            let [a, b] = ["a", "b"].map(|key| numbers(&pair[key]));
            let found = [
                spearman(&a, &b).unwrap().value,
                kendall(&a, &b).unwrap().value,
            ];
            let expected = ["spearman", "kendall_b"].map(|key| pair[key].as_f64().unwrap());
            close("ranks", &found, &expected, off);
        }
        let videos: Vec<Embeddings> = list(&case, "videos_case.videos")
            .iter()
            .map(|video| {
                let rows: Vec<Vec<f64>> = video.as_array().unwrap().iter().map(numbers).collect();
                Embeddings::new(rows.concat(), rows[0].len()).unwrap()
            })
            .collect();
        let expected = case.get("videos_case.kendall").and_then(Value::as_object);
        for (name, expected) in expected.into_iter().flatten() {
            let (ground, stride) = name.split_once("/stride").unwrap();
            let ground = Ground::from_str(ground, true).unwrap();
            let found = alignment_tau(&videos, stride.parse().unwrap(), ground).unwrap();
            close(name, &[found], &[expected.as_f64().unwrap()], off);
        }
    }
}
