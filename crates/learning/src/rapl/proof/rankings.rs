//! Rank correlation of learned with true rewards after 10, 30 and 100 rankings.

use base::command::{Context, Failure};
use base::media::Clip;
use base::media::sheet::{Layout, sheet};
use base::proof::{Bound, Claim, Figure, ProofOptions, Report, Trial};
use base::rng::Rng;

use crate::rapl::encoder::{EncoderConfig, Vision};
use crate::rapl::learn::{Fit, Scored, Triplet, Watch, align, fit_rlhf, usual_alignment};
use crate::rapl::metrics::agreement;
use crate::rapl::reward::{Experts, Reward};
use crate::rapl::toy::{Body, Rise, Scene};

/// What was seen before the committed run.
const HISTORY: &str = "Looked at before this run: seeds 0 to 4 of earlier versions, so this run begins at seed 5; DPO's β, steps and rate were \
    chosen on seed 1000 with true labels. The scenes were chosen with a replica of the toy in C, on seeds 1000 to 1019, from some 25 settings. Steps \
    of 1 or of 4 rankings made no difference there: both arms know their rankings by heart after 20 epochs. Where the columns were drawn by lot and \
    the agent wandered across the blocks, 10 rankings gave RAPL 0.33 and RLHF 0.38 (untrained 0.27); with fixed columns and the agent wandering \
    behind the blocks 0.40 and 0.42 (13 seeds). With scenes as now 0.56 and 0.49 (untrained 0.47; 16 seeds, of which the 6 looked at first favoured \
    RAPL by 0.08 and the other 10 by 0.05), with 30 rankings both 0.58. Where only togetherness counted, both were weaker and RAPL further \
    ahead; that wish was not taken. A rise to 0.88, as the specification has it, was seen in none.";

/// Rankings; the last is for long runs.
const COUNTS: [usize; 3] = [10, 30, 100];
/// Videos of the test set, for each body.
const TESTS: usize = 60;
/// Preferred demonstrations.
const EXPERTS: usize = 3;

/// Everything that one seed's arms share.
pub(super) struct Material {
    config: EncoderConfig,
    videos: Vec<Vec<f32>>,
    triplets: Vec<Triplet>,
    experts: Vec<Vec<f32>>,
    tests: [Vec<Scene>; 2],
    seed: u64,
}

impl Material {
    pub fn new(seed: u64, count: usize) -> Self {
        let rng = Rng::new(seed);
        let config = EncoderConfig::toy();
        let scene = |name: &str, at: usize, body: Body| {
            let mut rng = rng.child(name).item(at as u64);
            Rise::random(&mut rng).scene(body, &mut rng)
        };
        let experts: Vec<Vec<f32>> = (0..EXPERTS)
            .map(|at| {
                let mut rng = rng.child("expert").item(at as u64);
                config.prepare(&Rise::expert().scene(Body::Square, &mut rng).clip)
            })
            .collect();
        let scenes: Vec<Scene> = (0..2 * count)
            .map(|at| scene("train", at, Body::Square))
            .collect();
        // The demonstrations come first; each ranking shows one of them and two rollouts.
        let triplets = (0..count)
            .map(|at| {
                let mut two = [2 * at, 2 * at + 1];
                two.sort_by(|a, b| scenes[*b].truth.total_cmp(&scenes[*a].truth));
                Triplet::ranked([at % EXPERTS, EXPERTS + two[0], EXPERTS + two[1]])
            })
            .collect();
        let rollouts = scenes.iter().map(|scene| config.prepare(&scene.clip));
        let videos = experts.iter().cloned().chain(rollouts).collect();
        let tests = [Body::Square, Body::Bar]
            .map(|body| (0..TESTS).map(|at| scene("test", at, body)).collect());
        Self {
            videos,
            experts,
            triplets,
            tests,
            config,
            seed,
        }
    }

    fn fit(&self) -> Fit {
        Fit {
            seed: self.seed,
            ..Fit::default()
        }
    }

    fn vision(&self) -> Result<Vision, Failure> {
        let mut rng = Rng::new(self.seed).child("weights");
        let device = engine::device("cpu")?;
        Ok(Vision::new(self.config.clone(), &mut rng, &device)?)
    }

    /// The reward aligned with the first `count` rankings; with none, that of random weights.
    pub fn aligned(&self, count: usize, context: Context) -> Result<Reward, Failure> {
        let mut vision = self.vision()?;
        let alignment = usual_alignment();
        if count > 0 {
            let watch: Watch = ("align", true, context);
            let triplets = &self.triplets[..count];
            align(
                &mut vision,
                &self.videos,
                triplets,
                &alignment,
                &self.fit(),
                watch,
            )?;
        }
        let experts: Vec<&[f32]> = self.experts.iter().map(Vec::as_slice).collect();
        Ok(Reward::transport(
            vision,
            &experts,
            alignment.transport,
            Experts::Best,
        )?)
    }

    /// The reward that RLHF learns from the same rankings, three pairs each.
    pub fn rlhf(&self, count: usize, context: Context) -> Result<Reward, Failure> {
        let vision = self.vision()?;
        let pairs: Vec<[usize; 2]> = self.triplets[..count]
            .iter()
            .flat_map(Triplet::pairs)
            .collect();
        let watch: Watch = ("RLHF", true, context);
        let scored: Scored = fit_rlhf(&vision, &self.videos, &pairs, &self.fit(), watch)?;
        Ok(Reward::Scores {
            vision,
            scored: Box::new(scored),
        })
    }

    /// Spearman's ρ on test videos of the same and of another body.
    fn judged(&self, reward: &Reward) -> Result<Vec<f64>, Failure> {
        let mut found = Vec::new();
        for scenes in &self.tests {
            let truth: Vec<f64> = scenes.iter().map(|scene| scene.truth).collect();
            let mut learned = Vec::new();
            for scene in scenes {
                learned.push(reward.video(&self.config.prepare(&scene.clip))?);
            }
            found.push(agreement(&learned, &truth).spearman);
        }
        Ok(found)
    }
}

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let about = format!(
        "Two blocks rise while an agent moves at random behind them; truly wanted is that both arrive, together. A simulated user ranks a \
         demonstration and two rollouts by the true return. Every arm has the same small encoder, the same rankings (RLHF as three pairs each), 20 epochs \
         and Adam 1e-3; the {EXPERTS} demonstrations are the same for all. Tested on {TESTS} videos that nobody ranked, \
         of the same body and of another."
    );
    let mut trial = Trial::new(
        "rankings",
        "How many rankings a reward needs",
        &about,
        options,
    )
    .arm("untrained", "transport with random weights")
    .higher(
        "same body",
        "Spearman's ρ of video rewards with true returns",
    )
    .higher("other body", "the same, the agent being a bar");
    let counts = if options.full {
        &COUNTS[..]
    } else {
        &COUNTS[..2]
    };
    for count in counts {
        trial = trial
            .arm(
                &format!("RAPL {count}"),
                &format!("aligned with {count} rankings"),
            )
            .arm(
                &format!("RLHF {count}"),
                &format!("rewards from the same {count} rankings"),
            );
    }
    let mut material: Option<Material> = None;
    let found = trial.run(options, |arm, seed| {
        if material.as_ref().is_none_or(|made| made.seed != seed) {
            material = Some(Material::new(seed, counts[counts.len() - 1]));
        }
        let Some(made) = &material else {
            return Err(Failure::failed("no material"));
        };
        let count = arm
            .rsplit(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        let reward = match arm.starts_with("RLHF") {
            true => made.rlhf(count, options.context)?,
            false => made.aligned(count, options.context)?,
        };
        made.judged(&reward)
    })?;
    let same = &found.measures[0];
    let other = &found.measures[1];
    let ours = "specification, section 6";
    if let [Some(few), Some(rlhf), Some(more), Some(none)] =
        ["RAPL 10", "RLHF 10", "RLHF 30", "untrained"].map(|arm| same.of(arm))
    {
        report.claims.push(Claim::tested(
            "With 10 rankings, RAPL's reward follows the truth better than RLHF's by 0.1",
            ours,
            Bound::AtLeast(0.1),
            (same, &few.minus(rlhf)),
        ));
        report.claims.push(Claim::tested(
            "10 rankings do for RAPL what 30 do for RLHF (within 0.05)",
            ours,
            Bound::AtLeast(-0.05),
            (same, &few.minus(more)),
        ));
        report.claims.push(Claim::tested(
            "Alignment, not transport alone, makes the reward: RAPL with 10 rankings against random weights",
            "paper, table 1",
            Bound::Above(0.3),
            (same, &few.minus(none)),
        ));
    }
    if let [Some(few), Some(rlhf)] = ["RAPL 10", "RLHF 10"].map(|arm| other.of(arm)) {
        report.claims.push(Claim::tested(
            "The reward carries over to another body no worse than RLHF's",
            "paper, zero-shot to another robot body",
            Bound::AtLeast(0.0),
            (other, &few.minus(rlhf)),
        ));
    }
    if let [Some(many), Some(rlhf)] = ["RAPL 100", "RLHF 100"].map(|arm| same.of(arm)) {
        report.notes.push(format!(
            "RAPL − RLHF with 100 rankings: {:.2}.",
            many.minus(rlhf).mean
        ));
    }
    if !options.full {
        report
            .notes
            .push("The arms with 100 rankings run with `--full`.".to_owned());
    }
    report.notes.push(HISTORY.to_owned());
    let seed = options.seeds.first().copied().unwrap_or(0);
    report.figures.push(picture(&Material::new(seed, 1))?);
    report.experiments.push(found);
    Ok(())
}

/// Test scenes of both bodies, as strips.
fn picture(material: &Material) -> Result<Figure, Failure> {
    let clips: Vec<&Clip> = material
        .tests
        .iter()
        .flat_map(|scenes| &scenes[..2])
        .map(|scene| &scene.clip)
        .collect();
    let strips: Vec<_> = clips
        .iter()
        .map(|clip| clip.strip().upscale_nearest(2))
        .collect();
    let captions = ["same body", "same body", "other body", "other body"];
    let layout = Layout {
        columns: Some(1),
        ..Layout::default()
    };
    let sheet = sheet(&strips, &captions, &layout)?;
    Ok(Figure::still(
        "scenes.png",
        "Test scenes, eight frames each",
        &sheet,
    )?)
}
