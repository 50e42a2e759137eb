//! Proofs: arms run side by side in experiments, measured over seeds with intervals, claims shown or not shown.
//!
//! A [`Report`] holds [`Experiment`]s, each with its [`Arm`]s and [`Measure`]s, and the [`Claim`]s that they speak to.
//! [`Report::write`] makes `report.json`, `report.md` and pictures of it. Nothing in it names a path or a machine.

mod markdown;
mod measure;
mod report;
mod run;
mod trial;

pub use measure::{Better, Measure, Method, Outcome, Share, Unit, Value};
pub use report::{Arm, Bound, Claim, Experiment, Figure, Report, ReportError, Verdict};
pub use run::{OpenClaim, PartFn, Proof, ProofOptions};
pub use trial::Trial;
