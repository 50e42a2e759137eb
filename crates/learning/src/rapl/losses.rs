//! What is learned from preferences: the triplet loss of RAPL, the Bradley–Terry loss of RLHF, DPO for diffusion policies
//! (specification 2.1, 2.3, 2.4).

use super::embeddings::Embeddings;
use super::transport::Transport;
use super::{LearningError, Result};

/// `log(1 + exp(x))` without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// `1 / (1 + exp(−x))`.
pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// How triplets are compared.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Alignment {
    /// How frames are matched.
    pub transport: Transport,
    /// What similarities are multiplied by.
    pub temperature: f64,
    /// Whether the gradient runs through Sinkhorn's iterations; else the plan counts as constant.
    pub unroll: bool,
}

/// The loss of one triplet.
#[derive(Clone, Debug)]
pub struct TripletLoss {
    /// `−log σ(temperature · (preferred − other))`.
    pub loss: f64,
    /// Similarity of anchor and preferred, of anchor and other: minus the transport cost.
    pub similarities: [f64; 2],
    /// For anchor, preferred and other.
    pub gradients: [Embeddings; 3],
}

/// The loss of a triplet whose `preferred` is liked more than `other`, seen from `anchor`.
///
/// # Errors
/// As [`Transport::solve`].
pub fn triplet_loss(
    [anchor, preferred, other]: [&Embeddings; 3],
    alignment: &Alignment,
) -> Result<TripletLoss> {
    let transport = &alignment.transport;
    let with = |video| transport.cost_with_gradients(anchor, video, alignment.unroll);
    let (near, [near_anchor, near_video]) = with(preferred)?;
    let (far, [far_anchor, far_video]) = with(other)?;
    let margin = alignment.temperature * (far - near);
    // The loss falls with the margin.
    let slope = sigmoid(-margin) * alignment.temperature;
    let mut gradients = [anchor, preferred, other].map(Embeddings::zeros_like);
    gradients[0].add(&near_anchor, slope);
    gradients[0].add(&far_anchor, -slope);
    gradients[1].add(&near_video, slope);
    gradients[2].add(&far_video, -slope);
    Ok(TripletLoss {
        loss: softplus(-margin),
        similarities: [-near, -far],
        gradients,
    })
}

/// The mean Bradley–Terry loss of pairs of videos with their frames' rewards, and for each pair the gradient for the reward of any
/// frame of its first and of its second video; `preferred` is 0 or 1.
///
/// # Errors
/// No pair, or another label.
pub fn bradley_terry(pairs: &[[&[f64]; 2]], preferred: &[usize]) -> Result<(f64, Vec<[f64; 2]>)> {
    if pairs.is_empty() || pairs.len() != preferred.len() || preferred.iter().any(|at| *at > 1) {
        return Err(LearningError::invalid(format!(
            "{} pairs of videos with {} labels: give one label, 0 or 1, for each of one or more pairs",
            pairs.len(),
            preferred.len()
        )));
    }
    let share = 1.0 / pairs.len() as f64;
    let mut loss = 0.0;
    let mut gradients = Vec::with_capacity(pairs.len());
    for (pair, &liked) in pairs.iter().zip(preferred) {
        let sums = pair.map(|rewards| rewards.iter().sum::<f64>());
        let margin = sums[liked] - sums[1 - liked];
        loss += share * softplus(-margin);
        let slope = share * sigmoid(-margin);
        let mut gradient = [slope; 2];
        gradient[liked] = -slope;
        gradients.push(gradient);
    }
    Ok((loss, gradients))
}

/// Squared errors of the predicted noise on a preferred and on a rejected chunk: of the policy and of its frozen reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseErrors {
    /// Policy on the preferred chunk.
    pub policy_preferred: f64,
    /// Reference on the preferred chunk.
    pub reference_preferred: f64,
    /// Policy on the rejected chunk.
    pub policy_rejected: f64,
    /// Reference on the rejected chunk.
    pub reference_rejected: f64,
}

/// The mean DPO loss of diffusion policies, and its gradients for the policy's errors on preferred and rejected chunks.
///
/// # Errors
/// No pair.
pub fn diffusion_dpo(errors: &[NoiseErrors], beta: f64) -> Result<(f64, Vec<[f64; 2]>)> {
    if errors.is_empty() {
        return Err(LearningError::invalid(
            "no pair to learn from: give at least one",
        ));
    }
    let share = 1.0 / errors.len() as f64;
    let mut loss = 0.0;
    let gradients = errors
        .iter()
        .map(|errors| {
            let worse = (errors.policy_preferred - errors.reference_preferred)
                - (errors.policy_rejected - errors.reference_rejected);
            loss += share * softplus(beta * worse);
            let slope = share * beta * sigmoid(beta * worse);
            [slope, -slope]
        })
        .collect();
    Ok((loss, gradients))
}
