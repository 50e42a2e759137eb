//! HyperFL against recorded numbers of the official code and of the libraries it uses: every case of every kind that is there.
#![allow(clippy::unwrap_used)]

mod attacks;
mod derivatives;
mod formats;
mod lpm;
mod rounds;

use base::fixtures::{self, Case};
use learning::hyperfl::{Batch, Layout, LocalConfig, Network, Samples};
use serde_json::Value;

fn all(kind: &str) -> Vec<Case> {
    fixtures::all("hyperfl", kind)
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
