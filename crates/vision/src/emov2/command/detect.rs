//! `orrery emov2 detect`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, number_in, print_json, print_line};
use base::media::{Image, read_image};
use base::rng::Rng;
use base::tensor_file::Weights;
use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use engine::weights;
use serde_json::json;

use super::options::{Work, class_names, size, write_drawn};
use crate::emov2::detect::{DetectHead, Detector, DetectorConfig};
use crate::emov2::{checkpoint, draw, transform};

/// Longest side of a picture under RetinaNet and Mask R-CNN, over their shorter one: 1333 over 800.
const LONGEST: f64 = 1333.0 / 800.0;
/// Sides are filled up to a multiple of this.
const MULTIPLE: usize = 32;

/// Options of `detect`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery emov2 detect street.jpg --head ssdlite --model ssdlite-emov2-5m.pth --labels coco.txt --out found.png

The authors published no detectors. Checkpoints of their training code (mmdetection) are read by their own names.")]
pub struct Detect {
    /// A picture: PNG, JPEG, WebP or GIF
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// The head that the checkpoint has
    #[arg(long, value_enum)]
    head: DetectHead,
    /// A detector: `.pth` of the training code, or `.safetensors` with the same names
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Names of the classes, one a line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Side of the picture that SSDLite sees; of its shorter side for the others [default: 320, 800]
    #[arg(long, value_name = "PIXELS", value_parser = size)]
    size: Option<usize>,
    /// Leave out what is less likely than this
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = share)]
    score: f32,
    /// The picture with what was found
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    output: Output,
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 1.0)
}

impl Detect {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let device = self.work.begin()?;
        let (model, config) = open(&self.model, self.head, &device)?;
        let name = class_names(self.labels.as_deref())?;
        let picture = read_image(&self.image)?;
        context.proceed()?;
        let resized = resized(&picture, self.head, self.size);
        let [height, width] = [resized.height as usize, resized.width as usize];
        let x = padded(&resized, &device);
        let mut found = model
            .detect(x, [height, width], &config)
            .pop()
            .unwrap_or_default();
        found.retain(|one| one.score >= self.score);
        // Drawn where the network saw it, told in pixels of the picture that was given.
        let drawn = self
            .out
            .as_ref()
            .map(|_| draw::detections(&resized, &found, &name));
        let scale = [
            picture.width as f32 / width as f32,
            picture.height as f32 / height as f32,
        ];
        for one in &mut found {
            one.corners = std::array::from_fn(|at| one.corners[at] * scale[at % 2]);
        }
        if let (Some(path), Some(drawn)) = (&self.out, drawn) {
            write_drawn(path, &drawn)?;
        }
        if self.output.json {
            let found: Vec<_> = found
                .iter()
                .map(|one| {
                    let pixels = one.mask.as_ref().map(|mask| mask.iter().filter(|in_| **in_).count());
                    json!({
                        "box": one.corners, "score": one.score, "class": one.label, "name": name(one.label),
                        "mask_pixels": pixels,
                    })
                })
                .collect();
            return print_json(&json!({"image": base::files::shown(&self.image), "found": found}));
        }
        for one in &found {
            let [left, top, right, bottom] = one.corners.map(f32::round);
            print_line(&format!(
                "{:5.1} %  {}  at {left},{top} to {right},{bottom}",
                100.0 * one.score,
                name(one.label)
            ))?;
        }
        match found.len() {
            0 => print_line(&format!("nothing above {:.0} %", 100.0 * self.score)),
            _ => Ok(()),
        }
    }
}

/// The picture as the network sees it; `size` is the side for SSDLite, of the shorter side for the others.
pub(super) fn resized(picture: &Image, head: DetectHead, size: Option<usize>) -> Image {
    if head == DetectHead::Ssdlite {
        let side = size.unwrap_or(320) as u32;
        return picture.resize(side, side);
    }
    let short = size.unwrap_or(800) as f64;
    fitted(picture, short, short * LONGEST)
}

/// The picture with its shorter side at `short`, or less where the longer one would pass `long`.
pub(super) fn fitted(picture: &Image, short: f64, long: f64) -> Image {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let scale = (short / width.min(height)).min(long / width.max(height));
    let side = |side: f64| (side * scale).round().max(1.0) as u32;
    picture.resize(side(width), side(height))
}

/// The picture as the network sees it, with zeros at right and bottom up to multiples of 32.
pub(super) fn padded(picture: &Image, device: &Device) -> Tensor<4> {
    let [height, width] = [picture.height as usize, picture.width as usize];
    let values = TensorData::new(transform::normalise(picture), [1, 3, height, width]);
    let x = Tensor::<4>::from_data(values, device);
    let missing = [height, width].map(|side| side.next_multiple_of(MULTIPLE) - side);
    let mut whole = x;
    for (axis, missing) in missing.into_iter().enumerate().filter(|(_, n)| *n > 0) {
        let mut shape = whole.dims();
        shape[axis + 2] = missing;
        whole = Tensor::cat(vec![whole, Tensor::zeros(shape, device)], axis + 2);
    }
    whole
}

/// The detector in a file, and its shape.
pub(super) fn open(
    path: &Path,
    head: DetectHead,
    device: &Device,
) -> Result<(Detector, DetectorConfig), Failure> {
    let weights = Weights::open(path)?;
    let probe = format!("backbone.{}", checkpoint::PROBE);
    let weights = checkpoint::unwrapped(&weights, &probe, true);
    let rows = |name: &str| weights.shape(name).and_then(|shape| shape.first()).copied();
    let classes = match head {
        DetectHead::Ssdlite => rows("bbox_head.cls_convs.0.1.bias").map(|rows| rows / 6),
        DetectHead::Retinanet => rows("bbox_head.retina_cls.bias").map(|rows| rows / 9 + 1),
        DetectHead::MaskRcnn => rows("roi_head.bbox_head.fc_cls.bias"),
    };
    let classes = classes.filter(|classes| *classes > 1).ok_or_else(|| {
        Failure::input(format!(
            "`{}` has no such head: give `--head` as it was trained, and a whole detector",
            path.display()
        ))
    })?;
    let config = DetectorConfig {
        backbone: checkpoint::config_of(&weights, "backbone.")?.with_classes(0),
        head,
        classes: classes - 1,
    };
    let model = config.init(&mut Rng::new(0), device);
    let model = weights::load(model, &weights, &checkpoint::detector_keys())?;
    Ok((model, config))
}
