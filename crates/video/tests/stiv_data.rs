//! STIV's data engine and tables against recorded numbers.
#![allow(clippy::unwrap_used)]

use base::fixtures::{self, Case};
use base::media::Image;
use serde_json::Value;
use video::stiv::metrics::{Mention, Scores, Totals, aggregate, dsg_video, vbench_total};
use video::stiv::scenes::{changes, content_cuts, fade_cuts};

/// Frames `[T, H, W, BGR]` of bytes.
fn frames(case: &Case) -> Vec<Image> {
    let weights = case.weights();
    let &[count, height, width, 3] = weights.shape("frames_bgr").unwrap() else {
        panic!("`{}`: frames are not T, H, W, BGR", case.name);
    };
    let bytes = weights.bytes("frames_bgr").unwrap().into_owned();
    let frames = bytes.chunks_exact(3 * height * width).map(|frame| Image {
        width: width as u32,
        height: height as u32,
        pixels: frame
            .chunks_exact(3)
            .flat_map(|bgr| [bgr[2], bgr[1], bgr[0]])
            .collect(),
    });
    let frames: Vec<Image> = frames.collect();
    assert_eq!(frames.len(), count);
    frames
}

fn places(case: &Case, at: &str) -> Vec<usize> {
    case.numbers(at)
        .iter()
        .map(|&place| place as usize)
        .collect()
}

#[test]
fn scene_cuts() {
    let all = fixtures::all("stiv", "scene_cuts");
    for case in &all {
        let frames = frames(case);
        let found = changes(&frames);
        let expected = case.get("results.content_val").unwrap().as_array().unwrap();
        assert_eq!(found.len() + 1, expected.len(), "{}", case.name);
        let tolerance = case.tolerance("content_val", 0.5);
        for (at, (found, row)) in found.iter().zip(&expected[1..]).enumerate() {
            let found = [found.content(), found.hue, found.saturation, found.value];
            for (found, expected) in found.iter().zip(row.as_array().unwrap()) {
                let off = (found - expected.as_f64().unwrap()).abs();
                assert!(
                    off <= tolerance,
                    "{}: frame {}: off by {off}",
                    case.name,
                    at + 1
                );
            }
        }
        let setting = |at: &str| case.f64(&format!("config.{at}"));
        let length = |at: &str| case.usize(&format!("config.{at}"));
        let cuts = content_cuts(
            &found,
            setting("content.threshold"),
            length("content.min_scene_len"),
        );
        assert_eq!(cuts, places(case, "results.content_cuts"), "{}", case.name);
        let cuts = fade_cuts(
            &frames,
            setting("threshold.threshold"),
            length("threshold.min_scene_len"),
        );
        assert_eq!(
            cuts,
            places(case, "results.threshold_cuts"),
            "{}",
            case.name
        );
    }
}

fn rows<'a>(case: &'a Case, at: &str) -> &'a [Value] {
    case.get(at)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn near(case: &Case, found: f64, expected: &Value, tolerance: f64) {
    let off = (found - expected.as_f64().unwrap()).abs();
    assert!(off <= tolerance, "{}: {found} is not {expected}", case.name);
}

#[test]
fn metrics() {
    let all = fixtures::all("stiv", "metrics");
    for case in &all {
        let tolerance = case.f64("tolerance");
        for row in rows(case, "vbench_t2v") {
            let scores: Scores = serde_json::from_value(row["raw"].clone()).unwrap();
            let Totals::TextToVideo {
                quality,
                semantic,
                total,
            } = aggregate(&scores).unwrap()
            else {
                panic!("{}: not VBench", case.name);
            };
            near(case, quality, &row["quality"], tolerance);
            near(case, semantic, &row["semantic"], tolerance);
            near(case, total, &row["total"], tolerance);
        }
        for row in rows(case, "vbench_i2v") {
            let mut scores: Scores = serde_json::from_value(row["raw_i2v"].clone()).unwrap();
            let quality: Scores = serde_json::from_value(row["raw_quality"].clone()).unwrap();
            scores.extend(quality);
            let Totals::ImageToVideo {
                i2v,
                quality,
                total,
            } = aggregate(&scores).unwrap()
            else {
                panic!("{}: not VBench-I2V", case.name);
            };
            near(case, i2v, &row["i2v"], tolerance);
            near(case, quality, &row["quality"], tolerance);
            near(case, total, &row["total"], tolerance);
        }
        for row in rows(case, "published_rows") {
            let [quality, semantic] =
                ["quality", "semantic"].map(|part| row[part].as_f64().unwrap());
            // Printed with one digit: each of the three is off by up to half of it.
            near(case, vbench_total(quality, semantic), &row["total"], 0.1);
        }
        for row in rows(case, "dsg_video") {
            let sentences: Vec<Vec<Mention>> =
                serde_json::from_value(row["sentences"].clone()).unwrap();
            let found = dsg_video(&sentences);
            near(case, found.dsg_i, &row["dsg_i"], tolerance);
            near(case, found.dsg_s, &row["dsg_s"], tolerance);
        }
    }
}
