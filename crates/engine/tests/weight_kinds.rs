//! Layers whose weights are held in fewer bits, with products of bf16 values. The choice of products is one for the whole process:
//! this is the only test in its own.
#![allow(clippy::unwrap_used)]

use base::rng::Rng;
use engine::burn::tensor::{Device, Tensor, TensorData};
use engine::nn::{Init, LinearConfig, WeightKind};
use engine::ops::{Precision as Products, set_precision};
use engine::weights::{KeyMap, Loading, Precision, TensorFile, Weights, load_with};

#[test]
fn products_of_bf16_values_stay_near() {
    let mut file = TensorFile::new();
    let weight = Rng::new(1).normals(80 * 96);
    file.floats("weight", &[80, 96], &weight, Precision::F32)
        .unwrap();
    file.floats("bias", &[80], &[0.5; 80], Precision::F32)
        .unwrap();
    let file = Weights::from_bytes(file.to_bytes()).unwrap();
    let device = Device::flex();
    let x = TensorData::new(Rng::new(2).normals(5 * 96), [5, 96]);
    let x = Tensor::<2>::from_data(x, &device);
    for kind in WeightKind::ALL {
        let layer = LinearConfig::new(96, 80)
            .with_init(Init::Lazy)
            .init(&mut Rng::new(0), &device);
        let loading = Loading {
            kind: &|_| kind,
            changes: &mut |_, _| Ok(Vec::new()),
        };
        let layer = load_with(layer, &file, &KeyMap::new(), loading).unwrap();
        let [exact, near] = [Products::F32, Products::Bf16].map(|products| {
            let before = set_precision(products);
            let y = layer.forward(x.clone()).into_data();
            set_precision(before);
            y.iter::<f32>().collect::<Vec<f32>>()
        });
        // 96 products of values up to about 10, each off by at most 2⁻⁷ of itself.
        for (exact, near) in exact.iter().zip(&near) {
            assert!((exact - near).abs() < 0.5, "{kind}: {exact} {near}");
        }
    }
}
