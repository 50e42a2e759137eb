//! Pictures with classes: a folder with one folder a class, or the IDX files of the MNIST family.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use base::files::idx::{self, IdxError};
use base::media::{Image, MediaError, read_image};

/// Endings of files that are taken for pictures.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "gif"];
/// One picture in so many is held out where a data set has no split of its own.
const HELD_OUT: usize = 10;
/// Classes at most.
const MAX_CLASSES: usize = 100_000;

/// What can be wrong with a data set, each as one line with cause and fix.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No data set is there.
    #[error(
        "`{}` holds no data set: give a folder with one folder of pictures a class (in `train` and `val`, where there is a split), \
         or the four IDX files of the MNIST family", path.display()
    )]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to tell apart.
    #[error("`{}` holds a single class, `{class}`: a classifier needs two or more", path.display())]
    OneClass {
        /// The folder.
        path: PathBuf,
        /// The class.
        class: String,
    },
    /// A class without pictures.
    #[error("the class folder `{}` holds no PNG, JPEG, WebP or GIF: add pictures or remove it", path.display())]
    EmptyClass {
        /// The class's folder.
        path: PathBuf,
    },
    /// A class of one split that the other has not.
    #[error("`{}` has a class `{class}` that the network does not know: its classes are {known}", path.display())]
    Unknown {
        /// The folder.
        path: PathBuf,
        /// The class.
        class: String,
        /// Some of those that are known.
        known: String,
    },
    /// A file that cannot be read.
    #[error("cannot read `{}`: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// An IDX file that breaks its own rules.
    #[error("`{}` is not as an IDX file should be: {cause}; download it again", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A label beyond the classes.
    #[error("`{}`: label {label} of picture {at} is out of range, there are {classes} classes: check the labels or name more classes", path.display())]
    Label {
        /// The file of labels.
        path: PathBuf,
        /// Which picture, from 0.
        at: usize,
        /// Its label.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A picture that cannot be read.
    #[error(transparent)]
    Image(#[from] MediaError),
}

impl From<DataError> for base::command::Failure {
    fn from(error: DataError) -> Self {
        Self::input(error)
    }
}

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To learn from.
    Train,
    /// To be measured by.
    Test,
}

/// Pictures with classes.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Names of the classes, in order.
    pub classes: Vec<String>,
    items: Items,
    labels: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Items {
    Files(Vec<PathBuf>),
    Grey { pixels: Vec<u8>, sides: [u32; 2] },
}

impl DataSet {
    /// Opens a part of the data set at `path`. `classes` are the names that the labels stand for, where they are known before.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn open(path: &Path, split: Split, classes: Option<&[String]>) -> Result<Self, DataError> {
        match idx_files(path, split) {
            Some(files) => Self::idx(files, classes),
            None => Self::folder(path, split, classes),
        }
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of a picture.
    pub fn label(&self, at: usize) -> usize {
        self.labels[at]
    }

    /// A picture.
    ///
    /// # Errors
    /// [`DataError::Image`].
    pub fn image(&self, at: usize) -> Result<Image, DataError> {
        match &self.items {
            Items::Files(files) => Ok(read_image(&files[at])?),
            Items::Grey { pixels, sides } => {
                let area = sides[0] as usize * sides[1] as usize;
                let grey = &pixels[at * area..(at + 1) * area];
                let rgb = grey.iter().flat_map(|byte| [*byte; 3]).collect();
                Ok(Image::new(sides[1], sides[0], rgb)?)
            }
        }
    }

    /// The first `count` pictures only.
    pub fn truncated(mut self, count: usize) -> Self {
        self.labels.truncate(count);
        self
    }

    fn folder(path: &Path, split: Split, classes: Option<&[String]>) -> Result<Self, DataError> {
        let absent = || DataError::Absent { path: path.into() };
        let (train, test) = (path.join("train"), first_folder(path, &["val", "test"]));
        let (root, own) = match (train.is_dir(), split, test) {
            (true, Split::Train, test) => (train, test.is_some()),
            (true, Split::Test, Some(test)) => (test, true),
            (true, Split::Test, None) => (train, false),
            (false, ..) => (path.to_owned(), false),
        };
        let folders = folders(&root)?;
        let mut names: Vec<String> = folders.iter().map(|(name, _)| name.clone()).collect();
        if let Some(known) = classes {
            if let Some(class) = names.iter().find(|name| !known.contains(name)) {
                return Err(DataError::Unknown {
                    path: root,
                    class: class.clone(),
                    known: some(known),
                });
            }
            names = known.to_vec();
        }
        match names.as_slice() {
            [] => return Err(absent()),
            [class] => {
                return Err(DataError::OneClass {
                    path: root,
                    class: class.clone(),
                });
            }
            _ => {}
        }
        let places: HashMap<&str, usize> = names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), at))
            .collect();
        let (mut files, mut labels) = (Vec::new(), Vec::new());
        for (name, folder) in &folders {
            let pictures = pictures(folder)?;
            if pictures.is_empty() {
                return Err(DataError::EmptyClass {
                    path: folder.clone(),
                });
            }
            for (at, file) in pictures.into_iter().enumerate() {
                let held_out = at % HELD_OUT == HELD_OUT - 1;
                if own || held_out == (split == Split::Test) {
                    files.push(file);
                    labels.push(places.get(name.as_str()).copied().unwrap_or(0));
                }
            }
        }
        Ok(Self {
            classes: names,
            items: Items::Files(files),
            labels,
        })
    }

    fn idx([images, labels]: [PathBuf; 2], classes: Option<&[String]>) -> Result<Self, DataError> {
        let (sizes, pixels) = read_idx::<3>(&images)?;
        let (counts, classes_of) = read_idx::<1>(&labels)?;
        let wrong = |cause: String| DataError::Idx {
            path: images.clone(),
            cause,
        };
        if sizes[0] != counts[0] {
            return Err(wrong(format!(
                "{} pictures have {} labels",
                sizes[0], counts[0]
            )));
        }
        let side = |at: usize| u32::try_from(sizes[at]).unwrap_or(0);
        if sizes[0] == 0 || side(1) == 0 || side(2) == 0 {
            return Err(wrong("it holds no pictures".into()));
        }
        let most = classes_of.iter().copied().max().unwrap_or(0);
        let names: Vec<String> = match classes {
            Some(known) => known.to_vec(),
            None => (0..=most).map(|class| class.to_string()).collect(),
        };
        let labels_of: Vec<usize> = classes_of.iter().map(|label| usize::from(*label)).collect();
        if let Some((at, label)) = labels_of
            .iter()
            .enumerate()
            .find(|(_, label)| **label >= names.len())
        {
            return Err(DataError::Label {
                path: labels,
                at,
                label: *label,
                classes: names.len(),
            });
        }
        if names.len() < 2 {
            return Err(DataError::OneClass {
                path: labels,
                class: names.concat(),
            });
        }
        Ok(Self {
            classes: names,
            items: Items::Grey {
                pixels,
                sides: [side(1), side(2)],
            },
            labels: labels_of,
        })
    }
}

/// A few names, for a message.
fn some(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(5)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = names.len().saturating_sub(shown.len());
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

pub(super) fn first_folder(path: &Path, names: &[&str]) -> Option<PathBuf> {
    names
        .iter()
        .map(|name| path.join(name))
        .find(|at| at.is_dir())
}

/// Entries of a folder in order of their names.
fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |cause: std::io::Error| DataError::Unreadable {
        path: path.into(),
        cause: format!("{cause}; give a folder that can be read"),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn folders(path: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let found = entries(path)?.into_iter().filter(|path| path.is_dir());
    let named = found.map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        (name.into_owned(), path)
    });
    Ok(named.take(MAX_CLASSES).collect())
}

pub(super) fn pictures(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_picture = |path: &PathBuf| {
        let ending = path
            .extension()
            .map(|end| end.to_string_lossy().to_lowercase());
        ending.is_some_and(|end| ENDINGS.contains(&end.as_str()))
    };
    Ok(entries(path)?.into_iter().filter(is_picture).collect())
}

/// Pictures and labels of a part, where the folder holds IDX files.
fn idx_files(path: &Path, split: Split) -> Option<[PathBuf; 2]> {
    let part = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let file = |kind: &str| idx::find(path, &format!("{part}-{kind}-ubyte"));
    Some([file("images-idx3")?, file("labels-idx1")?])
}

/// Sizes and bytes of an IDX file with `N` axes, packed or not.
fn read_idx<const N: usize>(path: &Path) -> Result<([usize; N], Vec<u8>), DataError> {
    let path = path.to_owned();
    idx::read(&path).map_err(|error| match error {
        IdxError::Read(cause) => DataError::Unreadable {
            path,
            cause: cause.to_string(),
        },
        IdxError::Damaged(cause) => DataError::Idx { path, cause },
    })
}
