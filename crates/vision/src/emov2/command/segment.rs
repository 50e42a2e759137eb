//! `orrery emov2 segment`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, print_json, print_line};
use base::media::{Image, read_image};
use base::rng::Rng;
use base::tensor_file::Weights;
use burn::tensor::Device;
use clap::Args;
use engine::weights;
use serde_json::json;

use super::detect::{fitted, padded};
use super::options::{Work, class_names, size, write_drawn};
use crate::emov2::segment::{SegmentHead, Segmenter, SegmenterConfig};
use crate::emov2::{EmoConfig, checkpoint, draw};

/// Shorter side of pictures where nobody says it.
pub(super) const SIZE: usize = 512;
/// Longest side over the shorter one.
const LONGEST: f64 = 4.0;

/// Options of `segment`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery emov2 segment street.jpg --head fpn --model fpn-emov2-5m.pth --labels ade20k.txt --out parts.png

The authors published no segmenters. Checkpoints of their training code (mmsegmentation) are read by their own names.")]
pub struct Segment {
    /// A picture: PNG, JPEG, WebP or GIF
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// The head that the checkpoint has
    #[arg(long, value_enum)]
    head: SegmentHead,
    /// A segmenter: `.pth` of the training code, or `.safetensors` with the same names
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Names of the classes, one a line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Shorter side of the picture that the network sees
    #[arg(long, value_name = "PIXELS", default_value_t = SIZE, value_parser = size)]
    size: usize,
    /// The picture tinted by class
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    output: Output,
}

impl Segment {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let device = self.work.begin()?;
        let (model, _) = open(&self.model, self.head, &device)?;
        let name = class_names(self.labels.as_deref())?;
        let picture = read_image(&self.image)?;
        context.proceed()?;
        let resized = resized(&picture, self.size);
        let [height, width] = [resized.height as usize, resized.width as usize];
        let x = padded(&resized, &device);
        let classes = model.classes(x, [height, width], [height, width]);
        let classes = classes.ok_or_else(headless)?;
        let mut areas = std::collections::BTreeMap::<usize, usize>::new();
        for class in &classes {
            *areas.entry(*class).or_default() += 1;
        }
        if let Some(path) = &self.out {
            write_drawn(path, &draw::segments(&resized, &classes, &name))?;
        }
        let share = |area: usize| area as f64 / classes.len().max(1) as f64;
        if self.output.json {
            let areas: Vec<_> = areas
                .iter()
                .map(|(class, area)| json!({"class": class, "name": name(*class), "share": share(*area)}))
                .collect();
            return print_json(
                &json!({"image": base::files::shown(&self.image), "size": [height, width], "areas": areas}),
            );
        }
        for (class, area) in areas {
            print_line(&format!("{:5.1} %  {}", 100.0 * share(area), name(class)))?;
        }
        Ok(())
    }
}

/// Why a network says nothing.
pub(super) fn headless() -> Failure {
    Failure::failed("the network has no such head: give another `--head`")
}

/// The picture as the network sees it: its shorter side at `size`, or less where the longer one would pass four times that.
pub(super) fn resized(picture: &Image, size: usize) -> Image {
    let short = size as f64;
    fitted(picture, short, short * LONGEST)
}

/// The segmenter in a file, and how many classes it has.
pub(super) fn open(
    path: &Path,
    head: SegmentHead,
    device: &Device,
) -> Result<(Segmenter, usize), Failure> {
    let weights = Weights::open(path)?;
    let classes = |weights: &Weights| {
        let shape = weights.shape("decode_head.conv_seg.weight")?;
        shape.first().copied()
    };
    let weights = checkpoint::unwrapped(&weights, "decode_head.conv_seg.weight", true);
    let classes = classes(&weights).ok_or_else(|| {
        Failure::input(format!(
            "`{}` has no `decode_head.conv_seg.weight`: give a whole segmenter",
            path.display()
        ))
    })?;
    let backbone = match head {
        // Its backbone is a U-Net of one size.
        SegmentHead::UEmo => EmoConfig::nano(0),
        _ => checkpoint::config_of(&weights, "backbone.")?.with_window(10),
    };
    let config = SegmenterConfig {
        backbone,
        head,
        classes,
    };
    let model = config.init(&mut Rng::new(0), device);
    let model = weights::load(model, &weights, &checkpoint::segmenter_keys())?;
    Ok((model, classes))
}
