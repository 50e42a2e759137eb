//! From log-probabilities to P(risk) (official helper functions of the 3.0–3.2 cookbooks).

use serde::{Deserialize, Serialize};

/// What both sums start with, so that neither is zero.
const FLOOR: f64 = 1e-50;

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Label {
    /// The risk is there.
    Yes,
    /// It is not.
    No,
    /// Neither was answered.
    Failed,
}

impl Label {
    /// The label that begins a generated text, which may go on with `<confidence>`. Case and white space do not matter.
    pub fn parse(text: &str) -> Self {
        let text = text.split('<').next().unwrap_or_default();
        match text.trim().to_lowercase().as_str() {
            "yes" => Self::Yes,
            "no" => Self::No,
            _ => Self::Failed,
        }
    }

    /// The likelier label.
    pub fn of(probability: f64) -> Self {
        if probability > 0.5 {
            Self::Yes
        } else {
            Self::No
        }
    }
}

/// The confidence that a 3.2 model puts into words, `High` or `Low`; no probability.
pub fn confidence(text: &str) -> Option<&str> {
    let rest = text.split_once("<confidence>")?.1;
    let word = rest.split_once("</confidence>")?.0.trim();
    matches!(word, "High" | "Low").then_some(word)
}

/// Whether `text` is the word of a label, in whatever case and white space.
pub fn is_label(text: &str, word: &str) -> bool {
    text.trim().eq_ignore_ascii_case(word)
}

/// P(risk) from the listed tokens of each generated position, each with its natural log-probability: the sum over all
/// that say yes, as a share of those that say yes or no.
pub fn risk_probability<S: AsRef<str>>(steps: &[Vec<(S, f64)>]) -> f64 {
    let sum = |word: &str| {
        let listed = steps.iter().flatten();
        let fitting = listed.filter(|(text, _)| is_label(text.as_ref(), word));
        FLOOR + fitting.map(|(_, log)| log.exp()).sum::<f64>()
    };
    let (yes, no) = (sum("yes"), sum("no"));
    yes / (yes + no)
}

/// P(risk) from the logits `[vocabulary]` of the first answered token, given the ids of all spellings of yes and no.
pub fn probability_from_logits(logits: &[f32], yes: &[u32], no: &[u32]) -> f64 {
    let at = |id: &u32| {
        f64::from(
            logits
                .get(*id as usize)
                .copied()
                .unwrap_or(f32::NEG_INFINITY),
        )
    };
    let most = yes
        .iter()
        .chain(no)
        .map(at)
        .fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return 0.5;
    }
    let sum = |ids: &[u32]| ids.iter().map(|id| (at(id) - most).exp()).sum::<f64>();
    let (yes, no) = (sum(yes), sum(no));
    yes / (yes + no)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_as_models_write_them() {
        assert_eq!(Label::parse(" YES\n"), Label::Yes);
        assert_eq!(
            Label::parse("No\n<confidence> High </confidence>"),
            Label::No
        );
        assert_eq!(Label::parse("Yesterday"), Label::Failed);
        assert_eq!(
            confidence("No\n<confidence> High </confidence>"),
            Some("High")
        );
        assert_eq!(confidence("No <confidence> maybe </confidence>"), None);
    }

    #[test]
    fn logits_and_their_log_probabilities_give_the_same() {
        let logits = [1.0f32, 3.0, 0.5, 2.0];
        let sum: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
        let log = |id: usize| f64::from(logits[id]) - sum.ln();
        let steps = vec![vec![
            ("Yes", log(0)),
            (" no", log(1)),
            ("YES", log(2)),
            ("x", log(3)),
        ]];
        let found = probability_from_logits(&logits, &[0, 2], &[1]);
        assert!((found - risk_probability(&steps)).abs() < 1e-12);
        assert_eq!(
            probability_from_logits(&[f32::NEG_INFINITY; 2], &[0], &[1]),
            0.5
        );
    }
}
