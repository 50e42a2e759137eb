//! How often a picture without a mark is taken for one with.

use base::command::Failure;
use base::proof::{Arm, Share};
use base::proof::{Better, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Unit};
use base::rng::Rng;
use rayon::prelude::*;

use super::{SPEC, search, world};
use crate::wind::{LatentModel, Mode, Reading, Search, SystemError};

/// Pictures in all.
const PICTURES: usize = 2000;
const ALPHAS: [f64; 2] = [1e-3, 1e-6];

/// Adds the counts and their claims.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let each = PICTURES.div_ceil(options.seeds.len());
    let mut counts = [const { Vec::new() }; 2];
    let mut total = 0;
    for &seed in &options.seeds {
        let (world, detector) = world(seed)?;
        let rng = Rng::new(seed).child("unrelated");
        let pictures = (0..each as u64).into_par_iter().map(|at| {
            let mut rng = rng.item(at);
            let latents = rng.normals(world.shape().len());
            let picture = world.generate(&latents, &rng.below(8).to_string())?;
            Ok(vec![Reading::straight(world.invert(&picture)?)])
        });
        let pictures = pictures.collect::<Result<Vec<_>, SystemError>>()?;
        let search = Search {
            mode: Mode::Full,
            ..search(ALPHAS[1])
        };
        let stopped = &mut |_, _| options.context.proceed().map_err(SystemError::from);
        let found = detector.detect_all(&pictures, &search, stopped)?;
        total += found.len();
        for (counts, alpha) in counts.iter_mut().zip(ALPHAS) {
            let hits = found.iter().filter(|found| found.p_value <= alpha).count();
            counts.push(Share {
                seed,
                hits,
                of: found.len(),
            });
        }
    }
    let mut measures = Vec::new();
    for (counts, alpha) in counts.iter().zip(ALPHAS) {
        let name = format!("matches at alpha {alpha:e}");
        let mut measure = Measure::new(&name, "share of the pictures", Better::Lower, Unit::Share);
        measure.outcomes.push(Outcome::shares("WIND, full", counts));
        measures.push(measure);
    }
    let all = |which: usize| counts[which].iter().map(|share| share.hits).sum::<usize>();
    let [loose, strict] = [all(0), all(1)];
    report.claims.push(Claim::settled(
        [
            "Unrelated pictures are not recognised at alpha 1e-3",
            "at most 6 matches in 2,000 pictures (2 are expected)",
        ],
        SPEC,
        loose <= 6,
        format!("{loose} of {total}"),
    ));
    report.claims.push(Claim::settled(
        [
            "Unrelated pictures are not recognised at alpha 1e-6",
            "no match in 2,000 pictures",
        ],
        SPEC,
        strict == 0,
        format!("{strict} of {total}"),
    ));
    report.experiments.push(Experiment {
        title: "Pictures without a mark".into(),
        about: format!(
            "{total} pictures drawn from noise without a key, compared with all noises of a key, as wholes and in windows."
        ),
        arms: vec![Arm::new("WIND, full", "")],
        measures,
    });
    Ok(())
}
