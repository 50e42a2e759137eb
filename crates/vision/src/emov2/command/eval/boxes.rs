//! Detectors against COCO's annotations.

use std::path::Path;

use base::command::{Context, Failure, Steps, eprint_line, is_quiet, print_json, print_line};
use base::media::read_image;
use burn::tensor::Device;
use serde_json::{Map, Value, json};

use super::{Eval, pictures, tell_skipped};
use crate::emov2::command::detect;
use crate::emov2::detect::{DetectHead, Detector, DetectorConfig};
use crate::emov2::measure::{
    AveragePrecision, Dataset, Found, Mask, Photo, Seen, Skipped, score_boxes, score_masks,
    write_results,
};

pub(super) fn run(eval: &Eval, head: DetectHead, context: Context) -> Result<(), Failure> {
    let (Some(coco), Some(images)) = (&eval.coco, &eval.images) else {
        return Err(Failure::input(
            "detectors are measured by COCO's annotations: give `--coco FILE` and `--images FOLDER` in place of `--data`",
        ));
    };
    let (file, size, device) = eval.model.headed()?;
    let mut dataset = Dataset::open(coco)?;
    tell_left_out(dataset.flat, "as their box has no area");
    tell_left_out(
        dataset.strangers,
        "as the file does not list their picture or category",
    );
    if dataset.is_empty() && eval.out.is_none() {
        return Err(Failure::input(format!(
            "`{}` has no annotation that counts, so there is nothing to measure by; with `--out` what is found is written",
            coco.display()
        )));
    }
    check_out(eval.out.as_deref())?;
    let total = eval.limited(dataset.photos.len());
    dataset.photos.truncate(total);
    check_pictures(&dataset, images)?;
    let (model, config) = detect::open(file, head, &device)?;
    if config.classes != dataset.categories.len() {
        return Err(Failure::input(format!(
            "`{}` has {} categories, the network {} classes: give the annotations that it was trained for",
            coco.display(),
            dataset.categories.len(),
            config.classes
        )));
    }
    let detector = Looking {
        model,
        config,
        size,
        device,
    };
    let mut bar = Steps::new("pictures", eval.output.json);
    let mut skipped = Skipped::default();
    let mut seen = Vec::with_capacity(total);
    for (at, photo) in dataset.photos.iter().enumerate() {
        bar.at(at, total);
        context.proceed()?;
        let one = detector.look(photo, images);
        seen.push(one.map_err(|cause| skipped.add(cause)).ok());
    }
    bar.finish();
    context.proceed()?;
    tell_skipped(&skipped, total)?;
    let boxes = score_boxes(&dataset, &seen);
    let masks = match (head, dataset.has_masks()) {
        (DetectHead::MaskRcnn, true) => {
            let (masks, without) = score_masks(&dataset, &seen);
            tell_left_out(
                without,
                "for masks only, as they have none that fits their picture",
            );
            Some(masks)
        }
        (DetectHead::MaskRcnn, false) => {
            eprint_line("the annotations have no masks: boxes alone are measured");
            None
        }
        _ => None,
    };
    let mut written = Vec::new();
    if let Some(out) = &eval.out {
        write_results(out, &dataset, &seen, false)?;
        written.push(out.clone());
        if head == DetectHead::MaskRcnn {
            let out = out.with_extension("segm.json");
            write_results(&out, &dataset, &seen, true)?;
            written.push(out);
        }
    }
    if eval.output.json {
        let masks = masks.as_ref();
        return print_json(&json!({
            "pictures": total - skipped.count, "skipped": skipped.count, "annotations": dataset.len(),
            "ignored_annotations": dataset.flat + dataset.strangers,
            "boxes": figures(&boxes), "masks": masks.map(figures),
            "categories": categories(&dataset, &boxes, masks), "out": written,
        }));
    }
    print_line(&format!(
        "{}, annotations: {}, categories: {}",
        pictures(&skipped, total),
        dataset.len(),
        dataset.categories.len()
    ))?;
    let names = boxes.named().map(|(name, _)| format!("{name:>7}"));
    print_line(&format!("in %   {}", names.concat()))?;
    print_line(&row("boxes", &boxes))?;
    if let Some(masks) = &masks {
        print_line(&row("masks", masks))?;
    }
    for path in written.iter().filter(|_| !is_quiet()) {
        print_line(&format!("wrote {}", path.display()))?;
    }
    Ok(())
}

/// A detector and how it looks at pictures.
struct Looking {
    model: Detector,
    config: DetectorConfig,
    size: Option<usize>,
    device: Device,
}

impl Looking {
    /// What is in a picture, in its own pixels; or why it cannot be measured.
    fn look(&self, photo: &Photo, images: &Path) -> Result<Seen, String> {
        let path = images.join(&photo.file_name);
        let picture = read_image(&path).map_err(|error| error.to_string())?;
        let size = [picture.height, picture.width].map(|side| side as usize);
        if let Some(said) = photo.size.filter(|said| *said != size) {
            return Err(format!(
                "`{}` has {} x {} pixels, the annotations say {} x {}",
                path.display(),
                size[1],
                size[0],
                said[1],
                said[0]
            ));
        }
        let resized = detect::resized(&picture, self.config.head, self.size);
        let sees = [resized.height, resized.width].map(|side| side as usize);
        let x = detect::padded(&resized, &self.device);
        let found = self.model.detect_onto(x, sees, size, &self.config);
        let found = found.into_iter().flatten().map(|one| {
            let [left, top, right, bottom] = one.corners.map(f64::from);
            Found {
                bounds: [left, top, right - left, bottom - top],
                label: one.label,
                score: f64::from(one.score),
                mask: one.mask.map(|mask| Mask::from_rows(&mask, size)),
            }
        });
        let finite =
            |one: &Found| one.score.is_finite() && one.bounds.iter().all(|at| at.is_finite());
        let found = found.filter(finite).collect();
        Ok(Seen { size, found })
    }
}

fn tell_left_out(count: usize, why: &str) {
    if count > 0 {
        eprint_line(&format!("annotations ignored, {why}: {count}"));
    }
}

/// Whether the results can be written, before hours of work.
fn check_out(out: Option<&Path>) -> Result<(), Failure> {
    let Some(out) = out else {
        return Ok(());
    };
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    if out.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(Failure::input(format!(
            "cannot write `{}`: give a file in a folder that is there",
            out.display()
        )));
    }
    Ok(())
}

/// Whether some picture is where it should be.
fn check_pictures(dataset: &Dataset, images: &Path) -> Result<(), Failure> {
    let names = || dataset.photos.iter().map(|photo| &photo.file_name);
    match (
        names().next(),
        names().any(|name| images.join(name).exists()),
    ) {
        (Some(first), false) => Err(Failure::input(format!(
            "none of the {} pictures is in `{}`, as `{first}`: give the folder of the same part of the data set",
            dataset.photos.len(),
            images.display()
        ))),
        _ => Ok(()),
    }
}

fn figures(scores: &AveragePrecision) -> Value {
    let named = scores.named().into_iter();
    Value::Object(
        named
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect::<Map<_, _>>(),
    )
}

fn categories(
    dataset: &Dataset,
    boxes: &AveragePrecision,
    masks: Option<&AveragePrecision>,
) -> Vec<Value> {
    let one = |(at, category): (usize, _)| {
        let of = |scores: &AveragePrecision| scores.categories.get(at).copied().flatten();
        json!({"category": category, "boxes": of(boxes), "masks": masks.and_then(of)})
    };
    dataset.categories.iter().enumerate().map(one).collect()
}

fn row(name: &str, scores: &AveragePrecision) -> String {
    let cells = scores.named().map(|(_, value)| match value {
        Some(value) => format!("{:7.1}", 100.0 * value),
        None => format!("{:>7}", "-"),
    });
    format!("{name:7}{}", cells.concat())
}
