//! Scores of questions about a picture: with and without dependencies (DSG, Cho et al., ICLR 2024), ConceptMix's full mark, gains.

use std::collections::BTreeMap;

/// Which questions a question stands on, by their numbers; 0 is none.
pub type Dependencies = BTreeMap<u32, Vec<u32>>;

/// Whether each question counts: all of its direct parents were answered yes. A parent that does not count itself, or was not asked,
/// changes nothing.
pub fn valid(answers: &BTreeMap<u32, bool>, dependencies: &Dependencies) -> BTreeMap<u32, bool> {
    let parents = |id: &u32| dependencies.get(id).map(Vec::as_slice).unwrap_or_default();
    let stands = |id: &u32| parents(id).iter().all(|it| answers.get(it) != Some(&false));
    answers.keys().map(|id| (*id, stands(id))).collect()
}

/// The share of questions that were answered yes and count; without `dependencies` all count. 0 without questions.
pub fn score(answers: &BTreeMap<u32, bool>, dependencies: Option<&Dependencies>) -> f64 {
    let nothing = Dependencies::new();
    let valid = valid(answers, dependencies.unwrap_or(&nothing));
    let yes = answers.iter().filter(|(id, yes)| **yes && valid[*id]);
    yes.count() as f64 / answers.len().max(1) as f64
}

/// ConceptMix's mean question score over pictures: all answers that are yes, of all answers. 0 without answers.
pub fn mean_question_score(pictures: &[Vec<bool>]) -> f64 {
    let all = pictures.concat();
    all.iter().filter(|yes| **yes).count() as f64 / all.len().max(1) as f64
}

/// ConceptMix's full mark over pictures: the share of those whose answers are all yes. 0 without pictures.
pub fn full_mark_rate(pictures: &[Vec<bool>]) -> f64 {
    let full = pictures.iter().filter(|it| it.iter().all(|yes| *yes));
    full.count() as f64 / pictures.len().max(1) as f64
}

/// How much larger `with` is than `base`, as a share of `base`.
pub fn gain(base: f64, with: f64) -> f64 {
    (with - base) / base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_pictures() {
        let pictures = [vec![true, true], vec![true, false, false, false]];
        assert_eq!(mean_question_score(&pictures), 0.5);
        assert_eq!(full_mark_rate(&pictures), 0.5);
        assert_eq!(gain(0.5, 0.75), 0.5);
        assert_eq!(score(&BTreeMap::new(), None), 0.0);
    }
}
