//! What a server reconstructs, for each method and threat level.

use base::command::Failure;
use base::proof::{Better, Bound, Claim, Figure, ProofOptions, Report, Trial, Unit};

use crate::hyperfl::attack::Cost;
use crate::hyperfl::{
    Attack, Config, Dataset, Level, Method, Scene, Split, Target, pictures_sheet, run_attack, split,
};

/// Rounds before the attack.
const ROUNDS: usize = 5;
/// Steps where several are sent.
const STEPS: usize = 5;
/// Pictures attacked for each seed, one at a time.
const VICTIMS: usize = 2;

/// Name of the arm, what is attacked, how.
const ARMS: [(&str, Target, Level, &str); 7] = [
    (
        "FedAvg, one step",
        Target::Fedavg,
        Level::Naive,
        "the gradient of one step of the whole network",
    ),
    (
        "DP-FedAvg, one step",
        Target::DpFedavg,
        Level::Naive,
        "the same, clipped and noised for ε = 4",
    ),
    (
        "HyperFL, one step, naive",
        Target::Hyperfl,
        Level::Naive,
        "picture, embedding and head varied together",
    ),
    (
        "HyperFL, one step, tailored",
        Target::Hyperfl,
        Level::Tailored,
        "extractor and its gradient computed from the upload, head varied",
    ),
    (
        "FedAvg, five steps",
        Target::Fedavg,
        Level::Multistep,
        "the update of five steps taken for one gradient",
    ),
    (
        "HyperFL, five steps",
        Target::Hyperfl,
        Level::Multistep,
        "the same, tailored",
    ),
    (
        "FedAvg, five steps unrolled",
        Target::Fedavg,
        Level::Unrolled,
        "the five steps simulated within the attack",
    ),
];

const OURS: &str = "specification, sections 3 and 6";

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let data = Dataset::open("digits")?;
    let parts = split(
        &data,
        8,
        &Split {
            train: 80,
            test: 60,
            even: 20,
        },
    )?;
    let iterations = if options.full { 1000 } else { 300 };
    let about = format!(
        "After {ROUNDS} rounds as for the drawn digits, client 0 trains on one picture at a time; {VICTIMS} pictures for each seed, \
         {iterations} iterations of signed Adam from one start, TV 0.01. The label is known to the attacker. A cosine below 0.9 \
         means that the attack failed to optimise, not that nothing leaks."
    );
    let mut trial = Trial::new("privacy", "What a server reconstructs", &about, options)
        .measure(
            "PSNR",
            "of the reconstruction",
            Better::Lower,
            Unit::Decibel,
        )
        .lower("SSIM", "7 × 7 uniform")
        .higher("cosine", "reached between guessed and seen gradient");
    for (name, _, _, about) in ARMS {
        trial = trial.arm(name, about);
    }
    let scene = |target: Target, seed: u64| {
        let config = |method: Method| Config {
            method,
            clients: 8,
            rounds: ROUNDS,
            batch: 20,
            hidden: 32,
            seed,
            ..Config::default()
        };
        Scene::train(config, (&data, &parts), target, options.context)
    };
    let mut scenes: Option<(u64, [Scene; 2])> = None;
    let mut pictures: Vec<(String, Vec<f32>)> = Vec::new();
    let found = trial.run(options, |arm, seed| {
        if scenes.as_ref().is_none_or(|(at, _)| *at != seed) {
            scenes = Some((
                seed,
                [scene(Target::Fedavg, seed)?, scene(Target::Hyperfl, seed)?],
            ));
        }
        let known = ARMS.iter().find(|(name, ..)| *name == arm);
        let (Some((_, scenes)), Some((_, target, level, _))) = (&scenes, known) else {
            return Err(Failure::failed(format!("no arm `{arm}`")));
        };
        let scene = &scenes[usize::from(*target == Target::Hyperfl)];
        let params = scene.params(0);
        let attack = Attack {
            target: *target,
            level: *level,
            steps: STEPS,
            cost: Cost::Sim,
            iterations,
            restarts: 1,
            tv: 0.01,
            sigma: if *target == Target::DpFedavg {
                scene.sigma()?
            } else {
                0.0
            },
            seed,
        };
        let mut sums = vec![0.0; 3];
        for victim in 0..VICTIMS {
            let truth = scene.pictures(&data, 0, victim..victim + 1)?;
            let found = run_attack(scene.victim(&params, &truth), &attack, &mut |_, _| {
                Ok(options.context.proceed_or_resume()?)
            })?;
            for (sum, value) in sums.iter_mut().zip([found.psnr, found.ssim7, found.cosine]) {
                *sum += value / VICTIMS as f64;
            }
            if Some(&seed) == options.seeds.first() {
                let mut show = |name: &str, picture: &[f32]| match pictures
                    .iter_mut()
                    .find(|(known, _)| known == name)
                {
                    Some((_, row)) => row.extend(picture),
                    None => pictures.push((name.to_owned(), picture.to_vec())),
                };
                if arm == ARMS[0].0 {
                    show("truth", &truth.pictures);
                }
                show(arm, &found.pictures);
            }
        }
        Ok(sums)
    })?;
    let psnr = &found.measures[0];
    let claim = |statement: &str, arm: &str, bound| {
        let outcome = psnr.of(arm)?;
        Some(Claim::tested(statement, OURS, bound, (psnr, outcome)))
    };
    report.claims.extend(
        [
            claim(
                "A single step of FedAvg gives its picture away",
                ARMS[0].0,
                Bound::AtLeast(20.0),
            ),
            claim(
                "A naive attack on a single step of HyperFL fails",
                ARMS[2].0,
                Bound::AtMost(12.0),
            ),
            claim(
                "Five steps of HyperFL withstand the tailored attack",
                ARMS[5].0,
                Bound::AtMost(12.0),
            ),
        ]
        .into_iter()
        .flatten(),
    );
    if let [Some(tailored), Some(fedavg)] = [3, 0].map(|at: usize| psnr.of(ARMS[at].0)) {
        report.claims.push(Claim::tested(
            "To a server that knows the method, a single step of HyperFL gives as much away as one of FedAvg",
            OURS,
            Bound::AtLeast(-3.0),
            (psnr, &tailored.minus(fedavg)),
        ));
    }
    if !pictures.is_empty() {
        let rows: Vec<&[f32]> = pictures.iter().map(|(_, row)| &row[..]).collect();
        let names: Vec<&str> = pictures.iter().map(|(name, _)| &name[..]).collect();
        let sheet = pictures_sheet(&rows, &names, data.shape)?;
        let caption = "Pictures of client 0 and what the attacks found, first seed";
        report
            .figures
            .push(Figure::still("reconstructions.png", caption, &sheet)?);
    }
    report.experiments.push(found);
    Ok(())
}
