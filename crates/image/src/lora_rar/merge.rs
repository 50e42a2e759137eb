//! One layer of two adapters by any of the methods.

use base::rng::Rng;
use burn::tensor::Device;
use serde::Serialize;

use super::SystemError;
use super::adapter::Factors;
use super::baselines::{Rule, Weighted};
use super::hypernet::{FactorTensors, Hypernet};
use super::matrix::Matrix;

/// How two adapters become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The weighted sum of both updates, exact.
    Direct,
    /// Column-wise coefficients from the hypernetwork.
    Rar,
    /// Column-wise coefficients that were optimised for this pair.
    ZipLora,
    /// A classical rule on the factors; ranks must agree.
    Factors(Rule),
    /// A classical rule on the updates, truncated to the larger rank.
    Updates(Rule),
}

/// A method with its settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The method.
    pub method: Method,
    /// Weight of content and style.
    pub strengths: [f32; 2],
    /// Share of the values that pruning and dropping keep.
    pub density: f64,
}

/// Coefficients of one layer in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Mean, least and largest coefficient of the content update.
    pub content: [f32; 3],
    /// The same of the style update.
    pub style: [f32; 3],
    /// |cos| of the two.
    pub similarity: f32,
}

/// Coefficients of content and style, one an input column.
pub type Columns = [Vec<f32>; 2];

/// A merged layer.
#[derive(Clone, Debug)]
pub struct Merged {
    /// Its factors; alpha equals the rank.
    pub factors: Factors,
    /// Its coefficients, where it has some.
    pub summary: Option<Summary>,
}

/// The network that merges, and what it was trained on.
#[derive(Debug)]
pub struct Merger {
    /// The network.
    pub network: Hypernet,
    /// Whether it sees updates with alpha / rank applied. The published networks do not.
    pub effective: bool,
}

/// Merges one layer. A side that does not adapt it counts as an update of nothing. `merger` is given where the hypernetwork is to be
/// asked about this layer; `rng` serves rules that drop values.
///
/// # Errors
/// [`SystemError::Input`]: sizes or ranks that do not go together, a width that the network does not know. `name` is the layer's.
pub fn merge_layer(
    name: &str,
    [content, style]: [Option<&Factors>; 2],
    settings: &Settings,
    merger: Option<&Merger>,
    rng: &mut Rng,
) -> Result<Merged, SystemError> {
    let pair = both(name, [content, style])?;
    let [content, style] = &pair;
    let plain = |factors| Merged {
        factors,
        summary: None,
    };
    let weighted = |rule| Weighted {
        rule,
        weights: settings.strengths,
        density: settings.density,
    };
    match settings.method {
        Method::Rar => match merger {
            Some(merger) => columns(name, &pair, settings.strengths, merger),
            None => Ok(plain(stacked(&pair, settings.strengths, None))),
        },
        Method::Direct | Method::ZipLora => Ok(plain(stacked(&pair, settings.strengths, None))),
        Method::Updates(rule) => Ok(plain(weighted(rule).update([content, style], rng))),
        Method::Factors(rule) => {
            let padded = [content, style].map(|side| match side.rank() {
                0 => silent(side, content.rank().max(style.rank())),
                _ => side.clone(),
            });
            match weighted(rule).factors([&padded[0], &padded[1]], rng) {
                Some(factors) => Ok(plain(factors)),
                None => Err(SystemError::Input(format!(
                    "`{name}` has rank {} in one adapter and {} in the other, and `{rule}` adds factors of one rank: use `--method {rule}_svd`, `svd`, `cat` or `direct`",
                    content.rank(),
                    style.rank()
                ))),
            }
        }
    }
}

/// Merges one layer with coefficients that are given.
///
/// # Errors
/// [`SystemError::Input`]: sizes that do not go together, or another number of columns.
pub fn merge_columns(
    name: &str,
    sides: [Option<&Factors>; 2],
    strengths: [f32; 2],
    coefficients: &Columns,
) -> Result<Merged, SystemError> {
    let pair = both(name, sides)?;
    let columns = pair[0].down.columns;
    if coefficients.iter().any(|m| m.len() != columns) {
        return Err(SystemError::Input(format!(
            "`{name}` has {columns} columns, and there are coefficients for {} and {}",
            coefficients[0].len(),
            coefficients[1].len()
        )));
    }
    Ok(by_columns(&pair, strengths, coefficients))
}

fn by_columns(pair: &[Factors; 2], strengths: [f32; 2], [content, style]: &Columns) -> Merged {
    Merged {
        factors: stacked(pair, strengths, Some([content, style])),
        summary: Some(Summary {
            similarity: similarity(content, style),
            content: in_short(content),
            style: in_short(style),
        }),
    }
}

/// Both sides of a layer; one that is absent as an update of nothing.
fn both(name: &str, sides: [Option<&Factors>; 2]) -> Result<[Factors; 2], SystemError> {
    let input = |reason: String| Err(SystemError::Input(reason));
    let pair = match sides {
        [Some(content), Some(style)] => [content.clone(), style.clone()],
        [Some(one), None] => [one.clone(), Factors::absent(one)],
        [None, Some(one)] => [Factors::absent(one), one.clone()],
        [None, None] => return input(format!("neither adapter has `{name}`")),
    };
    let [content, style] = &pair;
    let sizes = |factors: &Factors| [factors.up.rows, factors.down.columns];
    if sizes(content) != sizes(style) || content.kernel != style.kernel {
        return input(format!(
            "`{name}` maps {} to {} values in one adapter and {} to {} in the other: they are for different base models",
            content.down.columns, content.up.rows, style.down.columns, style.up.rows
        ));
    }
    Ok(pair)
}

/// `A = [A_c diag(m_c); A_s diag(m_s)]`, `B = [B_c | B_s]`: the weighted sum without loss, of rank `r_c + r_s`.
fn stacked(pair: &[Factors; 2], strengths: [f32; 2], coefficients: Option<[&[f32]; 2]>) -> Factors {
    let down = [0, 1].map(|at| {
        let (factors, strength) = (&pair[at], strengths[at]);
        let scale = factors.scale() * strength;
        let scaled = factors.down.clone().map(|value| value * scale);
        match coefficients {
            Some(of) => scaled.scale_columns(of[at]),
            None => scaled,
        }
    });
    let [content, style] = down;
    Factors {
        kernel: pair[0].kernel.clone(),
        ..Factors::new(content.above(&style), pair[0].up.beside(&pair[1].up))
    }
}

fn columns(
    name: &str,
    pair: &[Factors; 2],
    strengths: [f32; 2],
    merger: &Merger,
) -> Result<Merged, SystemError> {
    let device = Device::flex();
    let tensors = pair.each_ref().map(|factors| {
        let factors = match factors.rank() {
            0 => &silent(factors, 1),
            _ => factors,
        };
        match merger.effective {
            true => FactorTensors::effective(factors, &device),
            false => FactorTensors::raw(factors, &device),
        }
    });
    let found = merger.network.coefficients(&tensors[0], &tensors[1]);
    let Some(found) = found.filter(|_| pair[0].up.rows == pair[0].down.columns) else {
        let widths: Vec<String> = merger
            .network
            .widths()
            .iter()
            .map(usize::to_string)
            .collect();
        return Err(SystemError::Input(format!(
            "`{name}` maps {} to {} values, and the hypernetwork knows layers of width {}: use one that was trained for this base model, or another `--method`",
            pair[0].down.columns,
            pair[0].up.rows,
            widths.join(", ")
        )));
    };
    Ok(by_columns(pair, strengths, &found.values()?))
}

/// Zeros of `rank` in place of an absent side.
fn silent(of: &Factors, rank: usize) -> Factors {
    let zeros = |rows: usize, columns: usize| Matrix {
        rows,
        columns,
        values: vec![0.0; rows * columns],
    };
    Factors {
        kernel: of.kernel.clone(),
        ..Factors::new(zeros(rank, of.down.columns), zeros(of.up.rows, rank))
    }
}

fn in_short(values: &[f32]) -> [f32; 3] {
    let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    [
        mean,
        least,
        values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    ]
}

fn similarity(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b).abs() / (dot(a, a) * dot(b, b)).sqrt().max(1e-8)
}
