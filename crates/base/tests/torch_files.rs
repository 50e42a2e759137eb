//! Checkpoints that `torch.save` wrote.

#![allow(clippy::unwrap_used)]
use std::path::{Path, PathBuf};

use base::rng::Rng;
use base::tensor_file::{Weights, WeightsError};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/torch")
        .join(name)
}

/// The tensors that every file of these holds.
fn check(weights: &Weights) {
    assert_eq!(weights.shape("linear.weight"), Some(&[2, 3][..]));
    assert_eq!(
        weights.values("linear.weight").unwrap(),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
    assert_eq!(weights.values("linear.bias").unwrap(), [0.5, -1.5]);
    assert_eq!(weights.values("half").unwrap(), [1.0, 2.0]);
    assert_eq!(weights.ints("count").unwrap(), [7]);
    assert_eq!(weights.shape("transposed"), Some(&[3, 2][..]));
    assert_eq!(
        weights.values("transposed").unwrap(),
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    );
}

#[test]
fn a_zip_with_several_models_a_namespace_and_plain_values() {
    let weights = Weights::open(fixture("nested.pt")).unwrap();
    check(&weights.within("model"));
    assert_eq!(
        weights.within("ema").values("linear.bias").unwrap(),
        [1.0, -3.0]
    );
    assert_eq!(weights.metadata()["step"], "12");
    assert_eq!(weights.metadata()["lr"], "0.25");
    let config: serde_json::Value = serde_json::from_str(&weights.metadata()["config"]).unwrap();
    assert_eq!(config["depth"], 3);
    assert!(matches!(
        weights.values("model.linear.wieght"),
        Err(WeightsError::Absent { hint, .. }) if hint.contains("model.linear.weight")
    ));
}

#[test]
fn the_older_stream_with_a_state_dict() {
    check(&Weights::open(fixture("state_dict.pth")).unwrap());
}

#[test]
fn a_call_is_refused_by_name() {
    let error = Weights::open(fixture("call.bin")).unwrap_err().to_string();
    assert!(error.contains("system"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pt");
    let rng = Rng::new(3);
    for name in ["nested.pt", "state_dict.pth"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for trial in 0..300 {
            let mut rng = rng.item(trial);
            let mut bytes = whole.clone();
            if trial % 3 == 0 {
                bytes.truncate(rng.below(whole.len()));
            }
            for _ in 0..rng.below(4) {
                if !bytes.is_empty() {
                    let at = rng.below(bytes.len());
                    bytes[at] ^= 1 << rng.below(8);
                }
            }
            std::fs::write(&path, bytes).unwrap();
            let Ok(weights) = Weights::open(&path) else {
                continue;
            };
            for name in weights.names() {
                let _ = (weights.values(name), weights.ints(name));
            }
        }
    }
}
