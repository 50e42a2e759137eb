//! Filling polygons and drawing lines without smoothing, on integer corners.

use base::media::Image;

use super::colour::Rgb;

/// Most corners of a polygon.
const MOST: usize = 128;
/// Pixels that are painted at once.
const RUN: usize = 384;

/// Something to draw on.
#[derive(Debug)]
pub(super) struct Canvas<'a> {
    pixels: &'a mut [u8],
    width: i64,
    height: i64,
    /// A run of pixels of one colour, copied row by row.
    paint: [u8; 3 * RUN],
    colour: Option<Rgb>,
}

impl<'a> Canvas<'a> {
    pub fn new(picture: &'a mut Image) -> Self {
        Self {
            width: i64::from(picture.width),
            height: i64::from(picture.height),
            pixels: &mut picture.pixels,
            paint: [0; 3 * RUN],
            colour: None,
        }
    }

    /// Everything in one colour.
    pub fn clear(&mut self, colour: Rgb) {
        self.dip(colour);
        for run in self.pixels.chunks_mut(3 * RUN) {
            run.copy_from_slice(&self.paint[..run.len()]);
        }
    }

    /// Takes a colour.
    fn dip(&mut self, colour: Rgb) {
        if self.colour != Some(colour) {
            self.colour = Some(colour);
            for pixel in self.paint.chunks_exact_mut(3) {
                pixel.copy_from_slice(&colour);
            }
        }
    }

    /// The pixels `from..=to` of row `y`, in either order, in the colour that was taken; what is outside is left out.
    fn row(&mut self, y: i64, from: i64, to: i64) {
        if !(0..self.height).contains(&y) {
            return;
        }
        let (low, high) = (from.min(to).max(0), from.max(to).min(self.width - 1));
        if low > high {
            return;
        }
        let start = (y * self.width + low) as usize * 3;
        let end = (y * self.width + high + 1) as usize * 3;
        for run in self.pixels[start..end].chunks_mut(3 * RUN) {
            run.copy_from_slice(&self.paint[..run.len()]);
        }
    }

    /// A filled polygon; at most 128 corners count.
    pub fn polygon(&mut self, corners: &[[i64; 2]], colour: Rgb) {
        self.dip(colour);
        let corners = &corners[..corners.len().min(MOST)];
        let rows = corners.iter().map(|corner| corner[1]);
        let (Some(top), Some(bottom)) = (rows.clone().min(), rows.max()) else {
            return;
        };
        if top == bottom {
            let columns = corners.iter().map(|corner| corner[0]);
            if let (Some(low), Some(high)) = (columns.clone().min(), columns.max()) {
                self.row(top, low, high);
            }
            return;
        }
        let before = |at: usize| corners[(at + corners.len() - 1) % corners.len()];
        let mut crossings = [0i64; MOST];
        for y in top.max(0)..=bottom.min(self.height - 1) {
            let mut count = 0;
            for (at, &here) in corners.iter().enumerate() {
                let (mut a, mut b) = (before(at), here);
                if a[1] == b[1] {
                    continue;
                }
                if a[1] > b[1] {
                    (a, b) = (b, a);
                }
                if (y >= a[1] && y < b[1]) || (y == bottom && b[1] == bottom) {
                    crossings[count] = (y - a[1]) * (b[0] - a[0]) / (b[1] - a[1]) + a[0];
                    count += 1;
                }
            }
            let crossings = &mut crossings[..count];
            crossings.sort_unstable();
            for pair in crossings.chunks_exact(2) {
                self.row(y, pair[0], pair[1]);
            }
        }
        // A flat edge that closes the polygon from below, above its lowest row.
        for (at, &here) in corners.iter().enumerate() {
            let a = before(at);
            if a[1] == here[1] && top < here[1] && here[1] < bottom {
                self.row(here[1], a[0], here[0]);
            }
        }
    }

    /// A line two pixels thick.
    pub fn line(&mut self, from: [i64; 2], to: [i64; 2], colour: Rgb) {
        self.dip(colour);
        let [mut x, mut y] = from;
        let (dx, dy) = ((to[0] - x).abs(), (to[1] - y).abs());
        let (sx, sy) = (
            if x < to[0] { 1 } else { -1 },
            if y < to[1] { 1 } else { -1 },
        );
        // Where it is steep it grows to the right, else down.
        let steep = dx <= dy;
        let mut error = (if dx > dy { dx } else { -dy }) / 2;
        for _ in 0..=dx.max(dy) {
            if steep {
                self.row(y, x, x + 1);
            } else {
                self.row(y, x, x);
                self.row(y + 1, x, x);
            }
            let e = error;
            if e > -dx {
                error -= dy;
                x += sx;
            }
            if e < dy {
                error += dx;
                y += sy;
            }
        }
    }
}
