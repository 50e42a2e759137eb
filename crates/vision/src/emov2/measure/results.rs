//! Detections, their scores by COCO's protocol, and COCO's format for them.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use base::files::{FileError, write_atomic};
use serde_json::json;

use super::average_precision::{AveragePrecision, Candidate, Group, Target, average_precision};
use super::coco::{Dataset, Truth};
use super::mask::Mask;

/// A detected thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Left, top, width, height in pixels.
    pub bounds: [f64; 4],
    /// Place of its category.
    pub label: usize,
    /// Higher is surer.
    pub score: f64,
    /// Its mask, where the detector makes some.
    pub mask: Option<Mask>,
}

/// A picture that was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Height and width.
    pub size: [usize; 2],
    /// What was found.
    pub found: Vec<Found>,
}

/// Average precisions of boxes. `seen` is in order of [`Dataset::photos`]; a picture that is `None`, or beyond its end, does not
/// count, neither what is on it.
pub fn score_boxes(dataset: &Dataset, seen: &[Option<Seen>]) -> AveragePrecision {
    let mut categories = vec![Vec::new(); dataset.categories.len()];
    for (photo, seen) in dataset.photos.iter().zip(seen) {
        let Some(Seen { found, .. }) = seen else {
            continue;
        };
        let truth: Vec<&Truth> = photo.truth.iter().collect();
        group(
            &mut categories,
            &truth,
            &found.iter().collect::<Vec<_>>(),
            |at| found[at].bounds[2] * found[at].bounds[3],
            |at, one| box_overlap(found[at].bounds, truth[one].bounds, truth[one].crowd),
        );
    }
    average_precision(&categories)
}

/// The same of masks, and how many annotations had none that fits their picture: those are left out.
pub fn score_masks(dataset: &Dataset, seen: &[Option<Seen>]) -> (AveragePrecision, usize) {
    let mut categories = vec![Vec::new(); dataset.categories.len()];
    let mut without = 0;
    for (photo, seen) in dataset.photos.iter().zip(seen) {
        let Some(seen) = seen else {
            continue;
        };
        let mask_of = |one: &Truth| one.outline.as_ref()?.mask(seen.size).ok();
        let drawn = photo.truth.iter().map(|one| Some((one, mask_of(one)?)));
        let (truth, drawn): (Vec<&Truth>, Vec<Mask>) = drawn.flatten().unzip();
        without += photo.truth.len() - truth.len();
        let found = seen.found.iter().map(|one| Some((one, one.mask.as_ref()?)));
        let (found, masks): (Vec<&Found>, Vec<&Mask>) = found.flatten().unzip();
        group(
            &mut categories,
            &truth,
            &found,
            |at| masks[at].area() as f64,
            |at, one| masks[at].overlap(&drawn[one], truth[one].crowd),
        );
    }
    (average_precision(&categories), without)
}

/// Adds one picture to the categories. `area` is that of a detection, `overlap` that of a detection with an annotation, by their
/// places.
fn group(
    categories: &mut [Vec<Group>],
    truth: &[&Truth],
    found: &[&Found],
    area: impl Fn(usize) -> f64,
    overlap: impl Fn(usize, usize) -> f64,
) {
    let labels = truth.iter().map(|one| one.label);
    let labels: BTreeSet<usize> = labels.chain(found.iter().map(|one| one.label)).collect();
    for label in labels {
        let Some(groups) = categories.get_mut(label) else {
            continue;
        };
        let places = (0..truth.len()).filter(|at| truth[*at].label == label);
        let places: Vec<usize> = places.collect();
        let target = |at: &usize| Target {
            area: truth[*at].area,
            crowd: truth[*at].crowd,
        };
        let scores = found.iter().enumerate();
        let scores = scores.filter(|(_, one)| one.label == label);
        groups.push(Group::new(
            places.iter().map(target).collect(),
            scores.map(|(at, one)| (at, one.score)).collect(),
            |at, score| Candidate {
                score,
                area: area(at),
                overlaps: places.iter().map(|one| overlap(at, *one)).collect(),
            },
        ));
    }
}

/// Intersection over union of boxes `left, top, width, height`; over the area of `a` where `b` is a crowd.
fn box_overlap(a: [f64; 4], b: [f64; 4], crowd: bool) -> f64 {
    let shared = |at: usize| (a[at] + a[at + 2]).min(b[at] + b[at + 2]) - a[at].max(b[at]);
    let (width, height) = (shared(0), shared(1));
    if width > 0.0 && height > 0.0 {
        let (both, own) = (width * height, a[2] * a[3]);
        return match crowd {
            true => both / own,
            false => both / (own + b[2] * b[3] - both),
        };
    }
    0.0
}

/// Writes what was found as COCO's list of results: boxes, or with `masks` those in their place.
///
/// # Errors
/// Where the file cannot be written; then nothing of it is left.
pub fn write_results(
    path: &Path,
    dataset: &Dataset,
    seen: &[Option<Seen>],
    masks: bool,
) -> Result<(), FileError> {
    write_atomic(path, |out| {
        let mut before = "[";
        for (photo, seen) in dataset.photos.iter().zip(seen) {
            for one in seen.iter().flat_map(|seen| &seen.found) {
                let mut entry = json!({
                    "image_id": photo.id, "score": one.score,
                    "category_id": dataset.categories.get(one.label).map(|category| &category.id),
                });
                match (&one.mask, masks) {
                    (Some(mask), true) => {
                        entry["segmentation"] =
                            json!({"size": mask.size(), "counts": mask.packed()});
                    }
                    (_, true) => continue,
                    (_, false) => entry["bbox"] = json!(one.bounds),
                }
                writeln!(out, "{before}")?;
                serde_json::to_writer(&mut *out, &entry).map_err(io::Error::from)?;
                before = ",";
            }
        }
        let end = if before == "[" { "[]\n" } else { "\n]\n" };
        out.write_all(end.as_bytes())
    })
}
