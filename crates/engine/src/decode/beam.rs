//! Beam search over anything that gives logits.

use std::collections::HashSet;

use super::{DecodeError, top_log_probabilities};

/// What beam search asks a model for. It keeps one state (a cache) for each live beam of the last call.
pub trait BeamModel {
    /// Logits `[vocabulary]` after the prompt.
    ///
    /// # Errors
    /// What the model reports.
    fn start(&mut self) -> Result<Vec<f32>, DecodeError>;

    /// New beams in the place of the old ones: each is the old beam at the given index and one more token. Gives the logits
    /// `[vocabulary]` of each. After [`BeamModel::start`] there is one beam, 0.
    ///
    /// # Errors
    /// What the model reports.
    fn extend(&mut self, beams: &[(usize, u32)]) -> Result<Vec<Vec<f32>>, DecodeError>;
}

/// How a score becomes a rank, so that beams of different length can be compared. `n` is the number of generated tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LengthPenalty {
    /// `score / n^alpha`; 0 compares sums, 1 means.
    Power(f32),
    /// `score / ((m + n − 1) / (m + 1))^alpha` with at least 1 for `n − 1` (HARP, arXiv 2412.07282, official code;
    /// after Wu et al. 2016).
    Shifted {
        /// The exponent.
        alpha: f32,
        /// `m`.
        min_length: f32,
    },
}

impl LengthPenalty {
    /// The rank of a beam of `n ≥ 1` generated tokens.
    pub fn rank(self, score: f32, n: usize) -> f32 {
        match self {
            Self::Power(alpha) => score / (n as f32).powf(alpha),
            Self::Shifted { alpha, min_length } => {
                let n = n.saturating_sub(1).max(1) as f32;
                score / ((min_length + n) / (min_length + 1.0)).powf(alpha)
            }
        }
    }
}

/// How wide and how far is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct BeamConfig {
    /// Beams that are kept.
    pub beams: usize,
    /// Continuations of each beam that are looked at.
    pub top_k: usize,
    /// Generated tokens at most.
    pub max_tokens: usize,
    /// Tokens that end a beam; they are part of it.
    pub end: Vec<u32>,
    /// What the sum of log-probabilities begins with.
    pub start_score: f32,
    /// Whether the first token may end a beam.
    pub first_may_end: bool,
    /// How beams of different length are compared.
    pub penalty: LengthPenalty,
}

impl BeamConfig {
    /// The usual search: scores are mean log-probabilities.
    pub fn new(beams: usize, max_tokens: usize, end: Vec<u32>) -> Self {
        Self {
            beams,
            top_k: 2 * beams,
            max_tokens,
            end,
            start_score: 0.0,
            first_may_end: true,
            penalty: LengthPenalty::Power(1.0),
        }
    }

    /// The search of HARP's official code: 3 beams of 5 continuations, scores that begin at 1, length penalty 1.2 with
    /// `min_length` 5, and a first token that ends nothing (arXiv 2412.07282, code).
    pub fn harp(max_tokens: usize, end: Vec<u32>) -> Self {
        Self {
            beams: 3,
            top_k: 5,
            max_tokens,
            end,
            start_score: 1.0,
            first_may_end: false,
            penalty: LengthPenalty::Shifted {
                alpha: 1.2,
                min_length: 5.0,
            },
        }
    }
}

/// A way that the text may go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Beam {
    /// Generated tokens, the one that ended it included.
    pub ids: Vec<u32>,
    /// Start score plus the sum of log-probabilities.
    pub score: f32,
    /// The score after the length penalty.
    pub rank: f32,
    /// Whether a token ended it.
    pub ended: bool,
}

/// The best beams, the best one first. Equal ranks keep the order of their parents.
///
/// # Errors
/// [`DecodeError::Setting`] for a width or length of 0, [`DecodeError::NoToken`] for logits without a finite one, and what
/// the model reports.
pub fn beam_search(
    model: &mut dyn BeamModel,
    config: &BeamConfig,
) -> Result<Vec<Beam>, DecodeError> {
    for (name, value) in [
        ("beams", config.beams),
        ("top-k", config.top_k),
        ("length", config.max_tokens),
    ] {
        if value == 0 {
            let value = value.to_string();
            let range = "give at least 1";
            return Err(DecodeError::Setting { name, value, range });
        }
    }
    let first = model.start()?;
    let root = Beam {
        ids: Vec::new(),
        score: config.start_score,
        rank: 0.0,
        ended: false,
    };
    // Each beam with the index of its state in the model; the new token is not part of that state yet.
    let mut beams: Vec<(Beam, usize)> = continuations(&root, &first, config, config.beams)?
        .into_iter()
        .map(|beam| (beam, 0))
        .collect();
    for _ in 1..config.max_tokens {
        let live: Vec<usize> = (0..beams.len()).filter(|&i| !beams[i].0.ended).collect();
        if live.is_empty() {
            break;
        }
        let steps = live.iter().filter_map(|&i| {
            let (beam, state) = &beams[i];
            Some((*state, *beam.ids.last()?))
        });
        let logits = model.extend(&steps.collect::<Vec<_>>())?;
        let mut next: Vec<(Beam, usize)> = Vec::new();
        let mut seen = HashSet::new();
        let mut states = logits.iter().enumerate();
        for (beam, _) in &beams {
            let mut found = Vec::new();
            if beam.ended {
                found.push((beam.clone(), 0));
            } else if let Some((state, logits)) = states.next() {
                let more = continuations(beam, logits, config, config.top_k)?;
                found.extend(more.into_iter().map(|beam| (beam, state)));
            }
            next.extend(found.into_iter().filter(|it| seen.insert(it.0.ids.clone())));
        }
        next.sort_by(|a, b| b.0.rank.total_cmp(&a.0.rank));
        next.truncate(config.beams);
        beams = next;
    }
    Ok(beams.into_iter().map(|it| it.0).collect())
}

/// The `count` best continuations of `beam` by one token.
fn continuations(
    beam: &Beam,
    logits: &[f32],
    config: &BeamConfig,
    count: usize,
) -> Result<Vec<Beam>, DecodeError> {
    let n = beam.ids.len() + 1;
    let may_end = n > 1 || config.first_may_end;
    let best = top_log_probabilities(logits, count).into_iter();
    let beams: Vec<Beam> = best
        .filter(|(_, log)| log.is_finite())
        .map(|(id, log)| {
            let score = beam.score + log;
            Beam {
                ids: beam.ids.iter().copied().chain([id]).collect(),
                score,
                rank: config.penalty.rank(score, n),
                ended: may_end && config.end.contains(&id),
            }
        })
        .collect();
    match beams.is_empty() {
        true => Err(DecodeError::NoToken(
            "the model's logits are not finite numbers",
        )),
        false => Ok(beams),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A chain over four tokens, of which 3 ends: logits depend on the last token only.
    struct Chain {
        states: Vec<Vec<u32>>,
    }

    const NEXT: [[f32; 4]; 4] = [
        [0.1, 0.6, 0.2, 0.1],
        [0.3, 0.1, 0.4, 0.2],
        [0.05, 0.05, 0.1, 0.8],
        [0.25, 0.25, 0.25, 0.25],
    ];

    fn logits(last: u32) -> Vec<f32> {
        NEXT[last as usize].iter().map(|p| p.ln()).collect()
    }

    impl BeamModel for Chain {
        fn start(&mut self) -> Result<Vec<f32>, DecodeError> {
            self.states = vec![vec![]];
            Ok(logits(0))
        }

        fn extend(&mut self, beams: &[(usize, u32)]) -> Result<Vec<Vec<f32>>, DecodeError> {
            let extended = beams.iter().map(|&(state, id)| {
                let mut ids = self.states[state].clone();
                ids.push(id);
                ids
            });
            self.states = extended.collect();
            Ok(beams.iter().map(|&(_, id)| logits(id)).collect())
        }
    }

    fn probability(ids: &[u32]) -> f32 {
        let before = [0].into_iter().chain(ids.iter().copied());
        before
            .zip(ids)
            .map(|(a, &b)| NEXT[a as usize][b as usize])
            .product()
    }

    /// With all beams kept the search is exhaustive: the best one is the best of all sequences.
    #[test]
    fn a_search_that_keeps_everything_finds_the_best_sequence() {
        let mut all: Vec<Vec<u32>> = vec![vec![]];
        for _ in 0..4 {
            let longer = all.iter().flat_map(|ids| match ids.last() {
                Some(3) => vec![ids.clone()],
                _ => (0..4).map(|id| [ids.clone(), vec![id]].concat()).collect(),
            });
            all = longer.collect();
        }
        all.sort_by(|a, b| probability(b).total_cmp(&probability(a)));
        let config = BeamConfig {
            top_k: 4,
            penalty: LengthPenalty::Power(0.0),
            ..BeamConfig::new(500, 4, vec![3])
        };
        let mut model = Chain { states: vec![] };
        let found = beam_search(&mut model, &config).unwrap();
        assert_eq!(found.len(), all.len());
        assert_eq!(found[0].ids, all[0]);
        for beam in &found {
            assert!((beam.score.exp() - probability(&beam.ids)).abs() < 1e-5);
        }
    }

    #[test]
    fn one_beam_is_greedy_and_states_follow_their_beams() {
        let config = BeamConfig::new(1, 8, vec![3]);
        let mut model = Chain { states: vec![] };
        let found = beam_search(&mut model, &config).unwrap();
        assert_eq!(
            (found[0].ids.as_slice(), found[0].ended),
            (&[1, 2, 3][..], true)
        );
        assert_eq!(model.states, [vec![1, 2]]);
    }

    #[test]
    fn harps_search_ends_no_beam_with_its_first_token() {
        let config = BeamConfig {
            beams: 4,
            ..BeamConfig::harp(1, vec![3])
        };
        let found = beam_search(&mut Chain { states: vec![] }, &config).unwrap();
        assert!(found.iter().all(|beam| !beam.ended));
        let expected = 1.0 + 0.6f32.ln();
        assert!((found[0].score - expected).abs() < 1e-6 && found[0].rank == found[0].score);
    }
}
