//! From labels to win, tie and loss, overall and class by class, exactly as the official code counts.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::item::{Item, each_item};
use super::tally::Tally;
use super::taxonomy::{Class, Taxonomy, UNCLASSIFIED};
use base::job::jsonl::JsonlError;

pub use super::tally::Ending;

/// The labels that count; `A=B` gives no points.
pub const LABELS: [&str; 9] = [
    "A>>B", "A>B", "A=B", "B>A", "B>>A", "A<<B", "A<B", "B<A", "B<<A",
];

/// Points of a label for the model, −2 to 2. In even games the baseline is A, in odd ones the model. Labels that are none of
/// the eight, and no label, give 0.
pub fn points(game: usize, label: Option<&str>) -> i32 {
    let for_b = match label {
        Some("A>>B" | "B<<A") => -2,
        Some("A>B" | "B<A") => -1,
        Some("A<B" | "B>A") => 1,
        Some("A<<B" | "B>>A") => 2,
        _ => 0,
    };
    if game.is_multiple_of(2) {
        for_b
    } else {
        -for_b
    }
}

/// An item with its games' labels.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedItem {
    /// The item.
    pub item: Item,
    /// A label a game.
    pub labels: Vec<Option<String>>,
    /// Its class; [`UNCLASSIFIED`] where the table does not know the task type.
    pub class: Class,
}

impl JudgedItem {
    /// The item of a judged record.
    ///
    /// # Errors
    /// What its games lack.
    pub fn new(item: Item) -> Result<Self, String> {
        let games = item.record.get("games").and_then(Value::as_array);
        let games = games.ok_or("it has no `games`: judge it first")?;
        let label = |game: &Value| match game.get("score") {
            Some(Value::String(label)) => Ok(Some(label.clone())),
            Some(Value::Null) | None => Ok(None),
            Some(other) => Err(format!("the score {other} is not a label")),
        };
        let labels: Result<Vec<_>, _> = games.iter().map(label).collect();
        let class = item
            .task_type()
            .and_then(|task| Taxonomy::official().class(&task));
        Ok(Self {
            labels: labels?,
            class: class.unwrap_or(Class {
                main: UNCLASSIFIED,
                sub: UNCLASSIFIED,
            }),
            item,
        })
    }

    /// Sum of the points of all games.
    pub fn points(&self) -> i32 {
        let each = self.labels.iter().enumerate();
        each.map(|(game, label)| points(game, label.as_deref()))
            .sum()
    }

    /// How it ended.
    pub fn result(&self) -> Ending {
        match self.points() {
            1.. => Ending::Win,
            0 => Ending::Tie,
            _ => Ending::Loss,
        }
    }

    /// Whether no game has a label. Such items count as ties in the official code.
    pub fn failed(&self) -> bool {
        self.labels.iter().all(Option::is_none)
    }
}

/// A file of judged items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JudgedFile {
    /// The items.
    pub items: Vec<JudgedItem>,
    /// What the file tells besides.
    pub about: About,
}

/// What a judged file tells besides its items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// The model's name, where the file tells.
    pub model: Option<String>,
    /// The baseline's name, where the file tells; the official files do not.
    pub baseline: Option<String>,
    /// One line for each line that was left out, and one where the file is a shard of several.
    pub troubles: Vec<String>,
}

/// Reads a judged file, ours or the official one.
///
/// # Errors
/// [`JsonlError`] where nothing can be read.
pub fn read_judged(path: &Path) -> std::result::Result<JudgedFile, JsonlError> {
    let mut items = Vec::new();
    let about = each_judged(path, &mut |item| items.push(item))?;
    Ok(JudgedFile { items, about })
}

/// As [`read_judged`], one item after the other, so that a file of any length takes the memory of what `take` keeps.
///
/// # Errors
/// As [`read_judged`].
pub fn each_judged(
    path: &Path,
    take: &mut dyn FnMut(JudgedItem),
) -> std::result::Result<About, JsonlError> {
    let (mut about, mut unjudged) = (About::default(), Vec::new());
    let mut any = false;
    let troubles = each_item(path, &mut |_, item| {
        let id = base::command::one_line(&item.id);
        let text = |field: &str| item.text(field).map(str::to_owned);
        let (model, baseline) = (text("model"), text("baseline_name"));
        match JudgedItem::new(item) {
            Ok(judged) => {
                about.model = about.model.take().or(model);
                about.baseline = about.baseline.take().or(baseline);
                any = true;
                take(judged);
            }
            Err(what) => {
                let line = format!("`{}` item `{id}`: {what}: left out", path.display());
                unjudged.push(base::command::one_line(&line));
            }
        }
    })?;
    about.troubles = troubles;
    about.troubles.extend(unjudged);
    match any {
        false => Err(JsonlError::Nothing {
            path: path.to_owned(),
            first: about.troubles.into_iter().next(),
        }),
        true => Ok(about),
    }
}

/// Tallies by name, in the order in which the names first appeared.
pub type Groups = Vec<(String, Tally)>;

/// Counts an ending for the group `name`.
pub fn count(groups: &mut Groups, name: &str, ending: Ending) {
    match groups.iter_mut().find(|(known, _)| known == name) {
        Some((_, tally)) => tally.add(ending),
        None => {
            let mut tally = Tally::default();
            tally.add(ending);
            groups.push((name.to_owned(), tally));
        }
    }
}

/// All scores of a judged file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// The model.
    pub model: Option<String>,
    /// All items.
    pub all: Tally,
    /// Items without any label, which count as ties.
    pub failed: usize,
    /// By main class.
    pub main: Groups,
    /// By subclass.
    pub sub: Groups,
}

impl Scores {
    /// Scores of judged items.
    pub fn of(items: &[JudgedItem], model: Option<String>) -> Self {
        let mut scores = Self {
            model,
            ..Self::default()
        };
        items.iter().for_each(|item| scores.add(item));
        scores
    }

    /// Counts one item more.
    pub fn add(&mut self, item: &JudgedItem) {
        let ending = item.result();
        self.all.add(ending);
        self.failed += usize::from(item.failed());
        count(&mut self.main, item.class.main, ending);
        count(&mut self.sub, item.class.sub, ending);
    }

    /// The official metrics file: same keys, same texts.
    pub fn official(&self) -> Value {
        let cells = |groups: &Groups| -> Map<String, Value> {
            let cell = |(name, tally): &(String, Tally)| (name.clone(), json!(tally.cell()));
            groups.iter().map(cell).collect()
        };
        let latex = |groups: &Groups| {
            let all = groups.iter().map(|(_, tally)| tally.cell());
            all.chain([self.all.cell()]).collect::<Vec<_>>().join(" & ")
        };
        json!({
            "score": self.all.score(),
            "win_rate": self.all.win_rate(),
            "tie_rate": self.all.tie_rate(),
            "model": self.model,
            "main_classified_win_rate": cells(&self.main),
            "main_classified_win_rate_latex": latex(&self.main),
            "sub_classified_win_rate": cells(&self.sub),
            "sub_classified_win_rate_latex": latex(&self.sub),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn items_counted_one_by_one_give_the_same_scores() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("judged.jsonl");
        let line = |id: usize, label: Value| {
            json!({
                "id": id, "question": format!("question {id}"), "response": "long", "model": "m",
                "meta": {"parsed": {"task_type": ["Code-Usage"]}}, "difficulty": "easy",
                "games": [{"score": label, "judgment": "long"}, {"score": "A=B"}],
            })
            .to_string()
        };
        let lines = [
            line(1, json!("B>A")),
            line(2, json!("A>>B")),
            line(3, Value::Null),
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let whole = read_judged(&path).unwrap();
        let mut one_by_one = Scores::default();
        let about = each_judged(&path, &mut |item| one_by_one.add(&item)).unwrap();
        one_by_one.model.clone_from(&about.model);
        assert_eq!(
            Scores::of(&whole.items, whole.about.model.clone()),
            one_by_one
        );
        assert_eq!((whole.about, one_by_one.all.items), (about, 3));
    }

    #[test]
    fn a_shard_alone_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("judged.1-of-4.jsonl");
        let head = json!({"codearena_shard": {"job": {}, "index": 1, "of": 4, "places": [1]}});
        let item = json!({"id": 1, "question": "q", "games": [{"score": "B>A"}]});
        std::fs::write(&path, format!("{head}\n{item}\n")).unwrap();
        let file = read_judged(&path).unwrap();
        let [line] = &file.about.troubles[..] else {
            panic!("{:?}", file.about.troubles);
        };
        assert!(
            line.contains("is shard 1 of 4 alone") && line.contains("`merge`"),
            "{line}"
        );
    }

    #[test]
    fn points_change_sign_with_the_places() {
        for label in ["A>>B", "A>B", "B>A", "B>>A", "A<B", "A<<B", "B<A", "B<<A"] {
            assert_eq!(points(0, Some(label)), -points(1, Some(label)));
        }
        assert_eq!(
            [
                points(0, Some("B>>A")),
                points(1, Some("A=B")),
                points(0, None)
            ],
            [2, 0, 0]
        );
        assert_eq!(points(0, Some("A>>>B")), 0);
    }
}
