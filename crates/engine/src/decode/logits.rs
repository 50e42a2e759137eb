//! What logits `[vocabulary]` say.

use super::DecodeError;

/// Probabilities of `logits`: their softmax. A `-inf` has probability 0.
///
/// # Errors
/// [`DecodeError::NoToken`] when there is no finite logit, or one is NaN or `+inf`.
pub fn softmax(logits: &[f32]) -> Result<Vec<f32>, DecodeError> {
    let broken = DecodeError::NoToken("the model's logits are not finite numbers");
    let probabilities = kernels::softmax(kernels::Level::best(), logits, logits.len());
    match probabilities {
        Ok(found) if !found.is_empty() && found.iter().sum::<f32>().is_finite() => Ok(found),
        _ => Err(broken),
    }
}

/// The token with the largest logit, the first of equal ones; NaN counts as the smallest. `None` when no logit is above
/// `-inf`.
pub fn argmax(logits: &[f32]) -> Option<u32> {
    let mut best = (f32::NEG_INFINITY, None);
    for (&logit, id) in logits.iter().zip(0u32..) {
        if logit > best.0 {
            best = (logit, Some(id));
        }
    }
    best.1
}

/// `ln Σ eˣ`, summed in f64.
fn log_sum(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from((x - max).exp())).sum();
    f64::from(max) + sum.ln()
}

/// The natural logarithm of the probability of token `id`; NaN for an id that `logits` do not have.
pub fn log_probability(logits: &[f32], id: u32) -> f32 {
    let logit = logits.get(id as usize).copied().unwrap_or(f32::NAN);
    (f64::from(logit) - log_sum(logits)) as f32
}

/// The `n` most probable tokens with the natural logarithms of their probabilities, the best first, equal ones by id.
pub fn top_log_probabilities(logits: &[f32], n: usize) -> Vec<(u32, f32)> {
    let n = n.min(logits.len());
    if n == 0 {
        return Vec::new();
    }
    let sum = log_sum(logits);
    let mut ids: Vec<u32> = (0u32..).zip(logits).map(|(id, _)| id).collect();
    let better = |&a: &u32, &b: &u32| {
        let [x, y] = [a, b].map(|id| key(logits[id as usize]));
        y.total_cmp(&x).then(a.cmp(&b))
    };
    if n < ids.len() {
        ids.select_nth_unstable_by(n - 1, better);
        ids.truncate(n);
    }
    ids.sort_unstable_by(better);
    let log = |id: u32| (f64::from(logits[id as usize]) - sum) as f32;
    ids.into_iter().map(|id| (id, log(id))).collect()
}

/// NaN as the smallest number.
pub(super) fn key(logit: f32) -> f32 {
    if logit.is_nan() {
        f32::NEG_INFINITY
    } else {
        logit
    }
}

/// Shannon entropy of `probabilities` in bits, `−Σ p · log2(p + 1e-15)` (HARP, arXiv 2412.07282, code).
pub fn entropy_bits(probabilities: &[f32]) -> f32 {
    let term = |&p: &f32| f64::from(p) * (f64::from(p) + 1e-15).log2();
    -probabilities.iter().map(term).sum::<f64>() as f32
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_best_token_and_its_probability() {
        let logits = [0.0, 2.0, f32::NAN, 2.0, f32::NEG_INFINITY];
        assert_eq!(argmax(&logits), Some(1));
        assert_eq!(argmax(&[f32::NAN, f32::NEG_INFINITY]), None);
        let logits = [1.0f32.ln(), 2.0f32.ln(), 5.0f32.ln()];
        let top = top_log_probabilities(&logits, 2);
        assert_eq!([top[0].0, top[1].0], [2, 1]);
        assert!((top[0].1.exp() - 0.625).abs() < 1e-6 && (top[1].1.exp() - 0.25).abs() < 1e-6);
        assert!((log_probability(&logits, 0).exp() - 0.125).abs() < 1e-6);
        assert_eq!(top_log_probabilities(&logits, 9).len(), 3);
    }

    #[test]
    fn two_equal_tokens_have_one_bit() {
        let bits = entropy_bits(&softmax(&[3.0, 3.0, f32::NEG_INFINITY]).unwrap());
        assert!((bits - 1.0).abs() < 1e-6);
        assert!(softmax(&[f32::NEG_INFINITY; 2]).is_err() && softmax(&[f32::NAN, 1.0]).is_err());
    }
}
