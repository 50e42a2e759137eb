//! Experiment 3: STIV's own claims on the toy world. Its models train too slowly here to have been run yet.

use engine::proof::Claim;

/// Statements and thresholds, as the specification fixes them.
const CLAIMS: [[&str; 2]; 3] = [
    [
        "image-condition dropout keeps text-to-video alive in a model that also takes images (paper table 4)",
        "caption accuracy: STIV at least 80 % and within 8 points of T2V alone, without dropout at most half; TI2V within 5 points",
    ],
    [
        "CFG-renorm tames strong guidance",
        "at scale 7.5 fewer out-of-range pixels and a lower Fréchet distance with renorm than without",
    ],
    [
        "joint guidance costs 2 passes a step against 3 for separate guidance",
        "passes counted, accuracies within noise",
    ],
];

/// The claims, as not run.
pub(super) fn not_run() -> Vec<Claim> {
    let claim = |[statement, threshold]: [&str; 2]| {
        let why = "the three toy models were not trained";
        super::not_run(statement, "arXiv 2412.07730, toy world", threshold, why)
    };
    CLAIMS.into_iter().map(claim).collect()
}
