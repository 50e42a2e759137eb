//! Which sample goes to which client: the paper's splits by label, and the Dirichlet split of the literature.

use base::rng::Rng;

use crate::error::{LearningError, Result};

/// The split of the paper: `share` of a client's samples evenly over all classes, the rest over a fixed group of classes.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelSplit {
    /// Number of clients.
    pub clients: usize,
    /// Samples of a client.
    pub samples: usize,
    /// Percent of the samples that are spread over all classes, 0 to 100.
    pub even: usize,
    /// Groups of classes; client i has group `i mod groups`.
    pub groups: Vec<Vec<usize>>,
    /// Where in each class the first client starts.
    pub start: usize,
}

/// The five groups of three classes for ten classes, overlapping by one.
pub fn ten_class_groups() -> Vec<Vec<usize>> {
    (0..5)
        .map(|i| (0..3).map(|j| (2 * i + j) % 10).collect())
        .collect()
}

/// The groups for EMNIST's 62 classes: digits, upper case, lower case.
pub fn emnist_groups() -> Vec<Vec<usize>> {
    vec![(0..10).collect(), (10..36).collect(), (36..62).collect()]
}

/// Groups for any number of classes: those of the paper for 10 and 62, else threes that overlap by one.
pub fn groups(classes: usize) -> Vec<Vec<usize>> {
    match classes {
        10 => ten_class_groups(),
        62 => emnist_groups(),
        n => (0..n.div_ceil(2).max(1))
            .map(|i| (0..3.min(n)).map(|j| (2 * i + j) % n).collect())
            .collect(),
    }
}

impl LabelSplit {
    /// Numbers of the samples of each client, by `labels` of all samples. Classes must be equally frequent in the official
    /// code; here each class has the length that it has. A class that is used up begins again: clients then share samples.
    ///
    /// # Errors
    /// For labels that are not classes, a class without enough samples, or a share above 100.
    pub fn assign(&self, labels: &[u8], classes: usize) -> Result<Vec<Vec<usize>>> {
        if self.even > 100 || self.samples == 0 || self.clients == 0 || classes == 0 {
            return Err(LearningError::invalid(
                "a split needs clients, samples and a share from 0 to 100 percent",
            ));
        }
        let mut pools = vec![Vec::new(); classes];
        for (at, &label) in labels.iter().enumerate() {
            let pool = pools.get_mut(usize::from(label)).ok_or_else(|| {
                LearningError::invalid(format!(
                    "label {label} of sample {at} is not a class below {classes}"
                ))
            })?;
            pool.push(at);
        }
        let even = self.samples * self.even / 100;
        let all: Vec<usize> = (0..classes).collect();
        let mut next = vec![self.start; classes];
        let mut clients = Vec::with_capacity(self.clients);
        for client in 0..self.clients {
            let mut own = Vec::with_capacity(self.samples);
            let group = &self.groups[client % self.groups.len().max(1)];
            for (list, count) in [(&all, even), (group, self.samples - even)] {
                let each = count / list.len().max(1);
                for (at, &class) in list.iter().enumerate() {
                    let last = at + 1 == list.len();
                    let take = if last { count - each * at } else { each };
                    let pool = &pools[class];
                    if next[class] + take > pool.len() {
                        next[class] = 0;
                    }
                    let from = next[class];
                    own.extend(pool.get(from..from + take).ok_or_else(|| {
                        LearningError::invalid(format!(
                            "class {class} has {} samples, a client needs {take} of it: give fewer samples a client",
                            pool.len()
                        ))
                    })?);
                    next[class] += take;
                }
            }
            clients.push(own);
        }
        Ok(clients)
    }
}

/// The Dirichlet split: each class is shared out in proportions drawn from Dir(`alpha`); `samples` of a client are then drawn
/// by its own proportions. Small `alpha` gives clients of few classes.
///
/// # Errors
/// For an `alpha` that is not positive, and labels that are not classes.
pub fn dirichlet(
    labels: &[u8],
    classes: usize,
    clients: usize,
    samples: usize,
    alpha: f32,
    rng: &Rng,
) -> Result<Vec<Vec<usize>>> {
    if !(alpha > 0.0 && alpha.is_finite()) || labels.is_empty() {
        return Err(LearningError::invalid("give an alpha above 0, such as 0.5"));
    }
    let mut pools = vec![Vec::new(); classes];
    for (at, &label) in labels.iter().enumerate() {
        let pool = pools.get_mut(usize::from(label)).ok_or_else(|| {
            LearningError::invalid(format!("label {label} is not a class below {classes}"))
        })?;
        pool.push(at);
    }
    let client = |client: usize| {
        let mut rng = rng.item(client as u64);
        let weights: Vec<f32> = (0..classes)
            .map(|class| match pools[class].is_empty() {
                true => 0.0,
                false => gamma(alpha, &mut rng).max(1e-20),
            })
            .collect();
        let total: f32 = weights.iter().sum();
        (0..samples)
            .map(|_| {
                let mut place = rng.uniform() * total;
                let mut class = pools.iter().rposition(|pool| !pool.is_empty()).unwrap_or(0);
                for (at, weight) in weights.iter().enumerate() {
                    if *weight > 0.0 && place < *weight {
                        class = at;
                        break;
                    }
                    place -= weight;
                }
                pools[class][rng.below(pools[class].len())]
            })
            .collect()
    };
    Ok((0..clients).map(client).collect())
}

/// A draw from Gamma(`shape`, 1): Marsaglia and Tsang, 2000.
fn gamma(shape: f32, rng: &mut Rng) -> f32 {
    if shape < 1.0 {
        let boost = (1.0 - rng.uniform()).powf(1.0 / shape);
        return gamma(shape + 1.0, rng) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = rng.normal();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && (1.0 - rng.uniform()).ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return d * v;
        }
    }
}

/// How often each class is among a client's samples.
pub fn histogram(labels: &[u8], own: &[usize], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for &at in own {
        counts[usize::from(labels[at])] += 1;
    }
    counts
}
