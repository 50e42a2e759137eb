//! Losses of the post-training: DPO with mean or summed log-probabilities, GRPO with a clipped policy loss and a low-variance KL.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};

/// What DPO says of pairs of answers, each `[pairs]`.
#[derive(Clone, Debug)]
pub struct DpoLoss {
    /// `−log σ(β[(π_c − π_r) − (ρ_c − ρ_r)])`.
    pub loss: Tensor<1>,
    /// `β(π_c − ρ_c)`.
    pub chosen: Tensor<1>,
    /// `β(π_r − ρ_r)`.
    pub rejected: Tensor<1>,
}

/// DPO (Rafailov et al., arXiv 2305.18290) on log-probabilities of answers, `[pairs]`: their sums, or with length normalisation
/// their means over tokens.
pub fn dpo_loss(policy: [Tensor<1>; 2], reference: [Tensor<1>; 2], beta: f32) -> DpoLoss {
    let [chosen, rejected] = policy;
    let [fixed_chosen, fixed_rejected] = reference;
    let chosen = (chosen - fixed_chosen) * beta;
    let rejected = (rejected - fixed_rejected) * beta;
    DpoLoss {
        loss: softplus(rejected.clone() - chosen.clone()),
        chosen,
        rejected,
    }
}

/// `ln(1 + eˣ)` without overflow.
fn softplus(x: Tensor<1>) -> Tensor<1> {
    x.clone().clamp_min(0.0) + (x.abs().neg().exp() + 1.0).log()
}

/// Sum and mean of what [`log_probabilities`](engine::models::causal_lm::CausalLm::log_probabilities) gave for `[rows, tokens]`
/// over the labels that count: `counts` of each row.
pub fn answer_log_probabilities(tokens: Tensor<2>, counts: &[usize]) -> [Tensor<1>; 2] {
    let rows = tokens.dims()[0];
    let sums: Tensor<1> = tokens.sum_dim(1).reshape([rows]);
    let counts: Vec<f32> = counts.iter().map(|&count| count.max(1) as f32).collect();
    let counts = Tensor::from_data(TensorData::new(counts, [rows]), &sums.device());
    [sums.clone(), sums / counts]
}

/// The same from logits `[rows, tokens, vocabulary]` and labels `[rows · tokens]`, of which those that are −100 do not count.
pub fn answer_scores(logits: Tensor<3>, labels: &[i64]) -> [Tensor<1>; 2] {
    let [rows, tokens, _] = logits.dims();
    let mut targets = Vec::with_capacity(labels.len());
    let mut counted = Vec::with_capacity(labels.len());
    let mut counts = Vec::with_capacity(rows);
    for row in labels.chunks(tokens.max(1)) {
        let next = row.iter().skip(1).copied().chain([-100]);
        let before = targets.len();
        for label in next {
            targets.push(label.max(0));
            counted.push(if label == -100 { 0.0f32 } else { 1.0 });
        }
        let row = counted.get(before..).unwrap_or_default();
        counts.push(row.iter().filter(|&&it| it > 0.0).count());
    }
    let device = logits.device();
    let targets: Tensor<3, burn::tensor::Int> =
        Tensor::from_data(TensorData::new(targets, [rows, tokens, 1]), &device);
    let counted: Tensor<2> = Tensor::from_data(TensorData::new(counted, [rows, tokens]), &device);
    let picked: Tensor<2> = log_softmax(logits, 2).gather(2, targets).squeeze_dim(2);
    answer_log_probabilities(picked * counted, &counts)
}

/// Advantages of answers to the same prompt: `(r − mean) / (std + 1e-6)` within each group, with the unbiased standard
/// deviation; an answer without others keeps its reward.
pub fn group_advantages(rewards: &[f32], groups: &[i64]) -> Vec<f32> {
    let of = |group: i64| {
        let members = rewards
            .iter()
            .zip(groups)
            .filter(move |(_, it)| **it == group);
        members.map(|(reward, _)| f64::from(*reward))
    };
    let advantage = |(&reward, &group): (&f32, &i64)| {
        let count = of(group).count() as f64;
        if count < 2.0 {
            return reward / (1.0 + 1e-6);
        }
        let mean = of(group).sum::<f64>() / count;
        let squares = of(group).map(|it| (it - mean) * (it - mean)).sum::<f64>();
        let deviation = (squares / (count - 1.0)).sqrt();
        ((f64::from(reward) - mean) / (deviation + 1e-6)) as f32
    };
    rewards.iter().zip(groups).map(advantage).collect()
}

/// The parts of GRPO's loss (Shao et al., arXiv 2402.03300), each `[1]`.
#[derive(Clone, Debug)]
pub struct GrpoLoss {
    /// Mean over answer tokens of `max(−A·ratio, −A·clip(ratio))`.
    pub policy: Tensor<1>,
    /// Mean over answer tokens of `e^{ref − new} − (ref − new) − 1`, within ±10.
    pub kl: Tensor<1>,
    /// `policy + coefficient · kl`.
    pub total: Tensor<1>,
}

/// How far a policy may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrpoLimits {
    /// The ratio of probabilities counts between `1 − clip` and `1 + clip`.
    pub clip: f32,
    /// Weight of the KL term.
    pub kl: f32,
}

/// GRPO's loss from log-probabilities of tokens and advantages, all `[answers, tokens]`; `mask` is 1 at tokens of answers.
pub fn grpo_loss(
    [new, old, reference]: [Tensor<2>; 3],
    advantages: Tensor<2>,
    mask: Tensor<2>,
    limits: &GrpoLimits,
) -> GrpoLoss {
    let count = mask.clone().sum().clamp_min(1.0);
    let mean = |x: Tensor<2>| (x * mask.clone()).sum() / count.clone();
    let ratio = (new.clone() - old).exp();
    let clipped = ratio.clone().clamp(1.0 - limits.clip, 1.0 + limits.clip);
    let against = advantages.neg();
    let policy = mean((against.clone() * ratio).max_pair(against * clipped));
    let apart = (reference - new).clamp(-20.0, 20.0);
    let kl = mean((apart.clone().exp() - apart - 1.0).clamp(-10.0, 10.0));
    GrpoLoss {
        total: policy.clone() + kl.clone() * limits.kl,
        policy,
        kl,
    }
}
