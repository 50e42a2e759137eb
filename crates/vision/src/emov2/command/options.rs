//! Options that several verbs have.

use std::path::{Path, PathBuf};

use base::command::{Failure, use_calling_thread_as_worker};
use base::media::{Image, write_image};
use burn::tensor::Device;
use clap::Args;
use engine::device;

use crate::emov2::pipeline::SIZES;
use crate::emov2::{Classifier, Emo, EmoConfig, Network, embedded};

/// Longest file of class names, in bytes.
const MAX_NAMES: u64 = 4 << 20;

/// Which classifier.
#[derive(Args, Debug)]
pub(super) struct Model {
    /// A classifier: `.safetensors` of `train` or `export`, an official `.pth`, or torchvision's MobileNetV2 [default: the small
    /// embedded one, which tells ten kinds of clothes apart]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Of a file with averaged weights and others, take the others
    #[arg(long)]
    raw: bool,
    /// Side of attention windows, for pictures of another size; 0: the whole map [default: the network's]
    #[arg(long, value_name = "SIDE", value_parser = clap::value_parser!(i64).range(0..=256))]
    window: Option<i64>,
    /// Side of the pictures that the network sees [default: the network's, else 224]
    #[arg(long, value_name = "PIXELS", value_parser = size)]
    size: Option<usize>,
    /// Names of the classes, one a line [default: those in the file]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    work: Work,
}

/// Where the work runs.
#[derive(Args, Debug)]
pub(super) struct Work {
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    pub(super) device: String,
}

impl Work {
    /// Makes this thread work too and gives the device.
    pub(super) fn begin(&self) -> Result<Device, Failure> {
        use_calling_thread_as_worker();
        device(&self.device)
    }
}

impl Model {
    /// The file's name, for messages.
    pub(super) fn name(&self) -> String {
        match &self.model {
            Some(path) => format!("`{}`", path.display()),
            None => "the embedded model".to_owned(),
        }
    }

    /// An EMO network and its shape, for what MobileNetV2 cannot do.
    pub(super) fn emo<'a>(
        &self,
        model: &'a Classifier,
    ) -> Result<(&'a Emo, &'a EmoConfig), Failure> {
        match &model.network {
            Network::Emo(emo, config) => Ok((emo, config)),
            Network::MobileNet(_) => Err(Failure::input(format!(
                "{} is a MobileNetV2, which only classifies here: give an EMO network",
                self.name()
            ))),
        }
    }

    /// The file, the side of pictures and the device, for a network that is not a classifier.
    pub(super) fn headed(&self) -> Result<(&Path, Option<usize>, Device), Failure> {
        if self.raw || self.window.is_some() || self.labels.is_some() {
            return Err(Failure::input(
                "`--raw`, `--window` and `--labels` are for classifiers: leave them out with `--head`",
            ));
        }
        match &self.model {
            Some(path) => Ok((path, self.size, self.work.begin()?)),
            None => Err(Failure::input(
                "there is no embedded network with such a head: give one by `--model FILE`",
            )),
        }
    }

    pub(super) fn open(&self) -> Result<Classifier, Failure> {
        let device = self.work.begin()?;
        let mut model = match &self.model {
            Some(path) => Classifier::open(path, !self.raw, &device)?,
            None => embedded::classifier(&device)?,
        };
        if let Some(size) = self.size {
            model = model.with_size(size);
        }
        if let Some(side) = self.window {
            model = model.with_window(side);
        }
        if let Some(path) = &self.labels {
            model.classes = names(path)?;
        }
        let (named, classes) = (model.classes.len(), model.class_count);
        if named > 0 && classes > 0 && named != classes {
            return Err(Failure::input(format!(
                "there are {named} names for {classes} classes: give one line a class in `--labels`"
            )));
        }
        Ok(model)
    }
}

/// A side of pictures.
pub(super) fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if SIZES.contains(&size) => Ok(size),
        _ => Err(format!(
            "give a number from {} to {}",
            SIZES.start(),
            SIZES.end()
        )),
    }
}

/// The lines of a file of names.
pub(super) fn names(path: &Path) -> Result<Vec<String>, Failure> {
    let failed = |cause: std::io::Error| {
        Failure::input(format!(
            "cannot read the names in `{}`: {cause}; give a text file with one name a line",
            path.display()
        ))
    };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_NAMES {
        return Err(Failure::input(format!(
            "`{}` is too long for a list of names: give one name a line",
            path.display()
        )));
    }
    let text = base::files::read_to_string(path).map_err(failed)?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}

/// What the classes are called: the lines of a file, else their numbers.
pub(super) fn class_names(path: Option<&Path>) -> Result<impl Fn(usize) -> String, Failure> {
    let labels = path.map(names).transpose()?.unwrap_or_default();
    Ok(move |class| {
        let name = labels.get(class).cloned();
        name.unwrap_or_else(|| format!("class {class}"))
    })
}

/// Writes a drawn result.
pub(super) fn write_drawn(path: &Path, picture: &Image) -> Result<(), Failure> {
    Ok(write_image(path, picture, &[])?)
}
