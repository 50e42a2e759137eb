//! Times a training step of the embedded picture model, forward and backward. `cargo run --release --example stiv_step`
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use std::time::Instant;
use video::stiv::{Condition, ForwardOptions, StivConfig};

fn main() {
    base::memory::keep_large_buffers();
    let device = Device::flex().autodiff();
    let mut rng = Rng::new(0);
    let frames: usize = std::env::args()
        .nth(1)
        .map_or(1, |a| a.parse().unwrap_or(1));
    let batch: usize = std::env::args()
        .nth(2)
        .map_or(64, |a| a.parse().unwrap_or(1));
    let mut config = StivConfig::emoji_images();
    if frames > 1 {
        config = StivConfig::emoji_clips();
    }
    let model = config.init(&mut rng, &device);
    let mut put = |shape: [usize; 5]| {
        Tensor::<5>::from_data(
            TensorData::new(rng.normals(shape.iter().product()), shape),
            &device,
        )
    };
    let x = put([batch, 3, frames, 32, 32]);
    let condition = Condition {
        text: Tensor::zeros([batch, 8, 64], &device),
        text_mask: None,
        pooled: Tensor::zeros([batch, 64], &device),
        micro: vec![[1.0; 6]; batch],
    };
    for _ in 0..4 {
        let start = Instant::now();
        let v = model.forward(
            x.clone(),
            &vec![0.3; batch],
            &condition,
            &ForwardOptions::default(),
        );
        let loss = (v - x.clone()).square().mean();
        let forward = start.elapsed();
        let g = loss.backward();
        let total = start.elapsed();
        drop(g);
        println!(
            "forward {:.3} s, with backward {:.3} s",
            forward.as_secs_f32(),
            total.as_secs_f32()
        );
    }
}
