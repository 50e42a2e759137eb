//! PixArt-α's transformer against diffusers' numbers.

use std::path::Path;

use base::fixtures::{cases, furthest, report};
use base::rng::Rng;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use engine::models::pixart::{PixArtConfig, key_map};
use engine::weights::{self, CaseTensor};

#[test]
fn pixart_tiny() {
    let committed = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    let all = cases("stiv", "pixart_tiny", committed);
    for case in &all {
        let device = Device::flex();
        let config: PixArtConfig =
            serde_json::from_value(case.json["config"].clone()).expect("a PixArt config");
        let model = config.init(&mut Rng::new(0), &device);
        let model = weights::load(model, case.weights(), &key_map().within("w"))
            .expect("official names and shapes");
        let tolerance = case.tolerance("out", 5e-5) as f32;

        let x: Tensor<4> = case.tensor("x", &device);
        let [_, _, height, width] = x.dims();
        let side = config.patch_size;
        let positions = model.positions(height / side, width / side, config.width(), &device);
        let positions: Vec<f32> = positions.into_data().iter::<f32>().collect();
        assert!(furthest(&positions, &case.values("pos_embed")) <= tolerance);

        let caption: Tensor<3> = case.tensor("caption", &device);
        let [batch, keys, _] = caption.dims();
        let mask: Vec<bool> = case.ints("caption_mask").iter().map(|&m| m != 0).collect();
        let mask = Tensor::<2, Bool>::from_data(TensorData::new(mask, [batch, keys]), &device);
        let t: Vec<f32> = case.ints("t").iter().map(|&t| t as f32).collect();
        let out = model.forward(x, &t, caption, Some(mask));
        let out: Vec<f32> = out.into_data().iter::<f32>().collect();
        let distance = furthest(&out, &case.values("out"));
        assert!(distance <= tolerance, "{}: off by {distance:e}", case.name);
    }
    report("stiv", "pixart_tiny", all.len());
}
