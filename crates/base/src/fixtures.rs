//! Recorded cases for parity tests: numbers made by the authors' code, read the same way in every crate.
//!
//! A case is a JSON file with a `"kind"`, and a safetensors file of the same stem where it has tensors.
//! These helpers serve tests: they panic with the case and the field when a case is malformed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;

#[cfg(feature = "checkpoints")]
use crate::tensor_file::Weights;

/// One recorded case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's stem.
    pub name: String,
    /// The whole JSON file.
    pub json: Value,
    /// The tensors, when there are any.
    #[cfg(feature = "checkpoints")]
    pub weights: Option<Weights>,
}

/// All cases of `kind` among the fixtures of system `slug`, sorted by name.
///
/// They are looked for in `$ORRERY_FIXTURES/SLUG` when that variable is set (relative to the workspace), else in `../shared/fixtures/SLUG`
/// beside the workspace, else in `committed/SLUG`.
///
/// # Panics
/// When a case file cannot be read, or `$ORRERY_FIXTURES` is set and holds no case of the system at all: a test that was
/// sent there must not pass without one.
pub fn cases(slug: &str, kind: &str, committed: &Path) -> Vec<Case> {
    let given = std::env::var_os("ORRERY_FIXTURES");
    let folder = folder(slug, committed, given.as_deref());
    let paths = case_files(&folder);
    assert!(
        given.is_none() || !paths.is_empty(),
        "ORRERY_FIXTURES is set, but `{}` holds no case of {slug}: put cases there, or unset the variable",
        folder.display()
    );
    paths
        .iter()
        .map(|path| read(path))
        .filter(|json| json.1["kind"] == kind)
        .map(|(path, json)| {
            #[cfg(feature = "checkpoints")]
            let tensors = path.with_extension("safetensors");
            Case {
                name: path
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                json,
                #[cfg(feature = "checkpoints")]
                weights: tensors
                    .exists()
                    .then(|| Weights::open(&tensors).unwrap_or_else(|error| panic!("{error}"))),
            }
        })
        .collect()
}

/// [`cases`] of the crate under test, whose folder `cargo test` runs it in: committed ones are in `tests/fixtures`. Prints how
/// many there are.
///
/// # Panics
/// As [`cases`].
pub fn all(slug: &str, kind: &str) -> Vec<Case> {
    let here = std::env::current_dir().unwrap_or_default();
    let all = cases(slug, kind, &here.join("tests/fixtures"));
    report(slug, kind, all.len());
    all
}

/// Runs `check` on [`all`].
///
/// # Panics
/// As [`cases`].
pub fn each(slug: &str, kind: &str, check: impl FnMut(&Case)) {
    all(slug, kind).iter().for_each(check);
}

/// Prints how many cases of a kind ran, or that the kind was skipped.
pub fn report(slug: &str, kind: &str, ran: usize) {
    match ran {
        0 => println!("{slug}/{kind}: skipped: no case"),
        1 => println!("{slug}/{kind}: 1 case"),
        n => println!("{slug}/{kind}: {n} cases"),
    }
}

/// The JSON files with a `"kind"` in a folder, in order; none where there is no such folder.
fn case_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(files) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = files
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .filter(|path| read(path).1["kind"].is_string())
        .collect();
    paths.sort();
    paths
}

/// Where the cases of a system are; `given` is what `ORRERY_FIXTURES` says.
fn folder(slug: &str, committed: &Path, given: Option<&OsStr>) -> PathBuf {
    let workspace = committed
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").exists());
    if let Some(given) = given {
        // Tests run in their crate's folder; a relative path is meant from the workspace.
        let from = workspace.unwrap_or(Path::new(""));
        return from.join(given).join(slug);
    }
    workspace
        .and_then(Path::parent)
        .map(|beside| beside.join("shared/fixtures").join(slug))
        .filter(|shared| shared.is_dir())
        .unwrap_or_else(|| committed.join(slug))
}

fn read(path: &Path) -> (&Path, Value) {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
    let json = serde_json::from_str(&without_infinities(&text))
        .unwrap_or_else(|error| panic!("`{}` is not JSON: {error}", path.display()));
    (path, json)
}

/// The text with Python's bare `NaN`, `Infinity` and `-Infinity`, which JSON has not, as `null`.
fn without_infinities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut inside = false;
    while let Some(c) = rest.chars().next() {
        let bare = ["-Infinity", "Infinity", "NaN"];
        if let Some(word) = bare.iter().find(|word| !inside && rest.starts_with(**word)) {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        let escaped = inside && c == '\\';
        inside ^= c == '"';
        let taken = match escaped {
            true => rest.chars().take(2).map(char::len_utf8).sum(),
            false => c.len_utf8(),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

#[cfg(feature = "checkpoints")]
impl Case {
    /// The case's tensors. Panics when it has none.
    pub fn weights(&self) -> &Weights {
        self.weights
            .as_ref()
            .unwrap_or_else(|| panic!("case `{}` has no safetensors file", self.name))
    }

    /// The floats of the tensor called `name`. Panics when it is absent or holds no floats.
    pub fn values(&self, name: &str) -> Vec<f32> {
        self.weights()
            .values(name)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The integers of the tensor called `name`. Panics when it is absent or holds no integers.
    pub fn ints(&self, name: &str) -> Vec<i64> {
        self.weights()
            .ints(name)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Case {
    /// The value at the dotted path `at`, such as `config.blocks.0`; `None` when absent or null.
    pub fn get(&self, at: &str) -> Option<&Value> {
        let value = at
            .split('.')
            .try_fold(&self.json, |value, key| match value {
                Value::Array(items) => items.get(key.parse::<usize>().ok()?),
                _ => value.get(key),
            })?;
        (!value.is_null()).then_some(value)
    }

    /// The number at `at`. Panics when it is absent or no number.
    pub fn f64(&self, at: &str) -> f64 {
        self.typed(at, "a number", Value::as_f64)
    }

    /// The number at `at` as f32. Panics when it is absent or no number.
    pub fn f32(&self, at: &str) -> f32 {
        self.f64(at) as f32
    }

    /// The whole number at `at`. Panics when it is absent, negative or no whole number.
    pub fn usize(&self, at: &str) -> usize {
        self.typed(at, "a whole number", Value::as_u64) as usize
    }

    /// The truth value at `at`. Panics when it is absent or none.
    pub fn bool(&self, at: &str) -> bool {
        self.typed(at, "true or false", Value::as_bool)
    }

    /// The text at `at`. Panics when it is absent or no text.
    pub fn str(&self, at: &str) -> &str {
        self.typed(at, "a text", Value::as_str)
    }

    /// The list of numbers at `at`. Panics when it is absent or holds anything else.
    pub fn numbers(&self, at: &str) -> Vec<f64> {
        self.typed(at, "a list of numbers", |value| {
            value.as_array()?.iter().map(Value::as_f64).collect()
        })
    }

    /// The absolute tolerance for `output`: `tolerance.OUTPUT`, else `tolerance.default`, `.abs` or `.atol`,
    /// else `tolerance` itself, else `default`. Texts such as `"abs 1e-4"` or `"1e-9"` yield their number.
    pub fn tolerance(&self, output: &str, default: f64) -> f64 {
        [output, "default", "abs", "atol"]
            .iter()
            .find_map(|key| number(self.get("tolerance")?.get(key)?))
            .or_else(|| number(self.get("tolerance")?))
            .unwrap_or(default)
    }

    fn typed<'a, T>(&'a self, at: &str, wanted: &str, read: impl Fn(&'a Value) -> Option<T>) -> T {
        let value = self
            .get(at)
            .unwrap_or_else(|| panic!("case `{}` has no `{at}`", self.name));
        read(value)
            .unwrap_or_else(|| panic!("`{at}` of case `{}` is not {wanted}: {value}", self.name))
    }
}

/// The number that a tolerance states: itself, or the first in a text; 0 for "exact".
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.starts_with("exact") => Some(0.0),
        Value::String(text) => text
            .split(|c: char| c.is_whitespace() || c == ',')
            .find_map(|word| word.parse().ok()),
        _ => None,
    }
}

/// The largest absolute difference between two equally long lists.
///
/// # Panics
/// When their lengths differ.
pub fn furthest(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len(), "lists of different lengths");
    found
        .iter()
        .zip(expected)
        .map(|(a, b)| {
            if a.is_nan() || b.is_nan() {
                f32::INFINITY
            } else {
                (a - b).abs()
            }
        })
        .fold(0.0, f32::max)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn case(json: Value) -> Case {
        Case {
            name: "made-up".into(),
            json,
            #[cfg(feature = "checkpoints")]
            weights: None,
        }
    }

    #[test]
    fn tolerances_are_found_in_every_form_that_cases_use() {
        let given =
            |tolerance: Value| case(json!({ "tolerance": tolerance })).tolerance("grad", 7.0);
        assert_eq!(given(json!(1e-5)), 1e-5);
        assert_eq!(given(json!({"forward": 2e-4, "grad": 1e-3})), 1e-3);
        assert_eq!(given(json!({"default": 2e-4, "psd": 1e-3})), 2e-4);
        assert_eq!(given(json!({"rtol": 1e-3, "atol": 1e-4})), 1e-4);
        assert_eq!(given(json!("abs 5e-4")), 5e-4);
        assert_eq!(given(json!("exact")), 0.0);
        assert_eq!(given(Value::Null), 7.0);
    }

    #[test]
    fn fields_are_reached_by_dotted_paths() {
        let case =
            case(json!({"config": {"eps": [0.5, 2], "name": "x", "deep": true, "none": null}}));
        assert_eq!(case.f32("config.eps.0"), 0.5);
        assert_eq!(case.usize("config.eps.1"), 2);
        assert_eq!(case.numbers("config.eps"), [0.5, 2.0]);
        assert_eq!(
            (case.str("config.name"), case.bool("config.deep")),
            ("x", true)
        );
        assert!(case.get("config.none").is_none() && case.get("config.eps.2").is_none());
    }

    #[test]
    fn cases_are_looked_for_where_the_variable_says_else_beside_else_here() {
        let workspace = tempfile::tempdir().unwrap();
        let at = workspace.path().join("house");
        let committed = at.join("crates/video/tests/fixtures");
        std::fs::create_dir_all(committed.join("stiv")).unwrap();
        std::fs::write(at.join("Cargo.lock"), "").unwrap();
        let given = |name: &str| folder("stiv", &committed, Some(OsStr::new(name)));
        assert_eq!(given("mine"), at.join("mine/stiv"));
        assert_eq!(folder("stiv", &committed, None), committed.join("stiv"));
        let shared = workspace.path().join("shared/fixtures/stiv");
        std::fs::create_dir_all(&shared).unwrap();
        assert_eq!(folder("stiv", &committed, None), shared);

        assert!(case_files(&shared.join("absent")).is_empty());
        std::fs::write(shared.join("notes.json"), "{}").unwrap();
        assert!(case_files(&shared).is_empty(), "a case has a kind");
        std::fs::write(shared.join("b.json"), r#"{"kind": "x"}"#).unwrap();
        assert_eq!(case_files(&shared), [shared.join("b.json")]);
    }

    #[test]
    fn bare_infinities_are_null_and_texts_stay() {
        let text = r#"{"a": -Infinity, "b": [NaN, Infinity], "c": "NaN \" Infinity"}"#;
        let json: Value = serde_json::from_str(&without_infinities(text)).expect("JSON");
        assert_eq!(
            json,
            json!({"a": null, "b": [null, null], "c": "NaN \" Infinity"})
        );
    }

    #[test]
    #[should_panic(expected = "case `made-up` has no `config.lr`")]
    fn a_missing_field_fails_by_name() {
        case(json!({})).f64("config.lr");
    }
}
