//! Segmenters against label pictures.

use base::command::{Context, Failure, Steps, print_json, print_line};
use base::media::{Image, read_image};
use serde_json::json;

use super::{Eval, pictures, tell_skipped};
use crate::emov2::command::{detect, segment};
use crate::emov2::measure::{Confusion, Numbering, Pair, Skipped, pairs, read_labels};
use crate::emov2::segment::SegmentHead;

pub(super) fn run(eval: &Eval, head: SegmentHead, context: Context) -> Result<(), Failure> {
    let Some(data) = &eval.data else {
        return Err(Failure::input(
            "segmenters are measured by label pictures: give `--data FOLDER` with `images` and `annotations`",
        ));
    };
    let (file, size, device) = eval.model.headed()?;
    let size = size.unwrap_or(segment::SIZE);
    let pairs = pairs(data)?;
    let total = eval.limited(pairs.len());
    let (model, classes) = segment::open(file, head, &device)?;
    let numbering = eval.ignore.map(usize::from);
    let numbering = numbering.map_or(Numbering::FromOne, Numbering::FromZero);
    let mut bar = Steps::new("pictures", eval.output.json);
    let mut skipped = Skipped::default();
    let mut confusion = Confusion::new(classes);
    for (at, pair) in pairs.iter().take(total).enumerate() {
        bar.at(at, total);
        context.proceed()?;
        let (picture, labels) = match read(pair, numbering, classes) {
            Ok(both) => both,
            Err(cause) => {
                skipped.add(cause);
                continue;
            }
        };
        let resized = segment::resized(&picture, size);
        let sees = [resized.height, resized.width].map(|side| side as usize);
        let x = detect::padded(&resized, &device);
        let found = model.classes(x, sees, sides(&picture));
        confusion.add(&labels, &found.ok_or_else(segment::headless)?);
    }
    bar.finish();
    context.proceed()?;
    tell_skipped(&skipped, total)?;
    let shares = confusion.shares();
    if eval.output.json {
        return print_json(&json!({
            "pictures": total - skipped.count, "skipped": skipped.count, "miou": shares.miou,
            "mean_accuracy": shares.mean_accuracy, "pixel_accuracy": shares.pixel_accuracy,
            "mean_dice": shares.mean_dice, "classes": shares.classes,
        }));
    }
    let percent = |share: Option<f64>| match share {
        Some(share) => format!("{:.2} %", 100.0 * share),
        None => "-".to_owned(),
    };
    print_line(&format!(
        "{}, mIoU {}, mean accuracy {}, pixel accuracy {}, mean Dice {}",
        pictures(&skipped, total),
        percent(shares.miou),
        percent(shares.mean_accuracy),
        percent(shares.pixel_accuracy),
        percent(shares.mean_dice)
    ))
}

fn sides(picture: &Image) -> [usize; 2] {
    [picture.height, picture.width].map(|side| side as usize)
}

/// A picture and the class of each of its pixels; or why it cannot be measured.
fn read(
    pair: &Pair,
    numbering: Numbering,
    classes: usize,
) -> Result<(Image, Vec<Option<usize>>), String> {
    let picture = read_image(&pair.picture).map_err(|error| error.to_string())?;
    let labels = read_labels(&pair.labels)
        .and_then(|map| map.classes(numbering, classes, sides(&picture), &pair.labels));
    Ok((picture, labels.map_err(|error| error.to_string())?))
}
