//! Annotations in COCO's format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::without_nan;
use super::mask::Outline;

/// Longest annotation file, in bytes.
const MAX_FILE: u64 = 2 << 30;
/// Categories at most.
const MAX_CATEGORIES: usize = 100_000;

/// What can be wrong with an annotation file, each as one line with cause and fix.
#[derive(Debug, thiserror::Error)]
pub enum CocoError {
    /// A file that cannot be read.
    #[error("cannot read `{}`: {cause}: give COCO's annotations as JSON", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A file of another kind.
    #[error(
        "`{}` is not a COCO annotation file ({cause}): it takes an object with `images`, `categories` and `annotations`",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

impl From<CocoError> for base::command::Failure {
    fn from(error: CocoError) -> Self {
        Self::input(error)
    }
}

/// What pictures and categories are called: a number, in some files a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// As in COCO's own files.
    Number(i64),
    /// As others write it.
    Text(String),
}

/// A category; the place in [`Dataset::categories`] is its label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// What annotations call it.
    pub id: Id,
    /// What people call it.
    #[serde(default)]
    pub name: String,
}

/// An annotated thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Left, top, width, height in pixels; width and height are above 0.
    pub bounds: [f64; 4],
    /// Place of its category.
    pub label: usize,
    /// In square pixels: the file's, else the box's.
    pub area: f64,
    /// Many at once.
    pub crowd: bool,
    /// Its mask, where the file has one.
    pub outline: Option<Outline>,
}

/// An annotated picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    /// What annotations call it.
    pub id: Id,
    /// Its file, below the folder of pictures.
    pub file_name: String,
    /// Height and width, where the file says them.
    pub size: Option<[usize; 2]>,
    /// What is on it.
    pub truth: Vec<Truth>,
}

/// Annotated pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// In the order of the file, which is that of mmdetection's labels; in COCO's own files it is also that of the ids.
    pub categories: Vec<Category>,
    /// In order of their ids.
    pub photos: Vec<Photo>,
    /// Annotations left out because their box has no area above 0.
    pub flat: usize,
    /// Annotations left out because their picture or category is not in the file.
    pub strangers: usize,
}

#[derive(Deserialize)]
struct Whole {
    images: Vec<Image>,
    categories: Vec<Category>,
    // Files of pictures to be sent in have none.
    #[serde(default)]
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: Id,
    file_name: String,
    #[serde(default)]
    width: Value,
    #[serde(default)]
    height: Value,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Id,
    category_id: Id,
    bbox: Option<Bounds>,
    #[serde(default)]
    area: Value,
    #[serde(default)]
    iscrowd: Value,
    segmentation: Option<Outline>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Bounds {
    Four([f64; 4]),
    Other(IgnoredAny),
}

impl Annotation {
    /// Left, top, width, height where the box has an area.
    fn bounds(&self) -> Option<[f64; 4]> {
        match self.bbox {
            Some(Bounds::Four(four)) => {
                let finite = four.iter().all(|side| side.is_finite());
                (finite && four[2] > 0.0 && four[3] > 0.0).then_some(four)
            }
            _ => None,
        }
    }

    fn crowd(&self) -> bool {
        self.iscrowd == Value::Bool(true) || self.iscrowd.as_f64().is_some_and(|flag| flag != 0.0)
    }
}

impl Dataset {
    /// Reads an annotation file, of 2 GiB at most.
    ///
    /// # Errors
    /// [`CocoError`].
    pub fn open(path: &Path) -> Result<Self, CocoError> {
        let unreadable = |cause: String| CocoError::Unreadable {
            path: path.into(),
            cause,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|cause| unreadable(cause.to_string()))?;
        file.take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(|cause| unreadable(cause.to_string()))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(unreadable("it is longer than 2 GiB".to_owned()));
        }
        Self::parse(bytes).map_err(|cause| CocoError::Format {
            path: path.into(),
            cause,
        })
    }

    /// The data set in an annotation file's bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(mut bytes: Vec<u8>) -> Result<Self, String> {
        without_nan(&mut bytes);
        let whole: Whole = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        drop(bytes);
        if whole.categories.is_empty() || whole.categories.len() > MAX_CATEGORIES {
            return Err(format!("it has {} categories", whole.categories.len()));
        }
        if whole.images.is_empty() {
            return Err("it lists no pictures".to_owned());
        }
        let labels: BTreeMap<&Id, usize> = whole
            .categories
            .iter()
            .enumerate()
            .map(|(label, category)| (&category.id, label))
            .collect();
        if labels.len() < whole.categories.len() {
            return Err("two categories have the same id".to_owned());
        }
        let side = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok());
        let mut photos: BTreeMap<Id, Photo> = whole
            .images
            .into_iter()
            .map(|image| {
                let size = side(&image.height).zip(side(&image.width));
                let photo = Photo {
                    id: image.id.clone(),
                    file_name: image.file_name,
                    size: size.map(<[usize; 2]>::from),
                    truth: Vec::new(),
                };
                (image.id, photo)
            })
            .collect();
        let (mut flat, mut strangers) = (0, 0);
        for one in whole.annotations {
            let photo = photos.get_mut(&one.image_id);
            let (Some(photo), Some(&label)) = (photo, labels.get(&one.category_id)) else {
                strangers += 1;
                continue;
            };
            let Some(bounds) = one.bounds() else {
                flat += 1;
                continue;
            };
            let area = one.area.as_f64().unwrap_or(bounds[2] * bounds[3]);
            photo.truth.push(Truth {
                bounds,
                label,
                area,
                crowd: one.crowd(),
                outline: one.segmentation,
            });
        }
        Ok(Self {
            categories: whole.categories,
            photos: photos.into_values().collect(),
            flat,
            strangers,
        })
    }

    /// How many annotations there are.
    pub fn len(&self) -> usize {
        self.photos.iter().map(|photo| photo.truth.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some annotation has a mask.
    pub fn has_masks(&self) -> bool {
        let mut truth = self.photos.iter().flat_map(|photo| &photo.truth);
        truth.any(|one| match &one.outline {
            Some(Outline::Polygons(polygons)) => !polygons.is_empty(),
            Some(Outline::Runs { .. }) => true,
            Some(Outline::Other(_)) | None => false,
        })
    }
}
