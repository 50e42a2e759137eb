//! Label pictures: PNGs with a class number a pixel.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use crate::emov2::data::{DataError, first_folder, pictures};

/// Longest side, in pixels.
const MAX_SIDE: u32 = 8192;
/// Longest file, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// What the decoder may take beside the picture, in bytes.
const MAX_DECODED: usize = 64 << 20;
/// The other number that is ignored where 0 is: what mmsegmentation calls pixels without label.
const NONE: usize = 255;
/// Names of the part to measure by, below `images` and `annotations`.
const PARTS: [&str; 3] = ["validation", "val", "test"];

/// What can be wrong with a label picture, each as one line with cause and fix.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// A file that cannot be read.
    #[error("cannot read `{}`: {cause}: a label picture is a PNG with one class number a pixel", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A picture of another size.
    #[error("`{}` has {} x {} pixels, its picture {} x {}: make it as large", path.display(), size[1], size[0], picture[1], picture[0])]
    Size {
        /// The file.
        path: PathBuf,
        /// Its height and width.
        size: [usize; 2],
        /// Those of the picture.
        picture: [usize; 2],
    },
    /// A number beyond the classes.
    #[error("`{}`: label {label} is out of range, the network has {classes} classes: {fix}", path.display())]
    Range {
        /// The file.
        path: PathBuf,
        /// The number.
        label: usize,
        /// Classes of the network.
        classes: usize,
        /// What to do.
        fix: &'static str,
    },
}

/// What the numbers of label pictures mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// ADE20K's way: 0 is not a class, 1 the first one; 255 is not a class either where there are fewer classes.
    FromOne,
    /// 0 is the first class, and this number is none.
    FromZero(usize),
}

/// The numbers of a label picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// Height and width.
    pub size: [usize; 2],
    /// One a pixel, row by row.
    pub numbers: Vec<u16>,
}

impl LabelMap {
    /// The class of each pixel of the label picture at `path`, `None` where it has none.
    ///
    /// # Errors
    /// [`LabelError::Size`] where its size is not that of the `picture`, [`LabelError::Range`].
    pub fn classes(
        &self,
        numbering: Numbering,
        classes: usize,
        picture: [usize; 2],
        path: &Path,
    ) -> Result<Vec<Option<usize>>, LabelError> {
        if self.size != picture {
            return Err(LabelError::Size {
                path: path.into(),
                size: self.size,
                picture,
            });
        }
        let class = |number: &u16| {
            let number = usize::from(*number);
            let (class, fix) = match numbering {
                Numbering::FromOne if number == 0 || (number == NONE && classes < NONE) => {
                    return Ok(None);
                }
                Numbering::FromOne => (
                    number - 1,
                    "where 0 is a class, say by `--ignore` which number is none",
                ),
                Numbering::FromZero(ignored) if number == ignored => return Ok(None),
                Numbering::FromZero(_) => (number, "check the labels, the network and `--ignore`"),
            };
            match class < classes {
                true => Ok(Some(class)),
                false => Err(LabelError::Range {
                    path: path.into(),
                    label: number,
                    classes,
                    fix,
                }),
            }
        };
        self.numbers.iter().map(class).collect()
    }
}

/// Reads a PNG of grey values or of places in a palette, 1 to 16 bits a pixel.
///
/// # Errors
/// [`LabelError::Unreadable`].
pub fn read_labels(path: &Path) -> Result<LabelMap, LabelError> {
    let failed = |cause: String| LabelError::Unreadable {
        path: path.into(),
        cause,
    };
    let length = fs::metadata(path)
        .map_err(|cause| failed(cause.to_string()))?
        .len();
    if length > MAX_BYTES {
        return Err(failed(format!("more than {} MB", MAX_BYTES >> 20)));
    }
    let bytes = base::files::read(path).map_err(|cause| failed(cause.to_string()))?;
    decode(&bytes).map_err(failed)
}

fn decode(bytes: &[u8]) -> Result<LabelMap, String> {
    let message = |error: DecodingError| error.to_string();
    let limits = Limits { bytes: MAX_DECODED };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(message)?;
    let info = reader.info();
    let (width, height, depth) = (info.width, info.height, info.bit_depth);
    if !matches!(info.color_type, ColorType::Grayscale | ColorType::Indexed) {
        return Err("it is in colour or see-through".to_owned());
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(format!("at most {MAX_SIDE} x {MAX_SIDE} pixels are read"));
    }
    let size = reader.output_buffer_size().ok_or("it is too large")?;
    let mut packed = vec![0; size];
    let frame = reader.next_frame(&mut packed).map_err(message)?;
    let bits = depth as usize;
    let row = |row: &[u8]| -> Vec<u16> {
        match depth {
            BitDepth::Sixteen => row
                .chunks_exact(2)
                .map(|two| u16::from_be_bytes([two[0], two[1]]))
                .collect(),
            _ => row
                .iter()
                .flat_map(|byte| {
                    (0..8 / bits).map(move |at| {
                        let shifted = byte >> (8 - bits * (at + 1));
                        u16::from(shifted) & ((1 << bits) - 1)
                    })
                })
                .take(width as usize)
                .collect(),
        }
    };
    let rows = packed.chunks_exact(frame.line_size).take(height as usize);
    Ok(LabelMap {
        size: [height as usize, width as usize],
        numbers: rows.flat_map(row).collect(),
    })
}

/// A picture and its label picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The picture.
    pub picture: PathBuf,
    /// The label picture; whether it is there was not looked at.
    pub labels: PathBuf,
}

/// The pictures of `images` with the PNGs of the same name in `annotations`, of a part called `validation`, `val` or `test` where
/// `images` has one, in order of names.
///
/// # Errors
/// [`DataError`].
pub fn pairs(folder: &Path) -> Result<Vec<Pair>, DataError> {
    let unreadable = |cause: &str| DataError::Unreadable {
        path: folder.into(),
        cause: cause.to_owned(),
    };
    let [mut images, mut labels] = ["images", "annotations"].map(|name| folder.join(name));
    if !images.is_dir() || !labels.is_dir() {
        return Err(unreadable(
            "it has to hold `images` with pictures and `annotations` with label PNGs of the same names",
        ));
    }
    if let Some(part) = first_folder(&images, &PARTS) {
        labels.push(part.file_name().unwrap_or_default());
        images = part;
    }
    let found: Vec<Pair> = pictures(&images)?
        .into_iter()
        .map(|picture| {
            let name = picture.with_extension("png");
            let labels = labels.join(name.file_name().unwrap_or_default());
            Pair { picture, labels }
        })
        .collect();
    match found.is_empty() {
        true => Err(unreadable(
            "there is no PNG, JPEG, WebP or GIF in its `images`",
        )),
        false => Ok(found),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn png(color: ColorType, depth: BitDepth, width: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, 2);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![200; 3 * 4]);
        }
        encoder
            .write_header()
            .unwrap()
            .write_image_data(data)
            .unwrap();
        bytes
    }

    #[test]
    fn numbers_of_every_depth() {
        let read = |color, depth, width, data: &[u8]| decode(&png(color, depth, width, data));
        let eight = read(ColorType::Grayscale, BitDepth::Eight, 2, &[0, 1, 150, 255]).unwrap();
        assert_eq!(eight.numbers, [0, 1, 150, 255]);
        let two = read(
            ColorType::Indexed,
            BitDepth::Two,
            3,
            &[0b00_01_10_00, 0b11_00_01_00],
        )
        .unwrap();
        assert_eq!(two.numbers, [0, 1, 2, 3, 0, 1]);
        let wide = read(ColorType::Grayscale, BitDepth::Sixteen, 1, &[1, 2, 0, 7]).unwrap();
        assert_eq!((wide.numbers, wide.size), (vec![258, 7], [2, 1]));
        let colour = read(ColorType::Rgb, BitDepth::Eight, 1, &[1; 6]).unwrap_err();
        assert!(colour.contains("colour"), "{colour}");
        let mut cut = png(ColorType::Grayscale, BitDepth::Eight, 2, &[0; 4]);
        cut.truncate(50);
        decode(&cut).unwrap_err();
        decode(b"no picture").unwrap_err();
    }

    #[test]
    fn what_numbers_mean() {
        let map = LabelMap {
            size: [1, 3],
            numbers: vec![0, 2, 255],
        };
        let path = Path::new("a.png");
        let classes = |numbering, count| map.classes(numbering, count, [1, 3], path);
        assert_eq!(
            classes(Numbering::FromOne, 2).unwrap(),
            [None, Some(1), None]
        );
        assert_eq!(
            classes(Numbering::FromZero(255), 3).unwrap(),
            [Some(0), Some(2), None]
        );
        assert_eq!(classes(Numbering::FromOne, 300).unwrap()[2], Some(254));
        let line = classes(Numbering::FromZero(0), 3).unwrap_err().to_string();
        assert!(line.contains("label 255 is out of range"), "{line}");
        let line = map
            .classes(Numbering::FromOne, 2, [3, 1], path)
            .unwrap_err()
            .to_string();
        assert!(line.contains("3 x 1 pixels, its picture 1 x 3"), "{line}");
    }
}
