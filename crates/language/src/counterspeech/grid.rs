//! Configurations: a model by the name of its adapter, and the context that its prompt shows.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SystemError;
use super::store::read_text;

/// The plain model, without an adapter (the paper's baseline).
pub const BASELINE: &str = "Ba";
/// The default grid: 6 models × 6 contexts (reconstructed; the paper states 36 configurations and five adapters).
const DEFAULT: &str = include_str!("grid.toml");
/// Most configurations of a grid.
const MOST: usize = 10_000;

/// Models × contexts, as a grid file (TOML) lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Names of models: [`BASELINE`], or names of adapters.
    pub models: Vec<String>,
    /// Contexts: names of prompt blocks with dots between them; empty for the message alone.
    pub contexts: Vec<String>,
    /// Parts of model names that are factors; contexts' blocks always are.
    #[serde(default)]
    pub model_factors: Vec<String>,
}

/// One cell of the grid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Configuration {
    /// Name of the adapter, or [`BASELINE`].
    pub model: String,
    /// Names of prompt blocks with dots between them.
    pub context: String,
}

impl Configuration {
    /// From an identifier such as `Ba`, `MuRe.Pr` or `MuHsRe.Pr.Su`.
    pub fn parse(id: &str) -> Self {
        let (model, context) = id.split_once('.').unwrap_or((id, ""));
        Self {
            model: model.to_owned(),
            context: context.to_owned(),
        }
    }

    /// The identifier, `MODEL` or `MODEL.CONTEXT`.
    pub fn id(&self) -> String {
        match self.context.as_str() {
            "" => self.model.clone(),
            context => format!("{}.{context}", self.model),
        }
    }

    /// Names of the prompt blocks.
    pub fn blocks(&self) -> impl Iterator<Item = &str> {
        blocks(&self.context)
    }
}

fn blocks(context: &str) -> impl Iterator<Item = &str> {
    context.split('.').filter(|block| !block.is_empty())
}

impl Default for Grid {
    fn default() -> Self {
        // A test holds that the file is right.
        toml::from_str(DEFAULT).unwrap_or(Self {
            models: vec![BASELINE.to_owned()],
            contexts: vec![String::new()],
            model_factors: Vec::new(),
        })
    }
}

impl Grid {
    /// Reads a grid file.
    ///
    /// # Errors
    /// [`SystemError::Input`]: unreadable, malformed, empty, or a name twice or not made of letters and digits.
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let place = path.display();
        let grid: Self = toml::from_str(&read_text(path)?).map_err(|error| {
            SystemError::Input(format!(
                "`{place}` is not a grid ({}): write `models = [\"Ba\"]` and `contexts = [\"\", \"Pr\"]`",
                error.message()
            ))
        })?;
        grid.check()
            .map_err(|reason| SystemError::Input(format!("`{place}` is not a grid: {reason}")))?;
        Ok(grid)
    }

    /// The text of the default grid, to begin from.
    pub fn built_in() -> &'static str {
        DEFAULT
    }

    fn check(&self) -> Result<(), String> {
        if self.models.is_empty() || self.contexts.is_empty() {
            return Err("it lists no models or no contexts".into());
        }
        if self.models.len().saturating_mul(self.contexts.len()) > MOST {
            return Err(format!("it has more than {MOST} configurations"));
        }
        let word = |name: &str| !name.is_empty() && name.chars().all(char::is_alphanumeric);
        if let Some(bad) = self.models.iter().find(|name| !word(name)) {
            return Err(format!(
                "the model `{bad}` is not made of letters and digits"
            ));
        }
        let wrong = |context: &&String| !context.is_empty() && !context.split('.').all(word);
        if let Some(bad) = self.contexts.iter().find(wrong) {
            return Err(format!(
                "the context `{bad}` is not made of names with dots between them"
            ));
        }
        for names in [&self.models, &self.contexts] {
            let mut seen = BTreeSet::new();
            if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
                return Err(format!("`{twice}` is listed twice"));
            }
        }
        Ok(())
    }

    /// All configurations, model by model.
    pub fn configurations(&self) -> Vec<Configuration> {
        let cell = |model: &String, context: &String| Configuration {
            model: model.clone(),
            context: context.clone(),
        };
        let models = self.models.iter();
        models
            .flat_map(|model| {
                self.contexts
                    .iter()
                    .map(move |context| cell(model, context))
            })
            .collect()
    }

    /// Names of the prompt blocks that any context has.
    pub fn blocks(&self) -> BTreeSet<&str> {
        self.contexts.iter().flat_map(|it| blocks(it)).collect()
    }

    /// Factors of a grid: each asks for a part of a configuration's name. A configuration counts for a factor when its name
    /// contains it; every other one is without it.
    pub fn factors(&self) -> Vec<Factor> {
        let model = |name: &String| Factor {
            name: name.clone(),
            of_model: true,
        };
        let block = |name: &str| Factor {
            name: name.to_owned(),
            of_model: false,
        };
        let models = self.model_factors.iter().map(model);
        models.chain(self.blocks().into_iter().map(block)).collect()
    }
}

/// A part of a configuration whose effect is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Factor {
    /// Its name, such as `Re` or `Pr`.
    pub name: String,
    /// Whether it is looked for in the model's name, else among the context's blocks.
    pub of_model: bool,
}

impl Factor {
    /// Whether `configuration` has it.
    pub fn is_in(&self, configuration: &Configuration) -> bool {
        match self.of_model {
            true => configuration.model != BASELINE && configuration.model.contains(&self.name),
            false => configuration.blocks().any(|block| block == self.name),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_default_grid_has_36_configurations_and_six_factors() {
        let grid: Grid = toml::from_str(DEFAULT).unwrap();
        grid.check().unwrap();
        assert_eq!(grid, Grid::default());
        let all = grid.configurations();
        assert_eq!((all.len(), all[0].id().as_str()), (36, BASELINE));
        for cell in &all {
            assert_eq!(Configuration::parse(&cell.id()), *cell);
        }
        let factors = grid.factors();
        let names: Vec<&str> = factors.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["Mu", "Hs", "Re", "Hi", "Pr", "Su"]);
        let having = |name: &str| {
            let factor = factors.iter().find(|it| it.name == name).unwrap();
            all.iter().filter(|it| factor.is_in(it)).count()
        };
        assert_eq!(
            ["Mu", "Hs", "Re", "Pr", "Hi"].map(having),
            [24, 18, 12, 18, 12]
        );
    }

    #[test]
    fn bad_grids_are_told_apart() {
        let check = |models: &[&str], contexts: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect();
            let grid = Grid {
                models: owned(models),
                contexts: owned(contexts),
                model_factors: Vec::new(),
            };
            grid.check().unwrap_err()
        };
        assert!(check(&[], &[""]).contains("no models"));
        assert!(check(&["a.b"], &[""]).contains("letters and digits"));
        assert!(check(&["Ba"], &["Pr..Su"]).contains("dots"));
        assert!(check(&["Ba", "Ba"], &[""]).contains("twice"));
    }
}
