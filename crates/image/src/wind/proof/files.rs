//! Pictures saved, scaled and turned by Pillow and ImageMagick.

use std::path::Path;
use std::process::Command;

use base::command::{Context, Failure};
use base::media::{read_image, write_image};
use base::proof::{Bound, Claim, ProofOptions, Report, Trial};

use super::{SPEC, search, world};
use crate::wind::table::Gallery;
use crate::wind::{Mode, Search, SystemError, TurnBack, readings};

static SCRIPT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../benches/wind_files.py"
));
const PICTURES: usize = 40;
const MATCHED: &str = "named right";
/// What the script makes of each picture, and what would show it.
const ARMS: [(&str, &str, f64); 7] = [
    ("pillow-jpeg90", "JPEG by Pillow, quality 90", 0.95),
    ("pillow-jpeg75", "JPEG by Pillow, quality 75", 0.9),
    ("magick-jpeg85", "JPEG by ImageMagick, quality 85", 0.9),
    ("pillow-webp80", "WebP by Pillow, quality 80", 0.9),
    ("magick-webp90", "WebP by ImageMagick, quality 90", 0.9),
    (
        "scaled",
        "enlarged by 1.5 as browsers do (bicubic), saved as PNG",
        0.95,
    ),
    (
        "turned",
        "turned by 1° to 359° (Pillow, nearest); angles tried in steps of 5°",
        0.9,
    ),
];

/// Adds the table and its claims; not run without Python.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let Ok(python) = std::env::var("ORRERY_PEER_PYTHON") else {
        let why = "needs Python with Pillow, named by ORRERY_PEER_PYTHON, and ImageMagick";
        for (name, about, bound) in ARMS {
            report.claims.push(Claim::not_run(
                [
                    &format!("Recognised: {about} ({name})"),
                    &format!("{MATCHED} at least {bound}"),
                ],
                SPEC,
                why,
            ));
        }
        return Ok(());
    };
    let about = format!(
        "{PICTURES} pictures a seed and arm, 32 x 32 pixels, written as PNG by Orrery and changed by the other program. Named right: full mode gives the right noise and a match at alpha 1e-6."
    );
    let mut trial = Trial::new("files", "Files of other programs", &about, options);
    for (name, about, _) in ARMS {
        trial = trial.arm(name, about);
    }
    let experiment = trial
        .share(MATCHED, "share of the pictures")
        .run(options, |arm, seed| {
            Ok(vec![cell(&python, arm, seed, options.context)?])
        })?;
    if let Some(measure) = experiment.measures.first() {
        for (name, about, bound) in ARMS {
            if let Some(outcome) = measure.of(name) {
                report.claims.push(Claim::tested(
                    &format!("Recognised: {about}"),
                    SPEC,
                    Bound::AtLeast(bound),
                    (measure, outcome),
                ));
            }
        }
    }
    report.experiments.push(experiment);
    Ok(())
}

fn cell(python: &str, arm: &str, seed: u64, context: Context) -> Result<f64, Failure> {
    let (world, detector) = world(seed)?;
    let gallery = Gallery::draw(&world, &detector, PICTURES, 1, seed)?;
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    for (at, (picture, ..)) in gallery.wind.iter().enumerate() {
        write_image(folder.path().join(format!("{at}.png")), picture, &[])?;
    }
    change(python, arm, seed, folder.path())?;
    let angles: Vec<f32> = match arm {
        "turned" => (0..72u8).map(|at| f32::from(at) * 5.0).collect(),
        _ => vec![0.0],
    };
    let mut all = Vec::new();
    for at in 0..gallery.wind.len() {
        context.proceed()?;
        let names = ["jpg", "webp", "png"].map(|ending| format!("{at}-changed.{ending}"));
        let paths = names.map(|name| folder.path().join(name));
        let Some(path) = paths.iter().find(|path| path.exists()) else {
            return Err(Failure::failed(format!(
                "the script made no file of picture {at}"
            )));
        };
        all.push(readings(
            &world,
            &read_image(path)?,
            &angles,
            TurnBack::Picture,
        )?);
    }
    let search = Search {
        mode: Mode::Full,
        ..search(1e-6)
    };
    let stopped = &mut |_, _| context.proceed().map_err(SystemError::from);
    let found = detector.detect_all(&all, &search, stopped)?;
    let right = found.iter().zip(&gallery.wind);
    let right = right.filter(|(found, (_, index, _))| found.matched && found.index == *index);
    Ok(right.count() as f64 / PICTURES as f64)
}

fn change(python: &str, arm: &str, seed: u64, folder: &Path) -> Result<(), Failure> {
    let output = Command::new(python)
        .args(["-c", SCRIPT, arm, &seed.to_string()])
        .arg(folder)
        .output()
        .map_err(|error| Failure::failed(format!("`{python}` cannot be run: {error}")))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last = stderr.lines().last().unwrap_or("it said nothing");
            Err(Failure::failed(format!(
                "the script failed at {arm}: {last}"
            )))
        }
    }
}
