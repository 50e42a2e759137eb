//! Where the files of a pack lie: inside the program or in a folder.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use super::PackError;
use base::media::{Image, MAX_BYTES, decode_still};

/// Files by name.
#[derive(Debug)]
pub(super) enum Source {
    /// (name, content), sorted by name.
    Embedded(&'static [(&'static str, &'static [u8])]),
    /// A folder on disk.
    Folder(PathBuf),
}

impl Source {
    /// How the file is called in errors.
    pub fn label(&self, name: &str) -> String {
        match self {
            Self::Embedded(_) => name.to_owned(),
            Self::Folder(folder) => folder.join(name).display().to_string(),
        }
    }

    /// The whole file.
    pub fn bytes(&self, name: &str) -> Result<Cow<'static, [u8]>, PackError> {
        let unreadable = |cause: String| PackError::Unreadable {
            file: self.label(name),
            cause,
        };
        match self {
            Self::Embedded(files) => files
                .binary_search_by_key(&name, |(known, _)| known)
                .map(|at| Cow::Borrowed(files[at].1))
                .map_err(|_| unreadable("it is not in the program".into())),
            Self::Folder(folder) => {
                let path = folder.join(name);
                let is_file = fs::metadata(&path).map(|there| there.is_file());
                if !is_file.map_err(|cause| unreadable(cause.to_string()))? {
                    return Err(unreadable("it is not a file".into()));
                }
                let mut bytes = Vec::new();
                File::open(&path)
                    .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
                    .map_err(|cause| unreadable(cause.to_string()))?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// The whole file as UTF-8.
    pub fn text(&self, name: &str) -> Result<String, PackError> {
        let bytes = self.bytes(name)?.into_owned();
        String::from_utf8(bytes).map_err(|cause| {
            let good = cause.utf8_error().valid_up_to();
            let before = &cause.as_bytes()[..good];
            PackError::Index {
                file: self.label(name),
                line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
                cause: "it is not UTF-8".into(),
            }
        })
    }

    /// A picture of exactly this size.
    pub fn image(&self, name: &str, width: u32, height: u32) -> Result<Image, PackError> {
        let sheet = |cause: String| PackError::Sheet {
            file: self.label(name),
            cause,
        };
        let bytes = self.bytes(name)?;
        check_size(&bytes, width, height).map_err(sheet)?;
        decode_still(&bytes, name)
            .map(|still| still.picture)
            .map_err(|cause| sheet(cause.to_string()))
    }

    /// Whether the file is a PNG of exactly this size, by its header alone.
    pub fn check_png(&self, name: &str, width: u32, height: u32) -> Result<(), PackError> {
        let bytes = self.bytes(name)?;
        check_size(&bytes, width, height).map_err(|cause| PackError::Sheet {
            file: self.label(name),
            cause,
        })
    }
}

fn check_size(bytes: &[u8], width: u32, height: u32) -> Result<(), String> {
    let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info();
    let (w, h) = reader
        .map_err(|cause| format!("it is not a PNG ({cause})"))?
        .info()
        .size();
    match (w, h) == (width, height) {
        true => Ok(()),
        false => Err(format!("it is {w}x{h}, not {width}x{height}")),
    }
}
