//! Where a video cuts: the first stage of the paper's data engine (section 3.5), with the two classic detectors of
//! PySceneDetect, whose settings and quirks this follows.

use base::media::Image;

/// Frames that a scene lasts at least, by default.
pub const MIN_LENGTH: usize = 15;
/// Change of content from which a frame starts a scene.
pub const CONTENT_THRESHOLD: f64 = 27.0;
/// Mean value of a pixel below which a frame counts as faded out.
pub const FADE_THRESHOLD: f64 = 12.0;

/// Mean absolute change of a frame's pixels to the frame before, in 8-bit HSV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Hue, in `[0, 179]`.
    pub hue: f64,
    /// Saturation, in `[0, 255]`.
    pub saturation: f64,
    /// Value, in `[0, 255]`.
    pub value: f64,
}

impl Change {
    /// The mean of the three.
    pub fn content(&self) -> f64 {
        (self.hue + self.saturation + self.value) / 3.0
    }
}

/// The change of each frame to the one before; one less than there are frames. Frames must be of one size.
pub fn changes(frames: &[Image]) -> Vec<Change> {
    let mut before: Option<Vec<[u8; 3]>> = None;
    let mut changes = Vec::new();
    for frame in frames {
        let now: Vec<[u8; 3]> = frame.pixels.chunks_exact(3).map(hsv).collect();
        if let Some(before) = &before {
            let mean = |channel: usize| {
                let pairs = before.iter().zip(&now);
                let sum: u64 = pairs
                    .map(|(a, b)| u64::from(a[channel].abs_diff(b[channel])))
                    .sum();
                sum as f64 / now.len().max(1) as f64
            };
            changes.push(Change {
                hue: mean(0),
                saturation: mean(1),
                value: mean(2),
            });
        }
        before = Some(now);
    }
    changes
}

/// Frames that start a scene: those whose content changes by `threshold` or more, at least `min_length` frames after the
/// last such frame. A burst of changes that is shorter is merged: it counts as one cut at its last frame, once `min_length`
/// calm frames have followed, and only where the burst itself was as long as that.
pub fn content_cuts(changes: &[Change], threshold: f64, min_length: usize) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut last_high = 0;
    let mut burst: Option<usize> = None;
    for (at, change) in (1..).zip(changes) {
        let high = change.content() >= threshold;
        let calm = at - last_high >= min_length;
        if high {
            last_high = at;
        }
        match burst {
            Some(start) if calm && !high && last_high - start >= min_length => {
                burst = None;
                cuts.push(last_high);
            }
            None if high && calm => cuts.push(at),
            // Before the first cut there is nothing to merge with.
            None if high && !cuts.is_empty() => burst = Some(at),
            _ => {}
        }
    }
    cuts
}

/// Frames that start a scene after a fade: midway between the frame where the mean pixel falls below `threshold` and the
/// one where it is back, at least `min_length` frames after the last fade-in. Halves go to the even frame.
pub fn fade_cuts(frames: &[Image], threshold: f64, min_length: usize) -> Vec<usize> {
    let levels: Vec<f64> = frames.iter().map(brightness).collect();
    cuts_at_fades(&levels, threshold, min_length)
}

/// The mean value of a frame's pixels, in `[0, 255]`.
pub fn brightness(frame: &Image) -> f64 {
    let sum: u64 = frame.pixels.iter().map(|&value| u64::from(value)).sum();
    sum as f64 / frame.pixels.len().max(1) as f64
}

/// [`fade_cuts`] of frames whose [`brightness`] is known.
pub fn cuts_at_fades(levels: &[f64], threshold: f64, min_length: usize) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut last_in = 0;
    let mut faded: Option<usize> = None;
    for (at, &level) in levels.iter().enumerate() {
        let dark = level < threshold;
        match (faded, dark) {
            (None, true) => faded = Some(at),
            (Some(from), false) => {
                if at - last_in >= min_length {
                    let half = (at - from) as f64 / 2.0;
                    cuts.push(from + half.round_ties_even() as usize);
                    last_in = at;
                }
                faded = None;
            }
            _ => {}
        }
    }
    cuts
}

/// RGB → hue in `[0, 179]`, saturation and value in `[0, 255]`, rounded as OpenCV's 8-bit conversion rounds: by
/// reciprocals in 12-bit fixed point.
fn hsv(rgb: &[u8]) -> [u8; 3] {
    const SHIFT: i32 = 12;
    let [r, g, b] = [0, 1, 2].map(|channel| i32::from(rgb[channel]));
    let value = r.max(g).max(b);
    let spread = value - r.min(g).min(b);
    let reciprocal = |of: f64, by: i32| match by {
        0 => 0,
        by => (of * f64::from(1 << SHIFT) / f64::from(by)).round_ties_even() as i32,
    };
    let rounded = |product: i32| (product + (1 << (SHIFT - 1))) >> SHIFT;
    let saturation = rounded(spread * reciprocal(255.0, value));
    let sextant = if value == r {
        g - b
    } else if value == g {
        b - r + 2 * spread
    } else {
        r - g + 4 * spread
    };
    let hue = rounded(sextant * reciprocal(30.0, spread));
    let hue = if hue < 0 { hue + 180 } else { hue };
    [hue, saturation, value].map(|channel| channel.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_colours_have_their_hues() {
        for (rgb, expected) in [
            ([255, 0, 0], [0, 255, 255]),
            ([0, 255, 0], [60, 255, 255]),
            ([0, 0, 255], [120, 255, 255]),
            ([255, 255, 0], [30, 255, 255]),
            ([255, 0, 1], [0, 255, 255]),
            ([255, 0, 32], [176, 255, 255]),
            ([128, 128, 128], [0, 0, 128]),
            ([0, 0, 0], [0, 0, 0]),
        ] {
            assert_eq!(hsv(&rgb), expected, "{rgb:?}");
        }
    }

    fn quiet_but(high: &[usize], frames: usize) -> Vec<Change> {
        (1..frames)
            .map(|at| {
                let change = if high.contains(&at) { 90.0 } else { 0.0 };
                Change {
                    hue: change,
                    saturation: change,
                    value: change,
                }
            })
            .collect()
    }

    #[test]
    fn cuts_keep_their_distance_and_long_bursts_become_one() {
        let cuts = |high: &[usize]| content_cuts(&quiet_but(high, 100), 27.0, 10);
        assert_eq!(cuts(&[20, 40]), [20, 40]);
        assert_eq!(cuts(&[5, 20]), [20], "too soon after the start");
        assert_eq!(cuts(&[20, 25]), [20], "too soon after a cut");
        let burst: Vec<usize> = (20..=45).collect();
        assert_eq!(cuts(&burst), [20, 45], "a flicker ends in one cut");
        assert_eq!(cuts(&[]), [0; 0]);
    }
}
