//! The smallest complete system: card, verb, parity test, proof. CONTRIBUTING.md tells where each part goes.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use base::card::Card;
use base::command::{Context, Failure, print_line};
use base::fixtures::{cases, report};
use base::proof::{Better, Bound, Claim, Proof, ProofOptions, Report, Trial, Unit};
use base::system::{System, Verbs};

// mod.rs
const CARD: Card = Card {
    slug: "doubling",
    title: "Doubling: a toy",
    paper: "arXiv 2412.00000",
    domain: "base",
    purpose: "Doubles numbers",
    claims: &["doubling is twice as much"],
    weights: "none",
    licence: "ours",
};
const SYSTEM: System = System::new::<Command>(CARD, PROOF);

fn double(x: f64) -> f64 {
    2.0 * x
}

// command.rs
#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Print twice a number
    Double { number: f64 },
}

impl Verbs for Command {
    fn run(&self, _: Context) -> Result<(), Failure> {
        let Self::Double { number } = self;
        print_line(&double(*number).to_string())
    }
}

// proof.rs
const PROOF: Proof = Proof::new(CARD.title, [3, 9], &[("all", prove)]);

fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let experiment = Trial::new("ratio", "Ratio", "Result by input.", options)
        .arm("double", "the method")
        .measure("ratio", "output / input", Better::Near, Unit::Number)
        .run(options, |_, seed| {
            Ok(vec![double(seed as f64 + 1.0) / (seed as f64 + 1.0)])
        })?;
    if let [measure] = &experiment.measures[..]
        && let Some(outcome) = measure.of("double")
    {
        let claim = Claim::tested(
            "doubling doubles",
            "the title",
            Bound::AtLeast(2.0),
            (measure, outcome),
        );
        report.claims.push(claim);
    }
    report.experiments.push(experiment);
    Ok(())
}

// tests/doubling.rs
#[test]
fn parity() {
    let cases = cases(
        "doubling",
        "double",
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
    );
    for case in &cases {
        for (x, y) in case
            .numbers("input")
            .into_iter()
            .zip(case.numbers("output"))
        {
            assert!(
                (double(x) - y).abs() <= case.tolerance("output", 1e-9),
                "{}: {x}",
                case.name
            );
        }
    }
    report("doubling", "double", cases.len());
}

// What the program does with it.
#[test]
fn the_registry_runs_it() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let context = Context { stop: &STOP };
    let command = SYSTEM.command().expect("it has verbs");
    let matches = command.get_matches_from(["doubling", "double", "21"]);
    SYSTEM.run(&matches, context).expect("it runs");
    let out = tempfile::tempdir().expect("a folder");
    let only = Vec::new();
    let options = ProofOptions {
        full: false,
        only,
        seeds: vec![0, 1, 2],
        out: out.path().into(),
        progress: false,
        context,
    };
    let report = PROOF.run("doubling", &options).expect("a report");
    assert!(
        report.markdown().contains("**shown**"),
        "{}",
        report.markdown()
    );
}
