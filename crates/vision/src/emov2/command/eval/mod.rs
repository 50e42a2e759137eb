//! `orrery emov2 eval`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, Steps, eprint_line, print_json, print_line};
use base::numerics::statistics::wilson;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::options::Model;
use crate::emov2::data::{DataSet, Split};
use crate::emov2::detect::DetectHead;
use crate::emov2::measure::Skipped;
use crate::emov2::segment::SegmentHead;
use crate::emov2::train::evaluate;

mod boxes;
mod labels;

/// What is behind the backbone.
#[derive(Clone, Copy, Debug)]
enum Head {
    Detect(DetectHead),
    Segment(SegmentHead),
}

impl ValueEnum for Head {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Detect(DetectHead::Ssdlite),
            Self::Detect(DetectHead::Retinanet),
            Self::Detect(DetectHead::MaskRcnn),
            Self::Segment(SegmentHead::Fpn),
            Self::Segment(SegmentHead::Segformer),
            Self::Segment(SegmentHead::Deeplabv3),
            Self::Segment(SegmentHead::Psp),
            Self::Segment(SegmentHead::UEmo),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Detect(head) => head.to_possible_value(),
            Self::Segment(head) => head.to_possible_value(),
        }
    }
}

/// Options of `eval`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery emov2 eval --data pictures --model runs/mine/model.safetensors
  orrery emov2 eval --head ssdlite --model ssdlite-emov2-5m.pth --coco instances_val2017.json --images val2017
  orrery emov2 eval --head fpn --model fpn-emov2-5m.pth --data ADEChallengeData2016

Classifiers: top-1 and top-5. The data set is a folder with `val` or `test`, else every tenth picture of each class is taken, \
as `train` leaves them out.
Detectors: COCO's average precision of boxes, and of masks for mask-rcnn. The first class of the network is the first category \
of the file, and so on, as mmdetection counts them. SSDLite sees 320 x 320 pixels, the others a shorter side of 800, without `--size`.
Segmenters: intersection over union, as mmsegmentation counts it. The folder holds `images` and `annotations`; in each of them \
`validation`, `val` or `test` is taken where it is there. They see a shorter side of 512 without `--size`.
Pictures that are missing, damaged or do not fit what is said of them are named, counted and left out.")]
pub struct Eval {
    /// Classifiers: a folder with one folder of pictures a class, or IDX files of the MNIST family. Segmenters: a folder with
    /// `images`, and in `annotations` a PNG of the same name with the class number of each pixel
    #[arg(long, value_name = "FOLDER", required_unless_present = "head")]
    data: Option<PathBuf>,
    /// Measure a detector or a segmenter with this head
    #[arg(long, value_enum)]
    head: Option<Head>,
    /// Detectors: the annotations, JSON in COCO's format
    #[arg(long, value_name = "FILE", requires_all = ["head", "images"], conflicts_with = "data")]
    coco: Option<PathBuf>,
    /// Detectors: the folder of the pictures that the annotations name
    #[arg(long, value_name = "FOLDER", requires = "coco")]
    images: Option<PathBuf>,
    /// Detectors: write what was found in COCO's format for results; masks go beside it, into a file ending in `.segm.json`
    #[arg(long, value_name = "FILE", requires = "coco")]
    out: Option<PathBuf>,
    /// Segmenters: class numbers begin with 0, and this one is not a class [default: ADE20K's way, they begin with 1; 0 and 255 are none]
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "head",
        conflicts_with = "coco"
    )]
    ignore: Option<u16>,
    #[command(flatten)]
    model: Model,
    /// Pictures that go through a classifier together
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Only the first N pictures
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    output: Output,
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        match (self.head, &self.data) {
            (Some(Head::Detect(head)), _) => boxes::run(self, head, context),
            (Some(Head::Segment(head)), _) => labels::run(self, head, context),
            (None, Some(data)) => self.classifier(data, context),
            (None, None) => Err(Failure::input("give a data set by `--data`")),
        }
    }

    fn classifier(&self, data: &Path, context: Context) -> Result<(), Failure> {
        let model = self.model.open()?;
        let device = model.device();
        let names = (!model.classes.is_empty()).then_some(model.classes.as_slice());
        let mut data_set = DataSet::open(data, Split::Test, names)?;
        if data_set.classes.len() != model.class_count {
            return Err(Failure::input(format!(
                "`{}` has {} classes, the network {}: give the data set that it was trained for, or `--labels`",
                data.display(),
                data_set.classes.len(),
                model.class_count
            )));
        }
        if let Some(limit) = self.limit {
            data_set = data_set.truncated(limit.max(1));
        }
        let mut bar = Steps::new("pictures", self.output.json);
        let total = data_set.len();
        let batch = usize::from(self.batch);
        let sees = (model.size, model.crop);
        let score = evaluate(
            |x| model.network.forward(x),
            &data_set,
            sees,
            batch,
            &device,
            |done| {
                bar.at(done, total);
                !context.stopped()
            },
        )?;
        bar.finish();
        context.proceed()?;
        let share = |hits: usize| hits as f64 / score.pictures.max(1) as f64;
        let interval = wilson(score.top1, score.pictures);
        if self.output.json {
            let interval = interval.map(|it| [it.low, it.high]);
            return print_json(&json!({
                "pictures": score.pictures, "top1": share(score.top1), "top5": share(score.top5),
                "top1_interval": interval,
            }));
        }
        let within = interval.map_or_else(String::new, |it| {
            format!(
                " (95 % interval {:.2} to {:.2} %)",
                100.0 * it.low,
                100.0 * it.high
            )
        });
        print_line(&format!(
            "{} pictures: top-1 {:.2} %{within}, top-5 {:.2} %",
            score.pictures,
            100.0 * share(score.top1),
            100.0 * share(score.top5)
        ))
    }

    /// How many of `count` pictures are looked at.
    fn limited(&self, count: usize) -> usize {
        self.limit.map_or(count, |limit| count.min(limit.max(1)))
    }
}

/// Says what was skipped of `total` pictures.
///
/// # Errors
/// Where it was all of them.
fn tell_skipped(skipped: &Skipped, total: usize) -> Result<(), Failure> {
    if let Some(first) = skipped.first().filter(|_| skipped.count == total) {
        return Err(Failure::input(format!(
            "none of {total} pictures could be measured; the first one: {first}"
        )));
    }
    skipped.lines().iter().for_each(|line| eprint_line(line));
    Ok(())
}

/// How many pictures the figures are about.
fn pictures(skipped: &Skipped, total: usize) -> String {
    match skipped.count {
        0 => format!("pictures: {total}"),
        count => format!("pictures: {} of {total}", total - count),
    }
}
