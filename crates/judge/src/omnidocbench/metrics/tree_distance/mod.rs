//! The edit distance of ordered trees, exact.
//!
//! The least cost of deleting nodes (their children move up to their parent), inserting nodes and renaming nodes that
//! makes one tree of the other; deleting and inserting cost 1, renaming between 0 and 1. This is the distance that APTED
//! computes. The recursion is Zhang and Shasha's (SIAM J. Comput. 18(6), 1989) over whichever of left and right paths
//! makes less work; for tables, which are three levels deep, that is a few times the product of the sizes.
//!
//! What makes it fast is a band (Touzet, "A linear tree edit distance algorithm for similar ordered trees", 2005): a node
//! can only answer a node whose place in postorder differs by no more than what is inserted or deleted, so where the
//! distance is small only a strip of each table is needed. A first, narrow strip gives an upper bound of the distance;
//! the strip is widened until no mapping outside it could cost less than what was found within.

mod forest;
mod order;

use forest::Pass;
pub use order::Postorder;

/// What renaming costs.
pub trait Rename {
    /// The cost of making node `a` of the first tree node `b` of the second, both in postorder; between 0 and 1.
    fn cost(&mut self, a: usize, b: usize) -> f64;
}

/// More work than anybody wants to wait for: places of tables filled, and places kept.
const MOST_WORK: f64 = 2e10;
const MOST_KEPT: f64 = 3.2e7;

/// Half the width of the second strip, after one of no width: tables that are nearly alike need no more.
const FIRST: usize = 2;

/// How far below all other mappings' costs the first strip's distance must be. Sums that should be equal may differ in
/// their last digits; which of them is the least is left to wider strips.
const CLEARLY: f64 = 1e-6;

/// The trees are too large to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// The distance of two trees, neither of them empty.
///
/// # Errors
/// When it would take minutes or gigabytes.
pub fn distance(a: &Postorder, b: &Postorder, rename: &mut impl Rename) -> Result<f64, TooLarge> {
    let (left, right) = (a.work() * b.work(), a.mirrored_work() * b.mirrored_work());
    if right < left {
        let (from_a, from_b) = (a.mirror_places(), b.mirror_places());
        let mut rename = Mirrored {
            inner: rename,
            a: inverse(&from_a),
            b: inverse(&from_b),
        };
        return widen(&a.mirrored(&from_a), &b.mirrored(&from_b), &mut rename);
    }
    widen(a, b, rename)
}

/// Widens the strip until the distance found within is certain.
fn widen(a: &Postorder, b: &Postorder, rename: &mut impl Rename) -> Result<f64, TooLarge> {
    let apart = a.len().abs_diff(b.len());
    let most = a.len().min(b.len());
    let first = FIRST.min(most);
    let mut slack = 0;
    loop {
        // A strip that wide holds every mapping with at most `slack` insertions and deletions beyond those that the
        // sizes force.
        let inserted = b.len().saturating_sub(a.len());
        let deleted = a.len().saturating_sub(b.len());
        let wide = slack.max(first);
        if Pass::kept(a, b, inserted + wide, deleted + wide) > MOST_KEPT
            || a.work() * (b.work().min((apart + 2 * wide + 1) as f64 * 8.0)) > MOST_WORK
        {
            return Err(TooLarge);
        }
        let found = Pass::new(a, b, inserted + slack, deleted + slack).run(rename);
        let outside = (apart + 2 * (slack + 1)) as f64;
        if slack >= first && (slack >= most || found <= outside) || found < outside - CLEARLY {
            return Ok(found);
        }
        if slack < first {
            slack = first;
            continue;
        }
        let enough = ((found - apart as f64) / 2.0).ceil() as usize;
        slack = enough.min(4 * slack).min(most).max(slack + 1);
    }
}

/// Renaming between mirrored trees.
struct Mirrored<'a, R> {
    inner: &'a mut R,
    a: Vec<usize>,
    b: Vec<usize>,
}

impl<R: Rename> Rename for Mirrored<'_, R> {
    fn cost(&mut self, a: usize, b: usize) -> f64 {
        match (self.a.get(a), self.b.get(b)) {
            (Some(&a), Some(&b)) => self.inner.cost(a, b),
            _ => 1.0,
        }
    }
}

/// The permutation backwards.
fn inverse(places: &[usize]) -> Vec<usize> {
    let mut back = vec![0; places.len()];
    for (from, &to) in places.iter().enumerate() {
        if let Some(place) = back.get_mut(to) {
            *place = from;
        }
    }
    back
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
