//! Adafactor against trajectories recorded from the reference implementation.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use base::fixtures::{self, Case};
use burn::tensor::{Device, Tensor};
use engine::burn;
use engine::train::optim::{Adafactor, AdafactorConfig, Optimizer, Slot, StepSize};

#[test]
fn trajectories_are_those_of_the_reference() {
    let committed = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    let cases = fixtures::cases("stiv", "adafactor", committed);
    cases.iter().for_each(follow);
    fixtures::report("stiv", "adafactor", cases.len());
}

fn config(case: &Case) -> AdafactorConfig {
    let number = |at: &str| case.get(at).map(|_| case.f64(at));
    let truth = |at: &str| case.get(at).is_some_and(|_| case.bool(at));
    let default = AdafactorConfig::default();
    AdafactorConfig {
        beta1: number("config.beta1"),
        beta2: number("config.beta2"),
        decay_rate: number("config.decay_rate").unwrap_or(default.decay_rate),
        clip_threshold: number("config.clip_threshold").unwrap_or(default.clip_threshold),
        eps_square: number("config.eps.0").unwrap_or(default.eps_square),
        eps_scale: number("config.eps.1").unwrap_or(default.eps_scale),
        weight_decay: number("config.weight_decay").unwrap_or(0.0),
        // The reference decays every tensor.
        decay_vectors: true,
        scale_parameter: truth("config.scale_parameter"),
        relative_step: truth("config.relative_step"),
    }
}

/// Every tensor `X0` of the case, stepped with `grad_X_0`, `grad_X_1`, ... and compared with `X_0`, `X_1`, ...
fn follow(case: &Case) {
    let device = Device::default();
    let tolerance = case.tolerance("trajectory", 1e-5) as f32;
    let learning_rate = case.get("config.lr").map_or(0.0, |_| case.f64("config.lr"));
    let weights = case.weights();
    let starts = weights.names().filter_map(|name| name.strip_suffix('0'));
    let mut compared = 0;
    for name in starts.filter(|name| weights.contains(&format!("grad_{name}_0"))) {
        let shape = weights.shape(&format!("{name}0")).unwrap().to_vec();
        let read = |key: &str| Tensor::<1>::from_floats(case.values(key).as_slice(), &device);
        let mut optimizer = Adafactor::new(config(case));
        let mut values = read(&format!("{name}0"));
        for step in 0.. {
            let gradient = format!("grad_{name}_{step}");
            if !weights.contains(&gradient) {
                break;
            }
            let slot = Slot {
                path: name,
                shape: &shape,
            };
            values = optimizer.update(slot, values, read(&gradient), StepSize::new(learning_rate));
            let found = values.to_data().try_into_vec::<f32>().unwrap();
            let off = fixtures::furthest(&found, &case.values(&format!("{name}_{step}")));
            assert!(
                off <= tolerance,
                "{}: {name}_{step} is off by {off}",
                case.name
            );
            compared += 1;
        }
    }
    assert!(compared > 0, "{}: nothing to compare", case.name);
}
