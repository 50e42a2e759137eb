//! The LoRAs that a model is opened with, and what they change.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::DiffusionError;
use crate::weights::lora::Lora;

/// For each component the names of the layers that each LoRA changed.
pub(super) type Used = [(&'static str, Vec<BTreeSet<String>>)];

/// Open files with their weights.
pub(super) struct Loras(Vec<(Lora, f32)>);

impl Loras {
    pub fn open(files: &[(PathBuf, f32)]) -> Result<Self, DiffusionError> {
        let open = |(path, weight): &(PathBuf, f32)| Ok((Lora::open(path)?, *weight));
        Ok(Self(
            files
                .iter()
                .map(open)
                .collect::<Result<_, DiffusionError>>()?,
        ))
    }

    pub fn files(&self) -> Vec<(&Lora, f32)> {
        self.0
            .iter()
            .map(|(lora, weight)| (lora, *weight))
            .collect()
    }

    /// A line for each component of a file of which some layers changed nothing.
    ///
    /// # Errors
    /// When no layer of a file did.
    pub fn notes(&self, used: &Used) -> Result<Vec<String>, DiffusionError> {
        let mut notes = Vec::new();
        for (at, (lora, _)) in self.0.iter().enumerate() {
            if used.iter().all(|(_, each)| each[at].is_empty()) {
                return Err(lora.of_another_base().into());
            }
            for (component, count) in lora.components() {
                let none = BTreeSet::new();
                let here = used.iter().find(|(name, _)| *name == component);
                let left = lora.unused(component, here.map_or(&none, |(_, each)| &each[at]));
                if let Some(first) = left.first() {
                    notes.push(format!(
                        "`{}`: {} of {count} layers of its {component} are not in this model, such as `{first}`; they are \
                         left out",
                        lora.origin(),
                        left.len()
                    ));
                }
            }
        }
        Ok(notes)
    }
}
