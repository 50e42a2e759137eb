//! How a proof is asked for and reached.

use std::path::PathBuf;
use std::time::Instant;

use super::{Claim, Report};
use crate::command::{Context, Failure};

/// Runs a part of a proof and adds its experiments, claims and figures to the report.
pub type PartFn = fn(&ProofOptions, &mut Report) -> Result<(), Failure>;

/// A claim that cannot be tested here: what is claimed and what would show it, the source, why it is not run.
pub type OpenClaim = ([&'static str; 2], &'static str, &'static str);

/// A system's small-scale proof, as the registry holds it.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    title: &'static str,
    parts: &'static [(&'static str, PartFn)],
    whole: Option<PartFn>,
    open: &'static [OpenClaim],
    /// Number of seeds of a short and of a full run.
    pub seeds: [u64; 2],
    /// The first of them.
    pub first_seed: u64,
}

impl Proof {
    /// A proof of parts that can be run alone with `--only`; `title` is its report's.
    pub const fn new(
        title: &'static str,
        seeds: [u64; 2],
        parts: &'static [(&'static str, PartFn)],
    ) -> Self {
        Self {
            title,
            parts,
            whole: None,
            open: &[],
            seeds,
            first_seed: 0,
        }
    }

    /// A proof of one piece.
    pub const fn whole(title: &'static str, seeds: [u64; 2], run: PartFn) -> Self {
        let mut proof = Self::new(title, seeds, &[]);
        proof.whole = Some(run);
        proof
    }

    /// The same with claims that cannot be tested here.
    pub const fn open_claims(mut self, claims: &'static [OpenClaim]) -> Self {
        self.open = claims;
        self
    }

    /// The same with seeds from `seed` on, where those before it were looked at while the proof was made.
    pub const fn first_seed(mut self, seed: u64) -> Self {
        self.first_seed = seed;
        self
    }

    /// Names of its parts; empty where it is of one piece.
    pub fn parts(&self) -> Vec<&'static str> {
        self.parts.iter().map(|(name, _)| *name).collect()
    }

    /// Runs the parts that are asked for, each kept in `out/runs/part-NAME.json` once it is done, takes the others from there
    /// and writes `report.json`, `report.md` and pictures into [`ProofOptions::out`].
    ///
    /// # Errors
    /// What a part says; [`Failure::Input`] where a part that is not asked for was never run; when files cannot be written.
    pub fn run(&self, slug: &str, options: &ProofOptions) -> Result<Report, Failure> {
        let command = format!(
            "orrery prove {slug}{}",
            if options.full { " --full" } else { "" }
        );
        let begin = || Report::new(slug, self.title, &command, options.full, &options.seeds);
        let timed = |part: PartFn, last: bool| -> Result<Report, Failure> {
            let begun = Instant::now();
            let mut report = begin();
            part(options, &mut report)?;
            if last {
                let open = self.open.iter();
                let claims = open.map(|&(claim, source, why)| Claim::not_run(claim, source, why));
                report.claims.extend(claims);
            }
            report.seconds = begun.elapsed().as_secs_f64();
            Ok(report)
        };
        let runs = options.out.join("runs");
        let file = |name: &str| runs.join(format!("part-{name}.json"));
        let mut report = match self.whole {
            Some(part) => timed(part, true)?,
            None => begin(),
        };
        for (at, (name, part)) in self.parts.iter().enumerate() {
            if options.wants(name) {
                let part = timed(*part, at + 1 == self.parts.len())?;
                part.keep(&file(name), &options.out)?;
            }
        }
        for (name, _) in self.parts {
            let mut kept = Report::kept(&file(name), &options.out).ok_or_else(|| {
                Failure::input(format!(
                    "no earlier run of the part `{name}` is in `{}`: run the proof without `--only`",
                    runs.display()
                ))
            })?;
            if !options.wants(name) {
                kept.notes
                    .push(format!("The part `{name}` is from an earlier run."));
            }
            report.append(kept);
        }
        report.write(&options.out)?;
        Ok(report)
    }
}

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct ProofOptions {
    /// As long as the specification says; otherwise under about ten minutes on two cores.
    pub full: bool,
    /// Parts to run, names of [`Proof::parts`]; the others are taken from an earlier run into the same folder. Empty: all.
    pub only: Vec<String>,
    /// Seeds; at least one.
    pub seeds: Vec<u64>,
    /// The folder for the report, which exists.
    pub out: PathBuf,
    /// Whether progress is shown on standard error.
    pub progress: bool,
    /// When to stop.
    pub context: Context,
}

impl ProofOptions {
    /// Whether `part` is to be run.
    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn minutes_are_those_of_all_parts_however_they_were_run() {
        static STOP: AtomicBool = AtomicBool::new(false);
        const PROOF: Proof = Proof::new("Toy", [1, 1], &[("a", nothing), ("b", nothing)]);
        fn nothing(_: &ProofOptions, _: &mut Report) -> Result<(), Failure> {
            Ok(())
        }
        let folder = tempfile::tempdir().unwrap();
        let run = |only: &[&str]| {
            let options = ProofOptions {
                full: false,
                only: only.iter().map(|&part| part.to_owned()).collect(),
                seeds: vec![0],
                out: folder.path().into(),
                progress: false,
                context: Context { stop: &STOP },
            };
            PROOF.run("toy", &options).unwrap()
        };
        assert!(run(&[]).seconds < 60.0);
        let path = folder.path().join("runs/part-a.json");
        let mut part = Report::kept(&path, folder.path()).unwrap();
        part.seconds = 600.0;
        part.keep(&path, folder.path()).unwrap();
        let report = run(&["b"]);
        assert!((600.0..660.0).contains(&report.seconds), "{report:?}");
        assert_eq!(report.notes, ["The part `a` is from an earlier run."]);
    }
}
