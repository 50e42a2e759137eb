//! Who names the noise after which damage.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use base::command::{Context, Failure};
use base::media::Image;
use base::media::sheet::{Layout, sheet};
use base::proof::{Bound, Claim, Figure, Measure, ProofOptions, Report, Trial};
use base::rng::Rng;

use super::{GROUPS, NOISES, PAPER, SPEC, search, world};
use crate::wind::table::{Gallery, Row};
use crate::wind::{Attack, TurnBack};

const PICTURES: usize = 40;
/// Degrees between the angles that are tried.
const STEP: u16 = 5;
/// Damage, its name in the table; the first five make the mean.
const ATTACKS: [(Attack, &str); 7] = [
    (Attack::None, "none"),
    (Attack::Jpeg(25), "JPEG 25"),
    (Attack::Blur(2.0), "blur 2"),
    (Attack::Noise(25.0 / 255.0), "noise 25"),
    (Attack::Brightness(1.8), "brightness 1.8"),
    (Attack::Rotate(75.0), "rotation 75°"),
    (Attack::Crop(0.75, 0.75), "crop 0.75"),
];
const MEAN: &str = "mean of the first five";
const ARMS: [&str; 4] = [
    "WIND, full",
    "WIND, fast",
    "RingID, 32 keys",
    "Tree-Ring, 32 keys",
];

/// The share that each arm named right: WIND in full and in fast mode, RingID, Tree-Ring.
pub(super) fn shares(row: &Row) -> [f64; 4] {
    [row.full, row.fast, row.group, row.tree_ring]
}

/// Adds the table and its claims.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let about = format!(
        "{PICTURES} pictures a seed and arm, {NOISES} noises in {GROUPS} groups. WIND must name the noise among all and give a match at alpha 1e-6; RingID and Tree-Ring need only name the nearest of 32 keys. RingID is the first stage of WIND. For the rotation the picture is turned back in steps of {STEP}°; Tree-Ring's rings need no turning."
    );
    let mut trial = Trial::new("attacks", "Attacks in the ideal world", &about, options)
        .arm(ARMS[0], "all noises where the group's give no match")
        .arm(ARMS[1], "only noises of the group that the mark names")
        .arm(ARMS[2], "the group that the mark names")
        .arm(ARMS[3], "a disc of rings in one channel");
    for (_, name) in ATTACKS {
        trial = trial.share(name, "share named right");
    }
    let trial = trial
        .share(MEAN, "the five that leave the place of things")
        .higher("cosine, none", "initial and inverted latents")
        .higher("cosine, JPEG 25", "the same after JPEG");
    let mut rows: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
    let experiment = trial.run(options, |arm, seed| {
        let rows = match rows.entry(seed) {
            Entry::Occupied(made) => made.into_mut(),
            Entry::Vacant(place) => place.insert(run(seed, options.context)?),
        };
        let at = ARMS
            .iter()
            .position(|name| *name == arm)
            .unwrap_or_default();
        let mut values: Vec<f64> = rows.iter().map(|row| shares(row)[at]).collect();
        values.push(values[..5].iter().sum::<f64>() / 5.0);
        values.extend(rows[..2].iter().map(|row| row.cosine));
        Ok(values)
    })?;
    let [full, fast, _, tree] = ARMS;
    let mut claims = Vec::new();
    let mut tested = |statement: &str, source: &str, bound: Bound, name: &str, arms: [&str; 2]| {
        let Some(measure) = experiment.measure(name) else {
            return;
        };
        let Some(outcome) = measure.of(arms[0]) else {
            return;
        };
        let outcome = match measure.of(arms[1]) {
            Some(other) => outcome.minus(other),
            None => outcome.clone(),
        };
        let named = Measure::new(name, "", measure.better, measure.unit);
        claims.push(Claim::tested(statement, source, bound, (&named, &outcome)));
    };
    tested(
        "Full mode names the noise after JPEG, blur, noise, brightness, or nothing",
        PAPER,
        Bound::AtLeast(0.95),
        MEAN,
        [full, ""],
    );
    tested(
        "Where the group is lost, full mode still finds the noise: JPEG, full − fast",
        PAPER,
        Bound::Above(0.0),
        "JPEG 25",
        [full, fast],
    );
    for (_, name) in &ATTACKS[..5] {
        tested(
            &format!("WIND with {NOISES} noises beats Tree-Ring with 32 keys: {name}"),
            PAPER,
            Bound::AtLeast(0.3),
            name,
            [full, tree],
        );
    }
    tested(
        "A turned picture is recognised when angles are tried",
        SPEC,
        Bound::AtLeast(0.95),
        "rotation 75°",
        [full, ""],
    );
    tested(
        "A crop of 0.75 is recognised (0.85 to 0.93 in the paper)",
        PAPER,
        Bound::AtLeast(0.8),
        "crop 0.75",
        [full, ""],
    );
    report.claims.extend(claims);
    report.experiments.push(experiment);
    report.figures.push(figure()?);
    Ok(())
}

fn run(seed: u64, context: Context) -> Result<Vec<Row>, Failure> {
    let (world, detector) = world(seed)?;
    let gallery = Gallery::draw(&world, &detector, PICTURES, GROUPS, seed)?;
    let angles: Vec<f32> = (0..360 / STEP).map(|at| f32::from(at * STEP)).collect();
    let search = search(1e-6);
    let row = |(attack, _): &(Attack, &str)| -> Result<Row, Failure> {
        context.proceed()?;
        let tried = match attack {
            Attack::Rotate(_) => angles.as_slice(),
            _ => &[0.0],
        };
        let how = (&search, tried, TurnBack::Picture);
        Ok(gallery.row(&world, &detector, *attack, how)?)
    };
    ATTACKS.iter().map(row).collect()
}

/// One picture after every attack, enlarged.
fn figure() -> Result<Figure, Failure> {
    let (world, detector) = world(0)?;
    let gallery = Gallery::draw(&world, &detector, 4, 1, 0)?;
    let mut pictures: Vec<Image> = Vec::new();
    for (picture, ..) in &gallery.wind {
        for (attack, _) in ATTACKS {
            let damaged = attack.apply(picture, &mut Rng::new(0))?;
            pictures.push(damaged);
        }
    }
    let names = ATTACKS.map(|(_, name)| name);
    let captions: Vec<&str> = names.iter().cycle().take(pictures.len()).copied().collect();
    let layout = Layout {
        columns: Some(ATTACKS.len()),
        scale: 4,
        ..Layout::default()
    };
    let sheet = sheet(&pictures, &captions, &layout)?;
    let caption = "Four marked pictures of the ideal world, whole and damaged.";
    Ok(Figure::still("attacks.png", caption, &sheet)?)
}
