//! Names in a checkpoint and field paths in a module, translated both ways.

/// How the names in a file correspond to the dotted field paths of a module.
///
/// Identity until told otherwise. Rules are tried in the order they were added and the first that matches
/// wins; a `{}` stands for one dotted segment and is carried over. A rule renames the segments it names and
/// keeps the rest, so `("model.layers", "blocks")` turns `model.layers.0.mlp` into `blocks.0.mlp`.
///
/// ```
/// use engine::weights::KeyMap;
/// let keys = KeyMap::new()
///     .rename("pos_embed.proj", "patch")
///     .rename("transformer_blocks.{}.attn1.to_q", "blocks.{}.spatial.q");
/// assert_eq!(keys.to_ours("transformer_blocks.3.attn1.to_q.weight").as_deref(), Some("blocks.3.spatial.q.weight"));
/// assert_eq!(keys.to_file("blocks.3.spatial.q.weight"), "transformer_blocks.3.attn1.to_q.weight");
/// ```
#[derive(Clone, Debug, Default)]
pub struct KeyMap {
    within: Option<String>,
    rules: Vec<Rule>,
    only: Vec<String>,
    skip: Vec<String>,
    ignored: Vec<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    file: Vec<String>,
    ours: Vec<String>,
    /// Whether the whole name has to match, not only its beginning.
    whole: bool,
}

impl KeyMap {
    /// The identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names that begin with the segments `file` begin with `ours` here. Either may hold `{}` (equally
    /// many) or be empty: `("model", "")` strips a prefix, `("", "model")` adds one.
    pub fn rename(self, file: &str, ours: &str) -> Self {
        self.rule(file, ours, false)
    }

    /// The tensor called exactly `file` is called `ours` here.
    pub fn exact(self, file: &str, ours: &str) -> Self {
        self.rule(file, ours, true)
    }

    /// Many [`KeyMap::rename`]s: pairs (file, ours).
    pub fn renames<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        pairs
            .into_iter()
            .fold(self, |keys, (file, ours)| keys.rename(file, ours))
    }

    /// Only the file's tensors under `prefix.` belong to this module; the prefix is removed before, and
    /// added after, all rules.
    pub fn within(mut self, prefix: &str) -> Self {
        self.within = Some(prefix.to_owned());
        self
    }

    /// Only parameters whose path here contains `text` (or another text given so) take part.
    pub fn only(mut self, text: &str) -> Self {
        self.only.push(text.to_owned());
        self
    }

    /// Parameters whose path here contains `text` take no part.
    pub fn skip(mut self, text: &str) -> Self {
        self.skip.push(text.to_owned());
        self
    }

    /// Tensors whose name in the file contains `text` are not counted as extra.
    pub fn ignore(mut self, text: &str) -> Self {
        self.ignored.push(text.to_owned());
        self
    }

    /// The name in the file of the parameter at `ours`.
    pub fn to_file(&self, ours: &str) -> String {
        let name = self
            .rules
            .iter()
            .find_map(|rule| translate(ours, &rule.ours, &rule.file, rule.whole))
            .unwrap_or_else(|| ours.to_owned());
        match &self.within {
            Some(prefix) => format!("{prefix}.{name}"),
            None => name,
        }
    }

    /// The path here of the tensor called `file`; `None` when it lies outside [`KeyMap::within`].
    pub fn to_ours(&self, file: &str) -> Option<String> {
        let name = match &self.within {
            Some(prefix) => file.strip_prefix(prefix.as_str())?.strip_prefix('.')?,
            None => file,
        };
        let renamed = self
            .rules
            .iter()
            .find_map(|rule| translate(name, &rule.file, &rule.ours, rule.whole));
        Some(renamed.unwrap_or_else(|| name.to_owned()))
    }

    /// Whether the parameter at `ours` takes part.
    pub fn selects(&self, ours: &str) -> bool {
        let named = |texts: &[String]| texts.iter().any(|text| ours.contains(text.as_str()));
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }

    /// Whether a tensor called `file` that no parameter takes is an error.
    pub(super) fn counts_as_extra(&self, file: &str) -> bool {
        let ignored = self.ignored.iter().any(|text| file.contains(text.as_str()));
        !ignored && self.to_ours(file).is_some_and(|ours| self.selects(&ours))
    }

    fn rule(mut self, file: &str, ours: &str, whole: bool) -> Self {
        self.rules.push(Rule {
            file: segments(file),
            ours: segments(ours),
            whole,
        });
        self
    }
}

fn segments(name: &str) -> Vec<String> {
    name.split('.')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `name` with the segments `from` at its beginning replaced by `to`; `None` when they do not match.
fn translate(name: &str, from: &[String], to: &[String], whole: bool) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    let fits = if whole {
        parts.len() == from.len()
    } else {
        parts.len() >= from.len()
    };
    if !fits {
        return None;
    }
    let (head, rest) = parts.split_at(from.len());
    let mut holes = Vec::new();
    for (part, pattern) in head.iter().zip(from) {
        if pattern == "{}" {
            holes.push(*part);
        } else if part != pattern {
            return None;
        }
    }
    let mut holes = holes.into_iter();
    let mut out = Vec::with_capacity(to.len() + rest.len());
    for pattern in to {
        out.push(match pattern.as_str() {
            "{}" => holes.next()?,
            plain => plain,
        });
    }
    out.extend(rest);
    Some(out.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_there_and_back() {
        let keys = KeyMap::new()
            .exact("scale_shift_table", "head.table")
            .rename("caption.linear_1", "caption.first")
            .rename("blocks.{}.attn1.to_out.0", "layers.{}.spatial.out")
            .within("model");
        for (file, ours) in [
            ("model.scale_shift_table", "head.table"),
            ("model.caption.linear_1.bias", "caption.first.bias"),
            (
                "model.blocks.7.attn1.to_out.0.weight",
                "layers.7.spatial.out.weight",
            ),
            ("model.untouched.weight", "untouched.weight"),
        ] {
            assert_eq!(keys.to_ours(file).as_deref(), Some(ours));
            assert_eq!(keys.to_file(ours), file);
        }
        assert_eq!(keys.to_ours("vae.scale_shift_table"), None);
    }

    #[test]
    fn a_rename_matches_whole_segments_only() {
        let keys = KeyMap::new().rename("block", "layer");
        assert_eq!(
            keys.to_ours("blocks.0.weight").as_deref(),
            Some("blocks.0.weight")
        );
        let keys = KeyMap::new().rename("module", "");
        assert_eq!(keys.to_ours("module.a.b").as_deref(), Some("a.b"));
        assert_eq!(keys.to_file("a.b"), "module.a.b");
    }

    #[test]
    fn filters_choose_by_our_path() {
        let keys = KeyMap::new().only("temporal").skip("temporal.q");
        assert!(keys.selects("blocks.0.temporal.k.weight"));
        assert!(!keys.selects("blocks.0.temporal.q.weight"));
        assert!(!keys.selects("blocks.0.spatial.k.weight"));
    }
}
