//! Bradley–Terry ratings with bootstrap intervals [ours]: several models on one scale, from the games against their common
//! baseline and against each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base::rng::Rng;
use nalgebra::{DMatrix, DVector};
use serde::Serialize;

use super::item::Identity;
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

/// Games of several players on numbered items. Of each game few bytes stay, of each item a fingerprint.
#[derive(Clone, Debug, Default)]
pub struct Board {
    names: Vec<String>,
    items: HashMap<Identity, u32>,
    games: Vec<Played>,
}

/// A game as a board keeps it.
#[derive(Clone, Copy, Debug)]
struct Played {
    first: u32,
    second: u32,
    item: u32,
    /// Points of the first player, −2 to 2.
    points: i8,
}

/// Games of one pair of players, whose names may be known later.
#[derive(Clone, Debug, Default)]
pub struct Games {
    items: Vec<Identity>,
    /// The place of the item and the points of the first player.
    played: Vec<(u32, i8)>,
}

impl Games {
    /// Adds the games on an item; games without a label are left out.
    pub fn add(&mut self, item: &str, labels: &[Option<String>]) {
        let place = self.items.len() as u32;
        self.items.push(Identity::of(item));
        for (game, label) in labels.iter().enumerate() {
            if let Some(label) = label.as_deref() {
                self.played.push((place, points(game, Some(label)) as i8));
            }
        }
    }
}

impl Played {
    fn pairing(self) -> Pairing {
        Pairing {
            first: self.first as usize,
            second: self.second as usize,
            outcome: match self.points {
                0 => 0.5,
                1.. => 1.0,
                _ => 0.0,
            },
            weight: if self.points.abs() == 2 { STRONG } else { 1.0 },
            item: self.item as usize,
        }
    }
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
    fn player(&mut self, name: &str) -> u32 {
        let known = self.names.iter().position(|known| known == name);
        let player = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        player as u32
    }

    /// Adds the games of `model` against `baseline` on an item; games without a label are left out.
    pub fn add(&mut self, model: &str, baseline: &str, item: &str, labels: &[Option<String>]) {
        let mut games = Games::default();
        games.add(item, labels);
        self.add_all(model, baseline, games);
    }

    /// Adds all `games` of `model` against `baseline`.
    pub fn add_all(&mut self, model: &str, baseline: &str, games: Games) {
        let (first, second) = (self.player(model), self.player(baseline));
        let numbers: Vec<u32> = games
            .items
            .into_iter()
            .map(|item| self.item(item))
            .collect();
        self.games
            .extend(games.played.into_iter().map(|(item, points)| Played {
                first,
                second,
                item: numbers.get(item as usize).copied().unwrap_or_default(),
                points,
            }));
    }

    /// The number of an item.
    fn item(&mut self, item: Identity) -> u32 {
        let next = self.items.len() as u32;
        *self.items.entry(item).or_insert(next)
    }

    fn pairings(&self) -> impl Iterator<Item = Pairing> {
        self.games.iter().map(|game| game.pairing())
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
        if self.games.is_empty() {
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
        let strengths = strengths(players, self.pairings());
        let scale = 400.0 / std::f64::consts::LN_10;
        let rating = |strengths: &[f64], player: usize| -> f64 {
            let of = |player: usize| strengths.get(player).copied().unwrap_or(0.0);
            ANCHOR + scale * (of(player) - of(anchor))
        };
        let mut samples: Vec<Vec<f64>> = vec![Vec::with_capacity(rounds); players];
        for round in 0..rounds {
            let times = self.drawn(&mut rng.item(round as u64));
            let drawn = self::strengths(players, self.resampled(&times));
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
                        .pairings()
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
        let own = self.pairings().filter_map(|game| match player {
            _ if game.first == player => Some(game.outcome),
            _ if game.second == player => Some(1.0 - game.outcome),
            _ => None,
        });
        let mut ended: Vec<f64> = Vec::new();
        own.for_each(|outcome| {
            if !ended.contains(&outcome) {
                ended.push(outcome);
            }
        });
        let all = |outcome: f64| ended.iter().all(|other| *other == outcome);
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
        for game in self.pairings() {
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

    /// How often each item comes among as many as there are, drawn with replacement.
    fn drawn(&self, rng: &mut Rng) -> Vec<u32> {
        let count = self.items.len();
        let mut times = vec![0_u32; count];
        for _ in 0..count {
            if let Some(times) = times.get_mut(rng.below(count)) {
                *times += 1;
            }
        }
        times
    }

    /// The games on items that come that often.
    fn resampled<'a>(&'a self, times: &'a [u32]) -> impl Iterator<Item = Pairing> + 'a {
        self.pairings().filter_map(|game| {
            let times = times.get(game.item).copied().filter(|times| *times > 0)?;
            let weight = game.weight * f64::from(times);
            Some(Pairing { weight, ..game })
        })
    }
}

/// Strengths θ with mean 0 that maximise the ridged likelihood of the games, by damped Newton steps:
/// Σ w·[y·log σ(θ₁−θ₂) + (1−y)·log σ(θ₂−θ₁)] − ½·10⁻⁶·Σθ².
pub fn strengths(players: usize, games: impl IntoIterator<Item = Pairing>) -> Vec<f64> {
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
