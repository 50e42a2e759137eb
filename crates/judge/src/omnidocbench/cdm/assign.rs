//! Which drawn token of the prediction stands for which of the ground truth.

use base::numerics::assign;

use super::boxes::{Drawing, TokenBox};

/// Weights of the three costs.
const TOKEN: f64 = 1.0;
const POSITION: f64 = 0.05;
const ORDER: f64 = 0.15;
/// What a cost that is no number counts as.
const NO_NUMBER: f64 = 100.0;
/// The cost of two spellings of one symbol.
const SYNONYM: f64 = 0.05;

/// A pair of boxes: one of the ground truth, one of the prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Index into the ground truth's boxes.
    pub ground_truth: usize,
    /// Index into the prediction's boxes.
    pub prediction: usize,
    /// 0 for the same token, 0.05 for a synonym, else 1.
    pub token_cost: f64,
}

/// The best one-to-one pairing, as many pairs as the shorter side has boxes, in the order of the ground truth.
pub fn pair(ground_truth: &Drawing, prediction: &Drawing) -> Vec<Pair> {
    let left = sides(ground_truth);
    let right = sides(prediction);
    let mut cost = Vec::with_capacity(left.len() * right.len());
    for a in &left {
        cost.extend(right.iter().map(|b| {
            let cost = TOKEN * a.token_cost(b)
                + POSITION * a.distance(b)
                + ORDER * (a.order - b.order).abs();
            if cost.is_finite() { cost } else { NO_NUMBER }
        }));
    }
    assign(&cost, left.len(), right.len())
        .into_iter()
        .filter_map(|(a, b)| {
            let token_cost = left.get(a)?.token_cost(right.get(b)?);
            Some(Pair {
                ground_truth: a,
                prediction: b,
                token_cost,
            })
        })
        .collect()
}

/// A box as the costs see it.
struct Side<'a> {
    token: &'a str,
    plain: String,
    /// Left, top, right, bottom as shares of the picture.
    place: [f64; 4],
    order: f64,
}

fn sides(drawing: &Drawing) -> Vec<Side<'_>> {
    let [width, height] = drawing.size.map(|side| side as f64);
    let count = drawing.boxes.len() as f64;
    let mut sides = Vec::with_capacity(drawing.boxes.len());
    for (at, TokenBox { token, bounds }) in drawing.boxes.iter().enumerate() {
        sides.push(Side {
            token,
            plain: plain_token(token),
            place: [
                bounds[0] as f64 / width,
                bounds[1] as f64 / height,
                bounds[2] as f64 / width,
                bounds[3] as f64 / height,
            ],
            order: at as f64 / count,
        });
    }
    sides
}

impl Side<'_> {
    fn token_cost(&self, other: &Self) -> f64 {
        if self.token == other.token {
            0.0
        } else if self.plain == other.plain {
            SYNONYM
        } else {
            1.0
        }
    }

    fn distance(&self, other: &Self) -> f64 {
        let sum: f64 = self
            .place
            .iter()
            .zip(&other.place)
            .map(|(a, b)| (a - b).abs())
            .sum();
        sum / 4.0
    }
}

/// One spelling for tokens that look alike.
fn plain_token(token: &str) -> String {
    let mut token = match token {
        "\\cdot" => ".",
        "\\mid" => "|",
        "\\to" => "\\rightarrow",
        "\\top" => "T",
        "\\Tilde" => "\\tilde",
        "\\cdots" => "\\dots",
        "\\prime" => "'",
        "\\ast" => "*",
        "\\left<" => "\\langle",
        "\\right>" => "\\rangle",
        other => other,
    }
    .to_string();
    if token.starts_with("\\left") || token.starts_with("\\right") {
        token = token.replace("\\left", "").replace("\\right", "");
    }
    if token.starts_with("\\big") || token.starts_with("\\Big") {
        token = match token.get(4..).and_then(|rest| rest.rsplit_once('\\')) {
            Some((_, command)) => format!("\\{command}"),
            None => token.chars().last().map(String::from).unwrap_or_default(),
        };
    }
    match token.as_str() {
        "\\leq" | "\\geq" => token.truncate(3),
        "\\lVert" | "\\rVert" | "\\Vert" => token = "\\|".into(),
        "\\lvert" | "\\rvert" | "\\vert" => token = "|".into(),
        _ if token.ends_with("rightarrow") => token = "\\rightarrow".into(),
        _ if token.ends_with("leftarrow") => token = "\\leftarrow".into(),
        _ if token.starts_with("\\wide") => token = token.replace("wide", ""),
        _ if token.starts_with("\\var") => token = token.replace("\\var", ""),
        _ => {}
    }
    token
}

#[cfg(test)]
mod tests {
    use super::plain_token;

    #[test]
    fn synonyms_meet() {
        for (a, b) in [
            // The official order of rules makes `arrow` of both: `\right` goes first.
            ("\\to", "\\rightarrow"),
            ("\\longrightarrow", "\\Longrightarrow"),
            ("\\left(", "("),
            ("\\Bigg)", ")"),
            ("\\bigl\\langle", "\\left<"),
            ("\\leq", "\\le"),
            ("\\lVert", "\\|"),
            ("\\widehat", "\\hat"),
            ("\\cdot", "."),
        ] {
            assert_eq!(plain_token(a), plain_token(b), "{a} {b}");
        }
        assert_ne!(plain_token("\\varepsilon"), plain_token("\\epsilon"));
    }
}
