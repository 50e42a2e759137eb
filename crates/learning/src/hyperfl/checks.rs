//! What a server refuses of what clients send, by name, so that the round goes on without it.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::vector::squares;

/// What is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Most samples that a client may claim; more counts as this many and is logged.
    pub samples: f64,
    /// Most times that a client may claim what the median client claims; more counts as this many and is logged.
    pub claim: f64,
    /// Most times that a change may be larger than the median of the round's changes.
    pub change: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            samples: 100_000.0,
            claim: 10.0,
            change: 100.0,
        }
    }
}

/// One client's upload.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Who sent it.
    pub client: String,
    /// For which round.
    pub round: usize,
    /// Samples that it says it trained on.
    pub samples: f64,
    /// The values.
    pub values: Vec<f32>,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Averaged with this weight.
    Taken(f64),
    /// Averaged with this weight in place of what the client said.
    Bounded {
        /// Samples that it counts as.
        weight: f64,
        /// One line.
        why: String,
    },
    /// Left out.
    Refused(String),
}

impl Verdict {
    /// The weight; `None` where refused.
    pub fn weight(&self) -> Option<f64> {
        match self {
            Self::Taken(weight) | Self::Bounded { weight, .. } => Some(*weight),
            Self::Refused(_) => None,
        }
    }

    /// What to log; `None` where there is nothing to say.
    pub fn line(&self) -> Option<&str> {
        match self {
            Self::Taken(_) => None,
            Self::Bounded { why, .. } | Self::Refused(why) => Some(why),
        }
    }
}

/// SHA-256 of the values, by which a replay is known.
pub fn digest(values: &[f32]) -> String {
    let mut hash = Sha256::new();
    for value in values {
        hash.update(value.to_le_bytes());
    }
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Judges the uploads of `round` that start from `global`; `seen` holds the digests of earlier rounds.
pub fn judge(
    uploads: &[Upload],
    (round, global): (usize, &[f32]),
    limits: Limits,
    seen: &HashSet<String>,
) -> Vec<Verdict> {
    let change = |upload: &Upload| -> f64 {
        let pairs = upload.values.iter().zip(global);
        let off: Vec<f32> = pairs.map(|(value, global)| value - global).collect();
        squares(&off).sqrt()
    };
    let sound = |upload: &Upload| {
        upload.values.len() == global.len() && upload.values.iter().all(|value| value.is_finite())
    };
    // The lower middle: of two clients the smaller value is the measure.
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len().saturating_sub(1) / 2).copied()
    };
    let (counts, fair) = (
        |upload: &&Upload| upload.samples > 0.0 && upload.samples.is_finite(),
        || uploads.iter().filter(|it| sound(it)),
    );
    let claims = middle(fair().filter(counts).map(|it| it.samples).collect());
    let largest = claims.map_or(limits.samples, |median| {
        limits.samples.min(limits.claim * median)
    });
    let median = middle(fair().map(change).collect());
    let most = median.map(|median| limits.change * median.max(1e-6));
    let (mut clients, mut digests) = (HashSet::new(), HashSet::new());
    let mut verdicts = Vec::with_capacity(uploads.len());
    for upload in uploads {
        let client = &upload.client;
        let refused = |why: String| Verdict::Refused(format!("client `{client}`: {why}; left out"));
        let bad = upload.values.iter().position(|value| !value.is_finite());
        verdicts.push(if upload.values.len() != global.len() {
            refused(format!(
                "{} values, the model has {}",
                upload.values.len(),
                global.len()
            ))
        } else if let Some(at) = bad {
            refused(format!("value {at} is {}", upload.values[at]))
        } else if upload.round != round {
            refused(format!(
                "an upload for round {}, this is round {round}",
                upload.round
            ))
        } else if !clients.insert(client.clone()) {
            refused("a second upload in this round".into())
        } else if let digest = digest(&upload.values)
            && (seen.contains(&digest) || !digests.insert(digest))
        {
            refused("the same values were sent before".into())
        } else if most.is_some_and(|most| change(upload) > most) {
            let size = change(upload);
            let median = median.unwrap_or_default();
            refused(format!(
                "a change of size {size:.3e}, more than {} times the median {median:.3e}",
                limits.change
            ))
        } else if !(upload.samples > 0.0 && upload.samples.is_finite()) {
            refused(format!("{} samples", upload.samples))
        } else if upload.samples > largest {
            Verdict::Bounded {
                weight: largest,
                why: format!(
                    "client `{client}`: says {} samples, counts as {largest}",
                    upload.samples
                ),
            }
        } else {
            Verdict::Taken(upload.samples)
        });
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(client: &str, values: [f32; 2]) -> Upload {
        Upload {
            client: client.into(),
            round: 3,
            samples: 10.0,
            values: values.to_vec(),
        }
    }

    #[test]
    fn bad_uploads_are_refused_by_name_and_good_ones_are_taken() {
        let mut uploads = vec![
            upload("good", [1.0, 1.1]),
            upload("other", [1.1, 0.9]),
            upload("third", [0.8, 0.9]),
            upload("nan", [f32::NAN, 1.0]),
            upload("huge", [1e9, 1.0]),
            upload("copy", [1.0, 1.1]),
            upload("good", [1.0, 1.2]),
            upload("old", [1.3, 1.2]),
            upload("short", [1.0, 1.0]),
            upload("liar", [1.2, 1.2]),
            upload("none", [1.2, 1.1]),
            upload("replay", [0.5, 0.5]),
        ];
        uploads[7].round = 2;
        uploads[8].values.pop();
        uploads[9].samples = 1e12;
        uploads[10].samples = f64::NAN;
        let seen = HashSet::from([digest(&[0.5, 0.5])]);
        let verdicts = judge(&uploads, (3, &[1.0, 1.0]), Limits::default(), &seen);
        let taken: Vec<Option<f64>> = verdicts.iter().map(Verdict::weight).collect();
        let ten = Some(10.0);
        let no = None;
        let liar = Some(100.0);
        assert_eq!(taken, [ten, ten, ten, no, no, no, no, no, no, liar, no, no]);
        for (upload, verdict) in uploads.iter().zip(&verdicts).skip(3) {
            let line = verdict.line().unwrap_or_default();
            assert!(line.contains(&format!("`{}`", upload.client)), "{line}");
        }
    }
}
