//! The attacks on pictures of the embedded Stable Diffusion model.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use base::command::{Context, Failure};
use base::proof::{Bound, Claim, ProofOptions, Report, Trial};
use engine::models::stable_diffusion::OpenOptions;

use super::attacks::shares;
use super::{NOISES, SPEC, key, search};
use crate::base_model::BaseModel;
use crate::wind::table::{Gallery, Row};
use crate::wind::{Attack, Detector, LatentModel, StableDiffusionModel, TurnBack};

const PICTURES: usize = 20;
/// Groups that marks in latents of 16 x 16 tell apart.
const GROUPS: usize = 8;
const ARMS: [&str; 4] = [
    "WIND, full",
    "WIND, fast",
    "RingID, 8 keys",
    "Tree-Ring, 8 keys",
];
/// Steps of generation and of inversion.
const STEPS: usize = 20;
const ATTACKS: [(Attack, &str); 5] = [
    (Attack::None, "none"),
    (Attack::Jpeg(75), "JPEG 75"),
    (Attack::Jpeg(25), "JPEG 25"),
    (Attack::Noise(25.0 / 255.0), "noise 25"),
    (Attack::Brightness(1.8), "brightness 1.8"),
];
const STATEMENT: [&str; 2] = [
    "Pictures of the embedded model are recognised",
    "none at least 95.0 %",
];

/// Adds the table and its claim; not run where there is no embedded model.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let Some(place) = BaseModel::embedded() else {
        let why = "this program was built without its embedded model";
        report.claims.push(Claim::not_run(STATEMENT, SPEC, why));
        return Ok(());
    };
    let model = place.open(&OpenOptions::default(), &engine::device("cpu")?)?;
    let model = StableDiffusionModel::new(model, (STEPS, None, None), (options.context, true))?;
    let about = format!(
        "{PICTURES} emoji of 64 x 64 pixels a seed and arm, drawn in {STEPS} steps with guidance and inverted without a prompt; {NOISES} noises in {GROUPS} groups. A picture begins with {} values, a sixteenth of what Stable Diffusion's have. What is named right is as in the ideal world.",
        model.shape().len()
    );
    let mut trial = Trial::new("embedded", "Attacks on the embedded model", &about, options);
    for arm in ARMS {
        trial = trial.arm(arm, "as in the ideal world");
    }
    for (_, name) in ATTACKS {
        trial = trial.share(name, "share named right");
    }
    let mut rows: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
    let experiment = trial
        .higher("cosine, none", "initial and inverted latents")
        .run(options, |arm, seed| {
            let rows = match rows.entry(seed) {
                Entry::Occupied(made) => made.into_mut(),
                Entry::Vacant(place) => place.insert(run(&model, seed, options.context)?),
            };
            let at = ARMS
                .iter()
                .position(|name| *name == arm)
                .unwrap_or_default();
            let mut values: Vec<f64> = rows.iter().map(|row| shares(row)[at]).collect();
            values.push(rows[0].cosine);
            Ok(values)
        })?;
    let found = experiment.measure(ATTACKS[0].1);
    if let Some(found) = found.and_then(|measure| Some((measure, measure.of(ARMS[0])?))) {
        let bound = Bound::AtLeast(0.95);
        report
            .claims
            .push(Claim::tested(STATEMENT[0], SPEC, bound, found));
    }
    report.experiments.push(experiment);
    Ok(())
}

fn run(model: &StableDiffusionModel, seed: u64, context: Context) -> Result<Vec<Row>, Failure> {
    let detector = Detector::new(key(seed, NOISES, GROUPS)?, model.shape())?;
    let gallery = Gallery::draw(model, &detector, PICTURES, GROUPS, seed)?;
    let search = search(1e-6);
    let row = |(attack, _): &(Attack, &str)| -> Result<Row, Failure> {
        context.proceed()?;
        let how = (&search, &[0.0][..], TurnBack::Picture);
        Ok(gallery.row(model, &detector, *attack, how)?)
    };
    ATTACKS.iter().map(row).collect()
}
