//! Latents as plain slices `[channels, height, width]`: turned, scaled, moved.

use std::fmt;
use std::str::FromStr;

/// Sides of latents; each is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// `[channels, height, width]`.
    pub fn new([channels, height, width]: [usize; 3]) -> Self {
        Self {
            channels,
            height,
            width,
        }
    }

    /// Number of values.
    pub fn len(self) -> usize {
        self.channels * self.plane()
    }

    /// Whether there are no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Values of one channel.
    pub fn plane(self) -> usize {
        self.height * self.width
    }

    /// `[channels, height, width]`.
    pub fn sides(self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.channels, self.height, self.width)
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides: Vec<usize> = text
            .split(',')
            .flat_map(|side| side.trim().parse())
            .collect();
        match sides[..] {
            [channels, height, width]
                if text.split(',').count() == 3
                    && (1..=64).contains(&channels)
                    && (1..=1024).contains(&height)
                    && (1..=1024).contains(&width) =>
            {
                Ok(Self::new([channels, height, width]))
            }
            _ => Err("give channels,height,width, such as 4,64,64; at most 64,1024,1024".into()),
        }
    }
}

/// `values` turned counter-clockwise by `degrees` about the middle: nearest neighbour, zero outside.
pub fn rotated(values: &[f32], shape: Shape, degrees: f32) -> Vec<f32> {
    if degrees == 0.0 {
        return values.to_vec();
    }
    let angle = f64::from(degrees).to_radians();
    let [cos, sin] = [angle.cos() as f32, angle.sin() as f32];
    remapped(values, shape, |y, x, [middle_y, middle_x]| {
        let [y, x] = [y - middle_y, x - middle_x];
        let from = [cos * y + sin * x + middle_y, cos * x - sin * y + middle_x];
        from.map(f32::round_ties_even)
    })
}

/// `values` moved by `[down, right]` places; zero where nothing comes in.
pub fn moved(values: &[f32], shape: Shape, by: [i32; 2]) -> Vec<f32> {
    if by == [0, 0] {
        return values.to_vec();
    }
    remapped(values, shape, |y, x, _| {
        [y - by[0] as f32, x - by[1] as f32]
    })
}

/// Each place takes the value from the whole place that `from(y, x, middle)` names.
fn remapped(
    values: &[f32],
    shape: Shape,
    from: impl Fn(f32, f32, [f32; 2]) -> [f32; 2],
) -> Vec<f32> {
    let Shape { height, width, .. } = shape;
    let middle = [height, width].map(|side| (side as f32 - 1.0) / 2.0);
    let places: Vec<Option<usize>> = (0..height * width)
        .map(|at| {
            let [y, x] = from((at / width) as f32, (at % width) as f32, middle);
            let inside = |v: f32, side: usize| v >= 0.0 && v < side as f32;
            (inside(y, height) && inside(x, width)).then_some(y as usize * width + x as usize)
        })
        .collect();
    values
        .chunks_exact(shape.plane())
        .flat_map(|plane| places.iter().map(|at| at.map_or(0.0, |at| plane[at])))
        .collect()
}

/// `values` scaled about the middle by `scale` (below 1: smaller, zero around), bilinear.
pub fn scaled(values: &[f32], shape: Shape, scale: f32) -> Vec<f32> {
    if scale == 1.0 {
        return values.to_vec();
    }
    let Shape { height, width, .. } = shape;
    let place = |at: usize, side: usize| {
        let middle = (side as f32 - 1.0) / 2.0;
        (at as f32 - middle) / scale + middle
    };
    let mut out = Vec::with_capacity(values.len());
    for plane in values.chunks_exact(shape.plane()) {
        let value =
            |y: f32, x: f32| match y >= 0.0 && x >= 0.0 && y < height as f32 && x < width as f32 {
                true => plane[y as usize * width + x as usize],
                false => 0.0,
            };
        for y in (0..height).map(|at| place(at, height)) {
            for x in (0..width).map(|at| place(at, width)) {
                let [y0, x0] = [y.floor(), x.floor()];
                let [fy, fx] = [y - y0, x - x0];
                let row = |y: f32| (1.0 - fx) * value(y, x0) + fx * value(y, x0 + 1.0);
                out.push((1.0 - fy) * row(y0) + fy * row(y0 + 1.0));
            }
        }
    }
    out
}

/// The cosine of two vectors; 0 where one is zero.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product = dot(a, b);
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 {
        product / lengths
    } else {
        0.0
    }
}

/// The inner product, summed in sixteen lanes.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let [(a, a_rest), (b, b_rest)] = [a.as_chunks::<16>(), b.as_chunks::<16>()];
    for (a, b) in a.iter().zip(b) {
        for k in 0..16 {
            lanes[k] += a[k] * b[k];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_moves_keep_the_values() {
        let shape = Shape::new([1, 3, 3]);
        let values: Vec<f32> = (1..=9u8).map(f32::from).collect();
        let turned = rotated(&values, shape, 90.0);
        assert_eq!(turned, [3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0]);
        assert_eq!(rotated(&turned, shape, -90.0), values);
        let moved = moved(&values, shape, [1, -1]);
        assert_eq!(moved, [0.0, 0.0, 0.0, 2.0, 3.0, 0.0, 5.0, 6.0, 0.0]);
        assert_eq!(scaled(&values, shape, 1.0), values);
        assert_eq!(scaled(&values, shape, 2.0)[4], 5.0);
    }

    #[test]
    fn shapes_are_read_from_text() {
        assert_eq!("4,64,64".parse(), Ok(Shape::new([4, 64, 64])));
        for bad in [
            "",
            "4,64",
            "4,64,x,64",
            "0,64,64",
            "4,64,64,1",
            "4,9999999,1",
        ] {
            assert!(bad.parse::<Shape>().is_err(), "{bad}");
        }
    }
}
