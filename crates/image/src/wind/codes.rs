//! Which ring keys the groups of a key have.

use super::{Key, SystemError};

/// The ring key of each group, one bit a ring. All keys in order where there are as many groups; else a subset in which
/// each next one is as far from those before as it can be (Hamming distance), begun and ordered by the salt.
///
/// # Errors
/// [`SystemError::Input`] where there are more groups than `2^rings`.
pub fn codes(key: &Key, rings: usize) -> Result<Vec<u32>, SystemError> {
    let all = 1u32 << rings.min(20);
    let groups = key.groups();
    if groups > all as usize {
        return Err(SystemError::Input(format!(
            "{groups} groups: latents of this size tell {all} apart; make a key with fewer `--groups`"
        )));
    }
    if groups == all as usize {
        return Ok((0..all).collect());
    }
    let digest = key.mac(&[b"orrery-wind-codes-v1"]);
    let seed = u64::from_le_bytes(std::array::from_fn(|at| digest[at]));
    let mut order: Vec<u32> = (0..all).collect();
    base::rng::Rng::new(seed).shuffle(&mut order);
    let mut chosen = Vec::with_capacity(groups);
    let mut nearest = vec![u32::MAX; order.len()];
    let mut next = 0;
    while chosen.len() < groups {
        let code = order[next];
        chosen.push(code);
        nearest[next] = 0;
        for (distance, &other) in nearest.iter_mut().zip(&order) {
            *distance = (*distance).min((code ^ other).count_ones());
        }
        // The first of the farthest.
        let farthest = nearest.iter().copied().max().unwrap_or(0);
        next = nearest.iter().position(|&d| d == farthest).unwrap_or(0);
    }
    Ok(chosen)
}
