//! `orrery emov2 features`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, print_json, print_line, report};
use base::media::read_image;
use base::tensor_file::{Precision, TensorFile};
use clap::Args;
use serde_json::json;

use super::options::{Model, write_drawn};
use crate::emov2::draw;

/// Options of `features`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery emov2 features photo.jpg --model EMOv2_5M_224.pth --stage 4 --out photo.safetensors
  orrery emov2 features photo.jpg --model EMOv2_5M_224.pth --stage 3 --picture where.png

The file holds `stage1` to `stage4`, `[1, channels, height, width]` with strides 4 to 32, and `pooled`, `[1, channels]`.")]
pub struct Features {
    /// A picture: PNG, JPEG, WebP or GIF
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    #[command(flatten)]
    model: Model,
    /// Which stages, from 1 to 4; may be given again [default: all]
    #[arg(long, value_name = "STAGE", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=4))]
    stage: Vec<u8>,
    /// The maps, as safetensors
    #[arg(long, value_name = "FILE", required_unless_present = "picture")]
    out: Option<PathBuf>,
    /// How strong the last of the stages is at each place, as a picture
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Features {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let model = self.model.open()?;
        let (emo, _) = self.model.emo(&model)?;
        let picture = read_image(&self.image)?;
        context.proceed()?;
        let maps = emo.features(model.seen(&picture), None);
        let mut stages: Vec<u8> = match self.stage.is_empty() {
            true => (1..=4).collect(),
            false => self.stage.clone(),
        };
        stages.sort_unstable();
        stages.dedup();
        let mut file = TensorFile::new();
        let mut shapes = serde_json::Map::new();
        let mut last = None;
        let pooled = emo.pooled(maps[4].clone());
        for stage in &stages {
            let map = maps[usize::from(*stage)].clone();
            let shape = map.dims();
            let values: Vec<f32> = map.into_data().iter::<f32>().collect();
            let name = format!("stage{stage}");
            file.floats(&name, &shape, &values, Precision::F32)?;
            shapes.insert(name, json!(shape));
            last = Some((values, shape));
        }
        let shape = pooled.dims();
        let values: Vec<f32> = pooled.into_data().iter::<f32>().collect();
        file.floats("pooled", &shape, &values, Precision::F32)?;
        if let Some(path) = &self.out {
            file.write(path)?;
        }
        if let (Some(path), Some((values, [_, channels, height, width]))) = (&self.picture, last) {
            let area = height * width;
            let strength: Vec<f32> = (0..area)
                .map(|at| {
                    let squares = (0..channels).map(|c| values[c * area + at].powi(2));
                    libm::sqrtf(squares.sum::<f32>() / channels as f32)
                })
                .collect();
            write_drawn(path, &draw::heat(&strength, [height, width])?)?;
        }
        if self.output.json {
            let [out, picture] =
                [&self.out, &self.picture].map(|path| path.as_deref().map(base::files::shown));
            return print_json(&json!({"out": out, "picture": picture, "shapes": shapes}));
        }
        for (name, shape) in &shapes {
            print_line(&format!("{name} {shape}"))?;
        }
        for path in [&self.out, &self.picture].into_iter().flatten() {
            report(false, &format!("wrote {}", path.display()))?;
        }
        Ok(())
    }
}
