//! Which pixels are inside a polygon, by the rules of `pycocotools`: edges are drawn at five times the size, and each crossing
//! into another column of pixels becomes the end of a run.

/// How much finer edges are drawn.
const SCALE: f64 = 5.0;
/// Corners further out than this, in pixels, are moved to there: edges shall not be endless.
const FAR: f64 = 65_536.0;

/// Lengths of runs outside and inside by turns, column by column, of a polygon `x, y, x, y, …` in a picture of
/// `[height, width]`.
pub(super) fn outline(corners: &[f64], [height, width]: [usize; 2]) -> Vec<u64> {
    let fine = |at: f64| (SCALE * at.clamp(-FAR, FAR) + 0.5) as i64;
    let corners: Vec<[i64; 2]> = corners
        .chunks_exact(2)
        .map(|xy| [fine(xy[0]), fine(xy[1])])
        .collect();
    let mut ends: Vec<u64> = Vec::new();
    let mut last: Option<[i64; 2]> = None;
    for (at, from) in corners.iter().enumerate() {
        edge(*from, corners[(at + 1) % corners.len()], |point| {
            let before = last.replace(point);
            let crossed = before.filter(|before| before[0] != point[0]);
            ends.extend(crossed.and_then(|before| end(before, point, [height, width])));
        });
    }
    ends.push((height * width) as u64);
    ends.sort_unstable();
    // A pixel where two runs end is not an end at all: what is between has no length.
    let mut counts: Vec<u64> = Vec::new();
    let mut at = 0;
    let mut joined = false;
    for end in ends {
        let length = end - at;
        at = end;
        match counts.last_mut() {
            Some(last) if joined => {
                *last += length;
                joined = false;
            }
            Some(_) if length == 0 => joined = true,
            _ => counts.push(length),
        }
    }
    counts
}

/// The points of an edge from one corner to another, one a step along its longer axis.
fn edge(from: [i64; 2], to: [i64; 2], mut point: impl FnMut([i64; 2])) {
    let [dx, dy] = [0, 1].map(|axis: usize| (to[axis] - from[axis]).abs());
    let (long, short) = if dx >= dy { (0, 1) } else { (1, 0) };
    let flipped = from[long] > to[long];
    let (low, high) = if flipped { (to, from) } else { (from, to) };
    let length = dx.max(dy);
    let slope = (high[short] - low[short]) as f64 / length.max(1) as f64;
    for step in 0..=length {
        let step = if flipped { length - step } else { step };
        let mut at = [0; 2];
        at[long] = low[long] + step;
        at[short] = (low[short] as f64 + slope * step as f64 + 0.5) as i64;
        point(at);
    }
}

/// The pixel, column by column, before which a run ends where an edge goes from one column of fine points to the next.
fn end(before: [i64; 2], point: [i64; 2], [height, width]: [usize; 2]) -> Option<u64> {
    let coarse = |at: i64| (at as f64 + 0.5) / SCALE - 0.5;
    let backward = point[0] < before[0];
    let x = coarse(if backward { point[0] } else { point[0] - 1 });
    if x.floor() != x || x < 0.0 || x > width as f64 - 1.0 {
        return None;
    }
    let y = coarse(before[1].min(point[1])).clamp(0.0, height as f64);
    Some(x as u64 * height as u64 + y.ceil() as u64)
}
