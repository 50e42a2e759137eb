//! Pictures that go through a model again, and inpainted photographs.

use base::command::Failure;
use base::proof::{Better, Bound, Claim, Measure, ProofOptions, Report, Trial, Unit};
use base::rng::Rng;
use rayon::prelude::*;

use super::{PAPER, SPEC, search, world};
use crate::wind::table::Gallery;
use crate::wind::{
    Detector, IdealWorld, LatentModel, Mode, Reading, Region, Search, SystemError, cosine,
};

const PICTURES: usize = 40;
/// Noise of the regeneration attack: 60 of 1000 timesteps.
const STRENGTH: f32 = 0.06;
const FRACTION: f32 = 0.5;
const COSINE: &str = "cosine";
const MATCHED: &str = "named right";

const ARMS: [(&str, &str); 5] = [
    ("own model", "the picture as it was drawn"),
    (
        "regenerated once",
        "noise of level 0.06 and back, with the own model",
    ),
    ("regenerated 10 times", "the same, again and again"),
    (
        "forged",
        "inverted and drawn again with a public model, other pictures and deviation 0.3",
    ),
    (
        "inpainted",
        "the middle half of each side of a foreign picture drawn anew, compared there",
    ),
];

/// Adds the table and its claims.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let about = format!(
        "{PICTURES} pictures a seed and arm. Named right: full mode gives the right noise and a match at alpha 1e-6. A forger should not get that."
    );
    let mut trial = Trial::new("models", "Through a model again", &about, options);
    for (name, about) in ARMS {
        trial = trial.arm(name, about);
    }
    let experiment = trial
        .measure(
            COSINE,
            "initial and inverted latents",
            Better::Near,
            Unit::Number,
        )
        .measure(MATCHED, "share of the pictures", Better::Near, Unit::Share)
        .run(options, |arm, seed| {
            let (world, detector) = world(seed)?;
            Ok(cell(arm, seed, &world, &detector)?)
        })?;
    let mut tested = |statement: &str, source: &str, bound: Bound, name: &str, arm: &str| {
        let found = experiment
            .measure(name)
            .and_then(|measure| Some((measure, measure.of(arm)?)));
        if let Some(found) = found {
            report
                .claims
                .push(Claim::tested(statement, source, bound, found));
        }
    };
    tested(
        "One regeneration does not remove the mark",
        PAPER,
        Bound::AtLeast(0.95),
        MATCHED,
        ARMS[1].0,
    );
    tested(
        "An inpainted part carries the mark (0.969 in the paper)",
        PAPER,
        Bound::AtLeast(0.9),
        MATCHED,
        ARMS[4].0,
    );
    if let Some(measure) = experiment.measure(COSINE)
        && let [Some(own), Some(forged)] = [measure.of(ARMS[0].0), measure.of(ARMS[3].0)]
    {
        let mut half = own.clone();
        half.values.iter_mut().for_each(|value| value.value /= 2.0);
        let named = Measure::lower("cosine − half of the own model's", "");
        report.claims.push(Claim::tested(
            "A picture forged with another model has less than half of the cosine",
            SPEC,
            Bound::Below(0.0),
            (&named, &forged.minus(&half)),
        ));
    }
    report.experiments.push(experiment);
    Ok(())
}

/// Mean cosine and share named right.
fn cell(
    arm: &str,
    seed: u64,
    world: &IdealWorld,
    detector: &Detector,
) -> Result<Vec<f64>, SystemError> {
    let gallery = Gallery::draw(world, detector, PICTURES, 1, seed)?;
    let other = IdealWorld::new(1, 0.3);
    let rng = Rng::new(seed).child(arm);
    let region = Region::middle(world.shape(), FRACTION);
    let inpainted = arm == ARMS[4].0;
    let again = |at: usize| {
        let (picture, _, initial) = &gallery.wind[at];
        let mut rng = rng.item(at as u64);
        let mut picture = picture.clone();
        match arm {
            "own model" => {}
            "forged" => picture = other.reconstruct(&other.invert(&picture)?)?,
            "inpainted" => {
                let foreign = other.reconstruct(&rng.normals(world.shape().len()))?;
                picture = world.inpaint(&foreign, region, initial, "")?;
            }
            arm => {
                let times = if arm == ARMS[1].0 { 1 } else { 10 };
                for _ in 0..times {
                    picture = world.regenerate(&picture, STRENGTH, &mut rng)?;
                }
            }
        }
        world.invert(&picture)
    };
    let found = (0..PICTURES).into_par_iter().map(again);
    let found = found.collect::<Result<Vec<_>, SystemError>>()?;
    let cosines = found.iter().zip(&gallery.wind);
    let cosines = cosines.map(|(found, (_, _, initial))| f64::from(cosine(found, initial)));
    let cosine = cosines.sum::<f64>() / PICTURES as f64;
    let readings: Vec<Vec<Reading>> = found
        .into_iter()
        .map(|latents| vec![Reading::straight(latents)])
        .collect();
    let search = Search {
        mode: Mode::Full,
        region: inpainted.then_some(region),
        ..search(1e-6)
    };
    let detections = detector.detect_all(&readings, &search, &mut |_, _| Ok(()))?;
    let right = detections.iter().zip(&gallery.wind);
    let right = right.filter(|(found, (_, index, _))| found.matched && found.index == *index);
    Ok(vec![cosine, right.count() as f64 / PICTURES as f64])
}
