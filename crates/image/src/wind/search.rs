//! How a mark is looked for, and what was found.

use serde::Serialize;

use super::{Region, SystemError};

/// How many noises are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Only those of the group that the mark names.
    #[default]
    Fast,
    /// Where that finds nothing all noises, as wholes and in sliding windows.
    Full,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// How many noises are compared.
    pub mode: Mode,
    /// Factors by which the picture may have been enlarged.
    pub scales: Vec<f32>,
    /// Places by which windows may have moved, along each axis; full mode only.
    pub shifts: Vec<i32>,
    /// The chance that an unrelated picture is taken for a marked one, over everything that is compared.
    pub alpha: f64,
    /// Whether full mode also compares windows.
    pub windows: bool,
    /// Only this part carries the mark (inpainted photographs); compares all noises.
    pub region: Option<Region>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            mode: Mode::Fast,
            scales: vec![1.0],
            shifts: vec![0],
            alpha: 1e-6,
            windows: true,
            region: None,
        }
    }
}

impl Search {
    /// # Errors
    /// [`SystemError::Input`] where a list is empty or a number is out of range.
    pub(super) fn check(&self) -> Result<(), SystemError> {
        let refuse = |line: &str| Err(SystemError::input(line));
        if self.scales.is_empty() || self.shifts.is_empty() || self.shifts.len() > 64 {
            return refuse(
                "no scale or shift to try, or more than 64 shifts: give at least one of each",
            );
        }
        if self
            .scales
            .iter()
            .any(|scale| !(0.25..=4.0).contains(scale))
        {
            return refuse("a scale below 0.25 or above 4: give factors near 1");
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return refuse("alpha is not between 0 and 1: give a chance such as 1e-6");
        }
        Ok(())
    }
}

/// Which comparison gave the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Noises of the group that the mark names.
    Group,
    /// All noises.
    All,
    /// Windows of all noises.
    Window,
    /// A given part of all noises.
    Region,
}

/// The best that was found, and whether it is enough.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// Whether the chance is at most alpha: the picture was made with noise `index`.
    #[serde(rename = "verdict", serialize_with = "verdict")]
    pub matched: bool,
    /// Index of the nearest noise.
    pub index: u64,
    /// Its group.
    pub group: usize,
    /// The group that the mark names.
    pub marked_group: usize,
    /// Distance of that group's mark.
    pub group_distance: f32,
    /// How much farther the next group is.
    pub group_margin: f32,
    /// The score: cosine of what no mark touches, or of windows or the region.
    pub cosine: f32,
    /// The cosine that alpha asks for.
    pub threshold: f64,
    /// The chance of such a score among everything compared; 0 below 1e-300, see `log10_p`.
    pub p_value: f64,
    /// Its decimal logarithm.
    pub log10_p: f64,
    /// Dimensions of what was compared.
    pub dimension: usize,
    /// Comparisons that were counted.
    pub comparisons: f64,
    /// Which comparison gave the answer.
    pub stage: Stage,
    /// Degrees by which the picture was turned.
    pub angle: f32,
    /// Factor by which it was enlarged.
    pub scale: f32,
}

fn verdict<S: serde::Serializer>(matched: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *matched { "match" } else { "no match" })
}
