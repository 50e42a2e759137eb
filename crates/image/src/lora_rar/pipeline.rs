//! Two LoRA files in, one out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights};
use burn::tensor::Device;
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::SystemError;
use super::adapter::{LoraFile, base_name, put};
use super::hypernet::Hypernet;
use super::merge::{
    Columns, Merged, Merger, Method, Settings, Summary, merge_columns, merge_layer,
};
use super::names::{Format, Layer};

/// Layers that are in memory at a time, beside those that are done.
const AT_A_TIME: usize = 16;
/// Key in a hypernetwork's metadata that says which updates it saw, and the value for updates with alpha / rank applied.
pub const SEES: (&str, &str) = ("updates", "effective");

/// What to merge, and how it is written.
#[derive(Debug)]
pub struct Job<'a> {
    /// The subject's adapter.
    pub content: &'a LoraFile,
    /// The style's adapter.
    pub style: &'a LoraFile,
    /// Method and strengths.
    pub settings: Settings,
    /// The hypernetwork, for [`Method::Rar`].
    pub merger: Option<&'a Merger>,
    /// Coefficients of layers, for [`Method::ZipLora`]; the others are summed.
    pub columns: Option<&'a BTreeMap<Layer, Columns>>,
    /// Seed of rules that drop values.
    pub seed: u64,
    /// How the result names its tensors.
    pub format: Format,
    /// Element type of the result.
    pub precision: Precision,
}

/// What became of one layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// Network and module.
    pub layer: String,
    /// `[out, in]`.
    pub size: [usize; 2],
    /// Ranks of content and style, and of the result; 0 where an adapter lacks the layer.
    pub ranks: [usize; 3],
    /// Frobenius norms of the updates of content and style.
    pub norms: [f64; 2],
    /// The coefficients in short, where the method gives some.
    pub coefficients: Option<Summary>,
}

/// Opens a hypernetwork: the published `hypernet.pth`, or what training wrote.
///
/// # Errors
/// [`SystemError`] where it cannot be read or is none.
pub fn open_merger(path: &Path) -> Result<Merger, SystemError> {
    let weights = Weights::open(path)?;
    Ok(Merger {
        network: Hypernet::load(&weights, &Device::flex())?,
        effective: weights
            .metadata()
            .get(SEES.0)
            .is_some_and(|value| value == SEES.1),
    })
}

impl Job<'_> {
    /// Whether the two adapters are for one base model.
    ///
    /// # Errors
    /// [`SystemError::Input`] with the first names of the one that does not fit.
    pub fn check(&self) -> Result<(), SystemError> {
        let [content, style] = [self.content, self.style];
        let widths = [content.text_width(), style.text_width()];
        let apart = widths[0].is_some() && widths[1].is_some() && widths[0] != widths[1];
        if apart || !content.layers().any(|layer| style.has(layer)) {
            return Err(SystemError::Input(format!(
                "the two adapters are for different base models: `{}` for {}, `{}` for {}; the latter begins with {}",
                content.origin(),
                base_name(widths[0]),
                style.origin(),
                base_name(widths[1]),
                style.begins_with()
            )));
        }
        let merger = self.merger.filter(|_| self.settings.method == Method::Rar);
        let known = merger
            .map(|merger| merger.network.widths())
            .unwrap_or_default();
        let unknown = content.layers().find(|layer| {
            let sizes = content.sizes(layer).map(|(size, _)| size);
            layer.is_merged_by_network() && sizes.is_some_and(|[out, _]| !known.contains(&out))
        });
        match unknown {
            Some(_) if merger.is_some() => Err(SystemError::Input(format!(
                "`{}` is for {}, and the hypernetwork for widths {known:?}; it begins with {}: use another hypernetwork or `--method`",
                content.origin(),
                base_name(widths[0]),
                content.begins_with()
            ))),
            _ => Ok(()),
        }
    }

    /// Merges layer by layer; `progress` gets the number of layers done and of all, and may stop it.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn run(
        &self,
        progress: &mut dyn FnMut(usize, usize) -> Result<(), SystemError>,
    ) -> Result<(TensorFile, Vec<LayerReport>), SystemError> {
        self.check()?;
        let all: BTreeSet<&Layer> = self.content.layers().chain(self.style.layers()).collect();
        let all: Vec<&Layer> = all.into_iter().collect();
        let mut file = TensorFile::new();
        let mut reports = Vec::with_capacity(all.len());
        for (at, part) in all.chunks(AT_A_TIME).enumerate() {
            progress(at * AT_A_TIME, all.len())?;
            let done: Vec<_> = part.par_iter().map(|layer| self.layer(layer)).collect();
            for (layer, done) in part.iter().zip(done) {
                let (merged, report) = done?;
                put(
                    &mut file,
                    layer,
                    &merged.factors,
                    self.format,
                    self.precision,
                )?;
                reports.push(report);
            }
        }
        Ok((file, reports))
    }

    fn layer(&self, layer: &Layer) -> Result<(Merged, LayerReport), SystemError> {
        let [content, style] = [self.content.factors(layer)?, self.style.factors(layer)?];
        let sides = [content.as_ref(), style.as_ref()];
        let asked = self.merger.filter(|_| layer.is_merged_by_network());
        let name = layer.to_string();
        let mut rng = Rng::new(self.seed).child(&name);
        let given = self.columns.and_then(|columns| columns.get(layer));
        let merged = match given.filter(|_| self.settings.method == Method::ZipLora) {
            Some(columns) => merge_columns(&name, sides, self.settings.strengths, columns)?,
            None => merge_layer(&name, sides, &self.settings, asked, &mut rng)?,
        };
        let [content, style] =
            sides.map(|side| side.map_or((0, 0.0), |side| (side.rank(), side.norm())));
        let report = LayerReport {
            layer: name,
            size: [merged.factors.up.rows, merged.factors.down.columns],
            ranks: [content.0, style.0, merged.factors.rank()],
            norms: [content.1, style.1],
            coefficients: merged.summary.clone(),
        };
        Ok((merged, report))
    }
}

/// The SHA-256 of a file in hexadecimal digits.
///
/// # Errors
/// When it cannot be read.
pub fn fingerprint(path: &Path) -> Result<String, SystemError> {
    let map = base::tensor_file::map_file(path)?;
    let bytes: &[u8] = map.as_deref().unwrap_or_default();
    let digest = Sha256::digest(bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
