//! Weights that are held in bf16 and in blocks.

use base::rng::Rng;
use engine::burn::module::Param;
use engine::burn::tensor::{Device, Tensor, TensorData};
use engine::models::stable_diffusion::{OpenOptions, StableDiffusion};
use engine::nn::{Conv2d, Conv2dConfig, Init, Linear, LinearConfig, LowRank, WeightKind};
use engine::ops;
use engine::weights::{
    KeyMap, Loading, Precision, TensorFile, Weights, load, load_with, save, store_as,
};

use crate::pipeline::{draw, open_with, request};
use crate::tiny::Tiny;

const OUTPUT: usize = 80;
const INPUT: usize = 96;
const ROWS: usize = 5;

/// How far two pictures are apart on average, in steps of 256.
pub fn apart(found: &[u8], wanted: &[u8]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let each = found.iter().zip(wanted).map(|(a, b)| a.abs_diff(*b));
    each.map(f64::from).sum::<f64>() / wanted.len() as f64
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn drawn<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let values = Rng::new(seed).normals(shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// Weight and bias of a layer, and the file that has them.
fn file() -> (Vec<f32>, Weights) {
    let weight = values(drawn([OUTPUT, INPUT], 1));
    let mut file = TensorFile::new();
    let bias = values(drawn([OUTPUT], 2));
    for (name, shape, values) in [
        ("weight", &[OUTPUT, INPUT][..], &weight),
        ("bias", &[OUTPUT], &bias),
    ] {
        file.floats(name, shape, values, Precision::F32).unwrap();
    }
    (weight, Weights::from_bytes(file.to_bytes()).unwrap())
}

fn layer(file: &Weights, kind: WeightKind, changes: &[LowRank]) -> Linear {
    let layer = LinearConfig::new(INPUT, OUTPUT)
        .with_init(Init::Lazy)
        .init(&mut Rng::new(0), &Device::flex());
    let mut added = |path: &str, _: &[usize]| {
        Ok(match path {
            "weight" => changes.to_vec(),
            _ => Vec::new(),
        })
    };
    let loading = Loading {
        kind: &|_| kind,
        changes: &mut added,
    };
    load_with(layer, file, &KeyMap::new(), loading).unwrap()
}

/// The product by the values that the layer says it has, and how much products by blocks may differ: each value of `x` moves
/// by at most 1/254 of the largest magnitude among its 32.
fn dense(layer: &Linear, x: &Tensor<2>) -> (Vec<f32>, Vec<f32>) {
    let weight = layer.weight.val();
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let y = values(ops::linear(x.clone(), weight.clone(), bias));
    let (weight, x) = (values(weight), values(x.clone()));
    let mut room = Vec::new();
    for x in x.chunks(INPUT) {
        for weight in weight.chunks(INPUT) {
            let blocks = x.chunks(32).zip(weight.chunks(32));
            let moved = blocks.map(|(x, weight)| {
                let most = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                most / 254.0 * weight.iter().map(|w| w.abs()).sum::<f32>()
            });
            room.push(moved.sum::<f32>() + 1e-3);
        }
    }
    (y, room)
}

#[test]
fn a_layer_computes_with_the_values_that_it_holds() {
    let (weight, file) = file();
    let x = drawn([ROWS, INPUT], 3);
    for kind in WeightKind::ALL {
        let layer = layer(&file, kind, &[]);
        let y = values(layer.forward(x.clone()));
        let (wanted, room) = dense(&layer, &x);
        let held = values(layer.weight.val());
        match kind {
            WeightKind::F32 => assert_eq!((&held, &y), (&weight, &wanted)),
            WeightKind::Bf16 => {
                let rounded = weight.iter().map(|w| half::bf16::from_f32(*w).to_f32());
                assert_eq!(held, rounded.collect::<Vec<f32>>());
                assert_eq!(y, wanted);
            }
            WeightKind::Q8_0 => {
                for (held, weight) in held.chunks(32).zip(weight.chunks(32)) {
                    let most = weight.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                    for (held, weight) in held.iter().zip(weight) {
                        assert!((held - weight).abs() <= most / 253.0, "{held} {weight}");
                    }
                }
                for ((y, wanted), room) in y.iter().zip(&wanted).zip(&room) {
                    assert!((y - wanted).abs() <= *room, "{y} {wanted} {room}");
                }
            }
        }
        // A row alone is what it is among others, but for the order of sums.
        for row in 0..ROWS {
            let alone = values(layer.forward(x.clone().narrow(0, row, 1)));
            for (alone, among) in alone.iter().zip(&y[row * OUTPUT..]) {
                assert!((alone - among).abs() < 1e-4, "{kind}: {alone} {among}");
            }
        }
        // It can be filled anew only where it is dense.
        let again = load(layer.clone(), &file, &KeyMap::new());
        assert_eq!(again.is_ok(), kind == WeightKind::F32);
        // What is saved are the values in f32.
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("layer.safetensors");
        save(&layer, &KeyMap::new(), &[], Precision::F32, &path).unwrap();
        assert_eq!(
            Weights::open(&path).unwrap().values("weight").unwrap(),
            held
        );
    }
}

#[test]
fn what_a_lora_adds_is_not_rounded_with_a_weight_in_blocks() {
    let (_, file) = file();
    let x = drawn([ROWS, INPUT], 3);
    let change = |seed| LowRank {
        down: drawn([2, INPUT], seed),
        up: drawn([OUTPUT, 2], seed + 1) * 0.1,
        scale: 0.5,
        weight: 0.8,
    };
    let changes = [change(4), change(6)];
    let plain = layer(&file, WeightKind::Q8_0, &[]);
    let layer_of = |kind| layer(&file, kind, &changes);
    let quant = layer_of(WeightKind::Q8_0);
    let mut wanted = values(plain.weight.val());
    LowRank::add(&changes, &mut wanted);
    assert_eq!(values(quant.weight.val()), wanted);
    let (merged, room) = dense(&quant, &x);
    let y = values(quant.forward(x.clone()));
    for ((y, merged), room) in y.iter().zip(&merged).zip(&room) {
        assert!((y - merged).abs() <= *room, "{y} {merged} {room}");
    }
    assert_ne!(y, values(plain.forward(x.clone())));
    let exact = values(layer_of(WeightKind::F32).forward(x.clone()));
    let rounded = values(layer_of(WeightKind::Bf16).forward(x));
    for (exact, rounded) in exact.iter().zip(&rounded) {
        assert!((exact - rounded).abs() < 0.3, "{exact} {rounded}");
    }
}

#[test]
fn a_convolution_holds_bf16() {
    let weight = values(drawn([6, 4, 3, 3], 1));
    let mut file = TensorFile::new();
    file.floats("weight", &[6, 4, 3, 3], &weight, Precision::F32)
        .unwrap();
    file.floats("bias", &[6], &[0.5; 6], Precision::F32)
        .unwrap();
    let file = Weights::from_bytes(file.to_bytes()).unwrap();
    let conv = Conv2d::lazy(4, 6, 3, &mut Rng::new(0), &Device::flex());
    let loading = Loading {
        kind: &|_| WeightKind::Q8_0,
        changes: &mut |_, _| Ok(Vec::new()),
    };
    let conv = load_with(conv, &file, &KeyMap::new(), loading).unwrap();
    let x = drawn([2, 4, 7, 7], 2);
    let y = values(conv.forward(x.clone()));
    let held = conv.weight.val();
    let rounded = weight.iter().map(|w| half::bf16::from_f32(*w).to_f32());
    assert_eq!(values(held.clone()), rounded.collect::<Vec<f32>>());
    let bias = conv.bias.as_ref().map(|bias| bias.val());
    assert_eq!(values(conv.forward_with(x, held, bias)), y);
}

/// A convolution of `config` with weights that bf16 holds exactly, stored as `kind`.
fn stored(config: &Conv2dConfig, kind: WeightKind) -> Conv2d {
    let mut conv = config.init(&mut Rng::new(5), &Device::flex());
    let weight = conv.weight.val();
    let exact = values(weight.clone())
        .iter()
        .map(|w| half::bf16::from_f32(*w).to_f32())
        .collect();
    let exact = TensorData::new::<f32, _>(exact, weight.dims());
    conv.weight = Param::from_data(exact, &Device::flex());
    store_as(conv, &|_| kind).unwrap()
}

#[test]
fn a_convolution_in_bf16_gives_the_bits_of_its_values() {
    for config in [
        Conv2dConfig::new(40, 36, 3),
        Conv2dConfig::new(33, 20, 3).with_stride(2).without_bias(),
        Conv2dConfig::new(32, 16, 1),
        Conv2dConfig::new(1, 4, 3),
        Conv2dConfig::depthwise(6, 3),
        Conv2dConfig {
            groups: 2,
            ..Conv2dConfig::new(8, 8, 3)
        },
    ] {
        let [plain, packed] = [WeightKind::F32, WeightKind::Bf16].map(|kind| stored(&config, kind));
        assert_eq!(values(packed.weight.val()), values(plain.weight.val()));
        let x = drawn([2, config.input, 9, 17], 6);
        for precision in [ops::Precision::F32, ops::Precision::Bf16] {
            let before = ops::set_precision(precision);
            let [wanted, found] = [&plain, &packed].map(|conv| values(conv.forward(x.clone())));
            ops::set_precision(before);
            assert_eq!(found, wanted, "{config:?}");
        }
    }
}

#[test]
fn bf16_weights_change_no_picture_drawn_with_bf16_products() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny {
        precision: Precision::BF16,
        ..Tiny::default()
    };
    tiny.write(folder.path());
    let before = ops::set_precision(ops::Precision::Bf16);
    let [wanted, found] = [WeightKind::F32, WeightKind::Bf16].map(|kind| {
        let model = of_kind(folder.path(), kind);
        draw(&model, &request(&model))
    });
    ops::set_precision(before);
    assert_eq!(found[0].pixels, wanted[0].pixels);
}

fn of_kind(path: &std::path::Path, weights: WeightKind) -> StableDiffusion {
    let options = OpenOptions {
        weights,
        ..OpenOptions::default()
    };
    open_with(path, options).unwrap()
}

#[test]
fn pictures_of_each_kind_are_near_and_depend_on_their_seed_alone() {
    let folder = tempfile::tempdir().unwrap();
    Tiny::default().write(folder.path());
    let exact = of_kind(folder.path(), WeightKind::F32);
    let mut asked = request(&exact);
    asked.seeds = vec![4, 9, 4];
    let wanted = draw(&exact, &asked);
    for (kind, most) in [(WeightKind::Bf16, 3.0), (WeightKind::Q8_0, 8.0)] {
        let model = of_kind(folder.path(), kind);
        asked.seeds = vec![4, 9, 4];
        let together = draw(&model, &asked);
        assert_eq!(together[0].pixels, together[2].pixels, "{kind}");
        asked.seeds = vec![9];
        assert_eq!(draw(&model, &asked)[0].pixels, together[1].pixels, "{kind}");
        for (found, wanted) in together.iter().zip(&wanted) {
            let off = apart(&found.pixels, &wanted.pixels);
            assert!(off > 0.0 && off < most, "{kind}: {off}");
        }
    }
    let info = StableDiffusion::info(folder.path(), &OpenOptions::default()).unwrap();
    let bytes = WeightKind::ALL.map(|kind| info.weight_bytes[&kind.to_string()]);
    assert!(bytes[0] > bytes[1] && bytes[1] > bytes[2], "{bytes:?}");
}

#[test]
fn a_lora_on_weights_in_blocks_is_near_the_merged_one() {
    let place = tempfile::tempdir().unwrap();
    Tiny::default().write(place.path());
    let mut file = TensorFile::new();
    for (layer, shapes) in [
        (
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k",
            [&[2, 64][..], &[128, 2]],
        ),
        (
            "unet.down_blocks.1.attentions.0.proj_out",
            [&[2, 128], &[128, 2]],
        ),
        (
            "unet.down_blocks.0.resnets.0.conv1",
            [&[2, 64, 3, 3], &[64, 2, 1, 1]],
        ),
        (
            "text_encoder.text_model.encoder.layers.0.self_attn.q_proj",
            [&[2, 64], &[64, 2]],
        ),
    ] {
        for (part, shape) in ["lora_A", "lora_B"].iter().zip(shapes) {
            let values = Rng::new(shape.len() as u64).normals(shape.iter().product());
            let values: Vec<f32> = values.iter().map(|x| x * 0.3).collect();
            let name = format!("{layer}.{part}.weight");
            file.floats(&name, shape, &values, Precision::F32).unwrap();
        }
    }
    let path = place.path().join("lora.safetensors");
    file.write(&path).unwrap();
    let picture = |weights: WeightKind, by: Option<f32>| {
        let options = OpenOptions {
            weights,
            loras: by.map(|by| (path.clone(), by)).into_iter().collect(),
            ..OpenOptions::default()
        };
        let model = open_with(place.path(), options).unwrap();
        assert!(model.notes().is_empty(), "{:?}", model.notes());
        draw(&model, &request(&model)).remove(0).pixels
    };
    let plain = picture(WeightKind::F32, None);
    let merged = picture(WeightKind::F32, Some(0.8));
    let changed = apart(&merged, &plain);
    assert_eq!(
        picture(WeightKind::Q8_0, Some(0.0)),
        picture(WeightKind::Q8_0, None)
    );
    for kind in [WeightKind::Bf16, WeightKind::Q8_0] {
        let off = apart(&picture(kind, Some(0.8)), &merged);
        assert!(off < changed / 2.0, "{kind}: {off} of {changed}");
    }
}
