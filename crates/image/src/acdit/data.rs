//! Pictures and clips as training data: IDX sets, and folders with a subfolder a class.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base::media::{self, MediaError};
use base::rng::Rng;
use engine::train::TaskError;

use super::config::AcditConfig;
use super::idx::{self, Half};
use super::space::{Space, unit};
use super::train::Samples;

/// The most bytes of pictures that are held.
const MOST: usize = 4 << 30;
/// Classes of Fashion-MNIST, whose files do not name them.
const FASHION: [&str; 10] = [
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
];

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A picture cannot be read.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The set is not one.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Set {
        /// Where.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// Samples of one size in memory, as bytes `[frames, channels, side, side]`.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// Class names.
    pub classes: Vec<String>,
    labels: Vec<u32>,
    pixels: Vec<u8>,
    /// Where each value of a sample in block order lies, and where in its mirror image.
    places: [Vec<usize>; 2],
    /// Whether half of the samples are mirrored.
    pub mirror: bool,
}

impl Pictures {
    /// Reads `path`: a folder with an IDX set (MNIST and its kin), or one with a subfolder of pictures or clips for each
    /// class. Pictures are cut to their middle square and resized; those of an IDX set are padded with black. A clip is
    /// cut into as many samples as it has whole ones.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn read(
        path: &Path,
        half: Half,
        space: &Space,
        config: &AcditConfig,
    ) -> Result<Self, DataError> {
        let side = space.picture_side(config);
        let (classes, labels, pixels) = match idx::is_set(path) {
            true => set(path, half, space, side)?,
            false => folder(path, space, side, config.temporal_len)?,
        };
        Ok(Self::new(classes, labels, pixels, space, config))
    }

    /// Samples out of bytes `[samples, frames, channels, side, side]`.
    pub fn new(
        classes: Vec<String>,
        labels: Vec<u32>,
        pixels: Vec<u8>,
        space: &Space,
        config: &AcditConfig,
    ) -> Self {
        let places = space.places(config, config.tokens());
        let side = space.side(config);
        let mirrored = places
            .iter()
            .map(|place| place - place % side + (side - 1 - place % side))
            .collect();
        Self {
            classes,
            labels,
            pixels,
            places: [places, mirrored],
            mirror: false,
        }
    }

    /// The same samples for a model that cuts them otherwise.
    pub fn laid_out(&self, space: &Space, config: &AcditConfig) -> Self {
        let mut other = Self::new(
            self.classes.clone(),
            self.labels.clone(),
            self.pixels.clone(),
            space,
            config,
        );
        other.mirror = self.mirror;
        other
    }

    /// The class of sample `index`.
    pub fn label(&self, index: usize) -> usize {
        self.labels.get(index).map_or(0, |label| *label as usize)
    }

    /// The bytes of sample `index`, `[frames, channels, side, side]`.
    pub fn bytes(&self, index: usize) -> &[u8] {
        let values = self.places[0].len();
        self.pixels
            .get(index * values..(index + 1) * values)
            .unwrap_or_default()
    }

    /// Adds the values of sample `index` in block order to `out`.
    pub fn values(&self, index: usize, mirrored: bool, out: &mut Vec<f32>) {
        let bytes = self.bytes(index);
        let places = &self.places[usize::from(mirrored)];
        out.extend(places.iter().map(|&place| unit(bytes[place])));
    }
}

impl Samples for Pictures {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn read(&self, index: usize, rng: &mut Rng, out: &mut Vec<f32>) -> Result<usize, TaskError> {
        let mirrored = self.mirror && rng.chance(0.5);
        self.values(index, mirrored, out);
        Ok(self.label(index))
    }
}

type Read = (Vec<String>, Vec<u32>, Vec<u8>);

/// An IDX set, each picture in the middle of a black square.
fn set(path: &Path, half: Half, space: &Space, side: usize) -> Result<Read, DataError> {
    let set = idx::read(path, half)?;
    let [height, width] = set.size;
    let refuse = |reason: String| DataError::Set {
        path: path.to_owned(),
        reason,
    };
    if height > side || width > side {
        return Err(refuse(format!(
            "its pictures of {width}×{height} do not fit into {side}×{side}: give a larger `--side`"
        )));
    }
    hold(set.labels.len(), side * side * space.channels).map_err(refuse)?;
    let (top, left) = ((side - height) / 2, (side - width) / 2);
    let mut pixels = vec![0; set.labels.len() * side * side * space.channels];
    let planes = pixels.chunks_exact_mut(side * side);
    for (at, plane) in planes.enumerate() {
        let from = at / space.channels * height * width;
        for row in 0..height {
            let to = (top + row) * side + left;
            let from = from + row * width;
            plane[to..to + width].copy_from_slice(&set.pixels[from..from + width]);
        }
    }
    let count = usize::from(set.labels.iter().copied().max().unwrap_or(0)) + 1;
    let fashion = path.file_name().is_some_and(|name| name == "fashion-mnist");
    let classes = match fashion && count == FASHION.len() {
        true => FASHION.map(str::to_owned).to_vec(),
        false => (0..count).map(|class| class.to_string()).collect(),
    };
    let labels = set.labels.iter().map(|label| u32::from(*label)).collect();
    Ok((classes, labels, pixels))
}

/// Whether `count` samples of `size` bytes may be held.
fn hold(count: usize, size: usize) -> Result<(), String> {
    match count.checked_mul(size) {
        Some(bytes) if bytes <= MOST => Ok(()),
        _ => Err(format!(
            "{count} samples of {size} bytes are more than {} GiB: use fewer or smaller ones",
            MOST >> 30
        )),
    }
}

/// Names in a folder, sorted, without hidden ones.
fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Read {
        path: path.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A folder with a subfolder a class; without subfolders all is one class.
fn folder(path: &Path, space: &Space, side: usize, frames: usize) -> Result<Read, DataError> {
    let refuse = |reason: String| DataError::Set {
        path: path.to_owned(),
        reason,
    };
    let inside = entries(path)?;
    let folders: Vec<&PathBuf> = inside.iter().filter(|entry| entry.is_dir()).collect();
    let mut classes: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for folder in &folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        classes.insert(name.into_owned(), entries(folder)?);
    }
    if folders.is_empty() {
        classes.insert("all".to_owned(), inside);
    }
    let size = frames * side * side * space.channels;
    let (mut labels, mut pixels) = (Vec::new(), Vec::new());
    for (label, (name, files)) in (0..).zip(&classes) {
        let before = labels.len();
        for file in files {
            hold(labels.len() + 1, size).map_err(refuse)?;
            match frames {
                1 => {
                    let picture = media::read_image(file)?;
                    pixels.extend(space.planes(&picture, side));
                    labels.push(label);
                }
                _ => {
                    let clip = media::read_clip(file)?;
                    for window in clip.frames.chunks_exact(frames) {
                        hold(labels.len() + 1, size).map_err(refuse)?;
                        for frame in window {
                            pixels.extend(space.planes(frame, side));
                        }
                        labels.push(label);
                    }
                }
            }
        }
        if labels.len() == before {
            let what = match frames {
                1 => "no pictures".to_owned(),
                _ => format!("no clip of {frames} frames"),
            };
            return Err(refuse(format!(
                "its class `{name}` has {what}: add some or remove the folder"
            )));
        }
    }
    Ok((classes.into_keys().collect(), labels, pixels))
}
