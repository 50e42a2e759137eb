//! Facts about checkpoints: what is written comes back, and what does not fit is named.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::Path;

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use engine::burn;
use engine::weights::{
    KeyMap, Precision, ReadTensor, TensorFile, Weights, WeightsError, load, load_partial, params,
    save,
};

#[derive(Module, Debug)]
struct Linear {
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
}

#[derive(Module, Debug)]
struct Block {
    temporal: Linear,
    spatial: Linear,
}

#[derive(Module, Debug)]
struct Net {
    blocks: Vec<Block>,
    steps: Param<Tensor<1, Int>>,
    head: Linear,
    #[module(skip)]
    width: usize,
}

fn linear(rng: &mut Rng, bias: bool, device: &Device) -> Linear {
    let values = |rng: &mut Rng, n| rng.normals(n);
    Linear {
        weight: Param::from_tensor(
            Tensor::<1>::from_floats(values(rng, 6).as_slice(), device).reshape([2, 3]),
        ),
        bias: bias
            .then(|| Param::from_tensor(Tensor::from_floats(values(rng, 2).as_slice(), device))),
    }
}

fn net(seed: u64, device: &Device) -> Net {
    let mut rng = Rng::new(seed);
    Net {
        blocks: (0..2)
            .map(|_| Block {
                temporal: linear(&mut rng, true, device),
                spatial: linear(&mut rng, false, device),
            })
            .collect(),
        steps: Param::initialized(
            burn::module::ParamId::new(),
            Tensor::from_ints([seed as i32, 5, 6], device),
        ),
        head: linear(&mut rng, true, device),
        width: 3,
    }
}

fn write(net: &Net, folder: &Path, keys: &KeyMap, precision: Precision) -> Weights {
    let path = folder.join("net.safetensors");
    save(net, keys, &[("origin", "a test")], precision, &path).unwrap();
    Weights::open(&path).unwrap()
}

fn bytes(net: &Net) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    write(net, folder.path(), &KeyMap::new(), Precision::F32);
    std::fs::read(folder.path().join("net.safetensors")).unwrap()
}

#[test]
fn paths_are_dotted_field_names() {
    let paths: Vec<String> = params(&net(1, &Device::default()))
        .into_iter()
        .map(|param| param.path)
        .collect();
    assert_eq!(paths[0], "blocks.0.temporal.weight");
    assert_eq!(paths[1], "blocks.0.temporal.bias");
    assert_eq!(paths[2], "blocks.0.spatial.weight");
    assert_eq!(paths[6..], ["steps", "head.weight", "head.bias"]);
}

#[test]
fn a_module_comes_back_bit_for_bit_under_other_names_and_on_every_device() {
    let folder = tempfile::tempdir().unwrap();
    let keys = KeyMap::new()
        .rename("layers.{}.attn2", "blocks.{}.temporal")
        .rename("layers", "blocks")
        .exact("out.kernel", "head.weight")
        .within("model");
    let plain = Device::default();
    let source = net(1, &plain);
    let weights = write(&source, folder.path(), &keys, Precision::F32);
    assert!(weights.contains("model.layers.1.attn2.bias"));
    assert!(weights.contains("model.layers.1.spatial.weight"));
    assert!(weights.contains("model.out.kernel"));
    assert_eq!(weights.metadata()["origin"], "a test");
    for device in [plain.clone(), plain.autodiff()] {
        let loaded = load(net(2, &device), &weights, &keys).unwrap();
        assert_eq!(bytes(&loaded), bytes(&source));
        assert_eq!(loaded.head.weight.is_require_grad(), device.is_autodiff());
        assert_eq!(loaded.head.weight.val().is_autodiff(), device.is_autodiff());
    }
}

#[test]
fn frozen_parameters_stay_frozen_and_trainable_ones_receive_gradients() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::default().autodiff();
    let weights = write(
        &net(1, &device),
        folder.path(),
        &KeyMap::new(),
        Precision::F32,
    );
    let mut target = net(2, &device);
    target.blocks = target.blocks.into_iter().map(Module::no_grad).collect();
    let loaded = load(target, &weights, &KeyMap::new()).unwrap();
    assert!(!loaded.blocks[0].temporal.weight.is_require_grad());
    let grads = loaded.head.weight.val().sum().backward();
    assert!(loaded.head.weight.val().grad(&grads).is_some());
    let revived = load(net(2, &device).valid(), &weights, &KeyMap::new()).unwrap();
    assert!(revived.train().head.weight.is_require_grad());
}

#[test]
fn half_precision_rounds_and_refuses_what_would_overflow() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::default();
    let source = net(1, &device);
    for (precision, error) in [
        (Precision::F16, 2.0_f32.powi(-11)),
        (Precision::BF16, 2.0_f32.powi(-8)),
    ] {
        let weights = write(&source, folder.path(), &KeyMap::new(), precision);
        let back = weights.values("head.weight").unwrap();
        let was = source
            .head
            .weight
            .val()
            .into_data()
            .try_into_vec::<f32>()
            .unwrap();
        for (a, b) in back.iter().zip(&was) {
            assert!((a - b).abs() <= error * b.abs(), "{a} {b}");
        }
        assert_eq!(weights.ints("steps").unwrap(), [1, 5, 6]);
    }
    let mut file = TensorFile::new();
    let refused = file
        .floats("big", &[1], &[1e6], Precision::F16)
        .unwrap_err();
    assert!(
        refused.to_string().contains("save as BF16 or F32"),
        "{refused}"
    );
    file.floats("big", &[1], &[f32::INFINITY], Precision::F16)
        .unwrap();
}

#[test]
fn long_tensors_are_read_whole_and_again_after_their_memory_is_released() {
    const COUNT: usize = 3 * 65536 + 700;
    let folder = tempfile::tempdir().unwrap();
    // Exact in both halves.
    let written: Vec<f32> = (0..COUNT).map(|i| (i % 251) as f32 - 125.0).collect();
    for precision in [Precision::F32, Precision::F16, Precision::BF16] {
        let mut file = TensorFile::new();
        file.floats("short", &[1], &[1.0], precision).unwrap();
        file.floats("x", &[COUNT], &written, precision).unwrap();
        let path = folder.path().join(format!("{precision:?}.safetensors"));
        file.write(&path).unwrap();
        let weights = Weights::open(&path).unwrap();
        for name in ["x", "short", "absent"] {
            assert!(weights.values("x").unwrap() == written, "{precision:?}");
            assert_eq!(weights.values("short").unwrap(), [1.0]);
            weights.release(name);
        }
    }
}

#[test]
fn one_error_names_every_key_that_does_not_fit() {
    let mut file = TensorFile::new();
    for (name, shape) in [("blocks.0.temporal.weight", vec![3, 2]), ("stray", vec![1])] {
        let n = shape.iter().product();
        file.floats(name, &shape, &vec![0.0; n], Precision::F32)
            .unwrap();
    }
    let weights = Weights::from_bytes(file.to_bytes()).unwrap();
    let device = Device::default();
    let text = load(net(1, &device), &weights, &KeyMap::new())
        .unwrap_err()
        .to_string();
    for part in [
        "`embedded weights` does not fit this model",
        "8 missing: `blocks.0.temporal.bias` (expected [2])",
        "1 extra: `stray` (found [1])",
        "1 wrong shape: `blocks.0.temporal.weight` (found [3, 2], expected [2, 3])",
        "use the checkpoint that belongs to this config",
    ] {
        assert!(text.contains(part), "{text}");
    }
    for i in 0..30 {
        file.floats(&format!("more.{i}"), &[1], &[0.0], Precision::F32)
            .unwrap();
    }
    let weights = Weights::from_bytes(file.to_bytes()).unwrap();
    let text = load(net(1, &device), &weights, &KeyMap::new())
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("31 extra") && text.contains("and 21 more"),
        "{text}"
    );
}

#[test]
fn partial_loading_fills_what_was_chosen_and_says_what_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::default();
    let weights = write(
        &net(1, &device),
        folder.path(),
        &KeyMap::new(),
        Precision::F32,
    );
    let (mixed, report) =
        load_partial(net(2, &device), &weights, &KeyMap::new().only("temporal")).unwrap();
    assert_eq!(report.loaded.len(), 4);
    assert_eq!(report.kept.len(), 5);
    assert_eq!(report.unused.len(), 5);
    let value = |net: &Net| {
        (
            net.blocks[1].temporal.weight.val().into_data(),
            net.head.weight.val().into_data(),
        )
    };
    assert_eq!(value(&mixed).0, value(&net(1, &device)).0);
    assert_eq!(value(&mixed).1, value(&net(2, &device)).1);
}

#[test]
fn equal_contents_give_equal_bytes_that_the_reference_reader_accepts() {
    let device = Device::default();
    let first = bytes(&net(3, &device));
    assert_eq!(first, bytes(&net(3, &device)));
    let read = safetensors::SafeTensors::deserialize(&first).unwrap();
    assert_eq!(read.len(), 9);
    assert_eq!(
        read.tensor("steps").unwrap().dtype(),
        safetensors::Dtype::I64
    );
    // Widest first, as the reference writer lays them out, so that mapped values stay aligned.
    let data: HashMap<_, _> = read.tensors().into_iter().collect();
    assert!(
        safetensors::serialize(data, Some([("origin".into(), "a test".into())].into())).unwrap()
            == first
    );
}

#[test]
fn the_wrong_question_gets_a_readable_answer() {
    let weights = Weights::from_bytes(bytes(&net(3, &Device::default()))).unwrap();
    let text = weights.values("head.wieght").unwrap_err().to_string();
    assert!(text.ends_with("did you mean `head.weight`?"), "{text}");
    assert!(matches!(
        weights.values("steps"),
        Err(WeightsError::Type { .. })
    ));
    assert!(matches!(
        weights.ints("head.bias"),
        Err(WeightsError::Type { .. })
    ));
    assert!(matches!(
        weights.tensor::<3>("head.weight", &Device::default()),
        Err(WeightsError::Rank { .. })
    ));
    let text = Weights::open("/nowhere/x.safetensors")
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("cannot read `/nowhere/x.safetensors`"),
        "{text}"
    );
}

#[test]
fn broken_files_are_errors_and_never_panics() {
    let device = Device::default();
    let good = bytes(&net(3, &device));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.safetensors");
    for length in (0..good.len()).step_by(7) {
        std::fs::write(&path, &good[..length]).unwrap();
        let text = Weights::open(&path).unwrap_err().to_string();
        assert!(text.contains("broken.safetensors"), "{text}");
    }
    let mut huge = good.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(
        Weights::from_bytes(huge),
        Err(WeightsError::Corrupt { .. })
    ));
    let mut rng = Rng::new(9);
    let mut opened = 0;
    for _ in 0..4000 {
        let mut bad = good.clone();
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(900.min(bad.len()));
            bad[at] ^= 1 << rng.below(8);
        }
        let Ok(weights) = Weights::from_bytes(bad) else {
            continue;
        };
        opened += 1;
        for name in weights.names().map(str::to_owned).collect::<Vec<_>>() {
            let _ = (
                weights.values(&name),
                weights.ints(&name),
                weights.bytes(&name),
            );
        }
        let _ = load(net(4, &device), &weights, &KeyMap::new());
    }
    println!("{opened} of 4000 damaged files still opened");
}
