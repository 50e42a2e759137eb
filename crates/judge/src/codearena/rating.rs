//! Bradley–Terry ratings with bootstrap intervals [ours]: several models on one scale, from the games against their common
//! baseline and against each other.

use std::collections::{BTreeMap, BTreeSet};

use base::rng::Rng;
use nalgebra::{DMatrix, DVector};
use serde::Serialize;

use super::scores::points;

/// Weight of a label with two signs, as Arena-Hard counts it.
pub const STRONG: f64 = 3.0;
/// Rating of the baseline.
pub const ANCHOR: f64 = 1000.0;
/// Keeps ratings finite where a model won or lost every game.
const RIDGE: f64 = 1e-6;
/// Newton steps; convergence takes fewer than 20 unless a model won everything.
const STEPS: usize = 100;

/// One game between two players.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pairing {
    /// The first player.
    pub first: usize,
    /// The second player.
    pub second: usize,
    /// 1 where the first won, 0 where the second did, ½ for a tie.
    pub outcome: f64,
    /// How often it counts.
    pub weight: f64,
    /// The item it was played on, for the bootstrap.
    pub item: usize,
}

/// A player's rating.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rating {
    /// The player.
    pub name: String,
    /// 1000 + 400/ln 10 · (θ − θ of the baseline).
    pub rating: f64,
    /// The 95 % interval, from resampled items; absent without bootstrap rounds, for the baseline, which is where it is by
    /// definition, and where there is a warning.
    pub interval: Option<[f64; 2]>,
    /// Predicted share of games won against the baseline.
    pub win_rate: f64,
    /// Games behind it.
    pub games: usize,
    /// Why the rating or its interval says little; then there is no interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Games of several players on numbered items.
#[derive(Clone, Debug, Default)]
pub struct Board {
    names: Vec<String>,
    items: BTreeMap<String, usize>,
    pairings: Vec<Pairing>,
}

/// Why there are no ratings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    /// No game has a label.
    #[error("no game has a label, so there is nothing to rate: judge the models first")]
    NoGames,
    /// Not everybody is connected with the baseline by games.
    #[error(
        "`{0}` has no game that connects it with the baseline `{1}`: judge it against that baseline"
    )]
    Apart(String, String),
    /// The baseline did not play.
    #[error("the baseline `{0}` played no game: name another with `--baseline`")]
    NoBaseline(String),
}

impl Board {
    /// The number of a player.
    fn player(&mut self, name: &str) -> usize {
        self.names
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                self.names.push(name.to_owned());
                self.names.len() - 1
            })
    }

    /// Adds the games of `model` against `baseline` on an item; games without a label are left out.
    pub fn add(&mut self, model: &str, baseline: &str, item: &str, labels: &[Option<String>]) {
        let (first, second) = (self.player(model), self.player(baseline));
        let next = self.items.len();
        let item = *self.items.entry(item.to_owned()).or_insert(next);
        for (game, label) in labels.iter().enumerate() {
            let points = match label.as_deref() {
                None => continue,
                label => points(game, label),
            };
            self.pairings.push(Pairing {
                first,
                second,
                outcome: match points {
                    0 => 0.5,
                    1.. => 1.0,
                    _ => 0.0,
                },
                weight: if points.abs() == 2 { STRONG } else { 1.0 },
                item,
            });
        }
    }

    /// Ratings, best first, anchored at `baseline`, with intervals from `rounds` bootstrap rounds over items.
    ///
    /// # Errors
    /// [`RatingError`].
    pub fn ratings(
        &self,
        baseline: &str,
        rounds: usize,
        rng: &Rng,
    ) -> Result<Vec<Rating>, RatingError> {
        if self.pairings.is_empty() {
            return Err(RatingError::NoGames);
        }
        let anchor = self.names.iter().position(|name| name == baseline);
        let anchor = anchor.ok_or_else(|| RatingError::NoBaseline(baseline.to_owned()))?;
        let reached = self.reached(anchor);
        if let Some(apart) = (0..self.names.len()).find(|player| !reached.contains(player)) {
            let name = self.names.get(apart).cloned().unwrap_or_default();
            return Err(RatingError::Apart(name, baseline.to_owned()));
        }
        let players = self.names.len();
        let strengths = strengths(players, &self.pairings);
        let scale = 400.0 / std::f64::consts::LN_10;
        let rating = |strengths: &[f64], player: usize| -> f64 {
            let of = |player: usize| strengths.get(player).copied().unwrap_or(0.0);
            ANCHOR + scale * (of(player) - of(anchor))
        };
        let mut samples: Vec<Vec<f64>> = vec![Vec::with_capacity(rounds); players];
        for round in 0..rounds {
            let drawn = self.resampled(&mut rng.item(round as u64));
            let drawn = self::strengths(players, &drawn);
            for (player, sample) in samples.iter_mut().enumerate() {
                sample.push(rating(&drawn, player));
            }
        }
        let mut all: Vec<Rating> = self
            .names
            .iter()
            .zip(samples)
            .enumerate()
            .map(|(player, (name, sample))| {
                let own = rating(&strengths, player);
                let interval = interval(sample);
                let warning = match player == anchor {
                    true => None,
                    false => self.warning(player, interval),
                };
                Rating {
                    name: name.clone(),
                    rating: own,
                    interval: interval.filter(|_| warning.is_none() && player != anchor),
                    warning,
                    win_rate: logistic((own - ANCHOR) / scale),
                    games: self
                        .pairings
                        .iter()
                        .filter(|game| game.first == player || game.second == player)
                        .count(),
                }
            })
            .collect();
        all.sort_by(|a, b| {
            b.rating
                .total_cmp(&a.rating)
                .then_with(|| a.name.cmp(&b.name))
        });
        Ok(all)
    }

    /// What a player's games cannot tell: resampled games that all ended alike never differ.
    fn warning(&self, player: usize, interval: Option<[f64; 2]>) -> Option<String> {
        let own = self.pairings.iter().filter_map(|game| match player {
            _ if game.first == player => Some(game.outcome),
            _ if game.second == player => Some(1.0 - game.outcome),
            _ => None,
        });
        let outcomes: Vec<f64> = own.collect();
        let all = |ended: f64| outcomes.iter().all(|outcome| *outcome == ended);
        let what = if all(0.5) {
            "tied all its games"
        } else if all(1.0) {
            "won all its games: its rating has no upper bound"
        } else if all(0.0) {
            "lost all its games: its rating has no lower bound"
        } else if interval.is_some_and(|[low, high]| high - low < 0.05) {
            "has games that hardly differ"
        } else {
            return None;
        };
        let name = self.names.get(player).map_or("", String::as_str);
        Some(format!(
            "`{name}` {what}, so resampling tells nothing of its error and no interval is given"
        ))
    }

    /// Players that games connect with `anchor`.
    fn reached(&self, anchor: usize) -> BTreeSet<usize> {
        let mut neighbours: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for game in &self.pairings {
            neighbours
                .entry(game.first)
                .or_default()
                .insert(game.second);
            neighbours
                .entry(game.second)
                .or_default()
                .insert(game.first);
        }
        let (mut reached, mut open) = (BTreeSet::from([anchor]), vec![anchor]);
        while let Some(player) = open.pop() {
            for &next in neighbours.get(&player).into_iter().flatten() {
                if reached.insert(next) {
                    open.push(next);
                }
            }
        }
        reached
    }

    /// The games on as many items as there are, drawn with replacement.
    fn resampled(&self, rng: &mut Rng) -> Vec<Pairing> {
        let count = self.items.len();
        let mut times = vec![0_u32; count];
        for _ in 0..count {
            if let Some(times) = times.get_mut(rng.below(count)) {
                *times += 1;
            }
        }
        self.pairings
            .iter()
            .filter_map(|game| {
                let times = times.get(game.item).copied().filter(|times| *times > 0)?;
                let weight = game.weight * f64::from(times);
                Some(Pairing { weight, ..*game })
            })
            .collect()
    }
}

/// Strengths θ with mean 0 that maximise the ridged likelihood of the games, by damped Newton steps:
/// Σ w·[y·log σ(θ₁−θ₂) + (1−y)·log σ(θ₂−θ₁)] − ½·10⁻⁶·Σθ².
pub fn strengths(players: usize, games: &[Pairing]) -> Vec<f64> {
    // Games of the same two players differ in nothing but their weights: add them up.
    let mut sums: BTreeMap<(usize, usize), [f64; 2]> = BTreeMap::new();
    for game in games {
        let (key, outcome) = match game.first <= game.second {
            true => ((game.first, game.second), game.outcome),
            false => ((game.second, game.first), 1.0 - game.outcome),
        };
        let [wins, all] = sums.entry(key).or_default();
        *wins += game.weight * outcome;
        *all += game.weight;
    }
    let value = |theta: &DVector<f64>| -> f64 {
        let likelihood: f64 = sums
            .iter()
            .map(|(&(a, b), &[wins, all])| {
                let d = theta[a] - theta[b];
                -wins * softplus(-d) - (all - wins) * softplus(d)
            })
            .sum();
        likelihood - 0.5 * RIDGE * theta.norm_squared()
    };
    let mut theta = DVector::<f64>::zeros(players);
    for _ in 0..STEPS {
        let mut gradient = -RIDGE * &theta;
        let mut hessian = DMatrix::<f64>::identity(players, players) * RIDGE;
        for (&(a, b), &[wins, all]) in &sums {
            let share = logistic(theta[a] - theta[b]);
            let (pull, stiff) = (wins - all * share, all * share * (1.0 - share));
            gradient[a] += pull;
            gradient[b] -= pull;
            hessian[(a, a)] += stiff;
            hessian[(b, b)] += stiff;
            hessian[(a, b)] -= stiff;
            hessian[(b, a)] -= stiff;
        }
        let Some(step) = hessian.cholesky().map(|factor| factor.solve(&gradient)) else {
            break;
        };
        let (before, mut scale) = (value(&theta), 1.0);
        while value(&(&theta + scale * &step)) < before && scale > 1e-6 {
            scale *= 0.5;
        }
        theta += scale * &step;
        if step.amax() < 1e-12 {
            break;
        }
    }
    theta.iter().copied().collect()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The central 95 % of samples, interpolated between neighbours.
fn interval(mut samples: Vec<f64>) -> Option<[f64; 2]> {
    samples.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let place = share * (samples.len().checked_sub(1)?) as f64;
        let (low, high) = (
            samples.get(place.floor() as usize)?,
            samples.get(place.ceil() as usize)?,
        );
        Some(low + (high - low) * place.fract())
    };
    Some([quantile(0.025)?, quantile(0.975)?])
}
