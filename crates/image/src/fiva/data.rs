//! Records of pictures with attributes (the hub's FiVA/FiVA, or what `data prompts` wrote), by attribute and subject.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::command::Failure;
use base::media::{Image, read_image};
use serde_json::Value;

use super::SystemError;
use super::range::Tree;
use super::taxonomy::Taxonomy;

/// Largest list of records that is read, in bytes.
const LARGEST: u64 = 4 << 30;

/// Group and entry of an attribute, such as `color` and `dark green`.
pub type Attribute = (String, String);

/// A picture, or a grid of four, with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name in the data set.
    pub idx: String,
    /// The file.
    pub image: PathBuf,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// The major subject; empty where it is not known.
    pub major: String,
    /// The concrete subject.
    pub subject: String,
    /// What it was made from; empty where it is not known.
    pub prompt: String,
    /// Pictures along a side of the file: 1, or 2 for a grid of four.
    pub grid: u32,
}

impl Record {
    /// A record out of a JSON object, leniently: the hub's fields or ours, at the top or under `features`. None where it has no picture
    /// or no attribute.
    pub fn parse(json: &Value, root: &Path, grid: u32, taxonomy: &Taxonomy) -> Option<Self> {
        let features = &json["features"];
        let field = |names: &[&str]| -> Option<Value> {
            let places = [features, json];
            let of = |name: &&str| places.iter().find_map(|it| it.get(*name)).cloned();
            names.iter().find_map(of).filter(|value| !value.is_null())
        };
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let image = text(field(&["image_path", "image", "image_file"]));
        let attributes = attributes(&field(&["attributes"])?);
        let subject = field(&["subject", "subjects", "main_subject"]);
        let mut major = text(field(&["major", "major_subject"]));
        let subject = match subject {
            Some(Value::Object(parts)) => {
                let part = |name: &str| text(parts.get(name).cloned());
                if !part("major").is_empty() {
                    major = part("major");
                }
                [part("sub"), part("subject"), part("name")]
                    .into_iter()
                    .find(|it| !it.is_empty())
                    .unwrap_or_default()
            }
            Some(Value::Array(parts)) => {
                let part = |at: usize| text(parts.get(at).cloned());
                if parts.len() > 1 {
                    major = part(0);
                }
                part(parts.len().saturating_sub(1))
            }
            other => text(other),
        };
        if major.is_empty() {
            major = taxonomy.major_of(&subject).unwrap_or_default().to_owned();
        }
        let own = json["grid"].as_u64().filter(|side| (1..=4).contains(side));
        (!image.is_empty() && !attributes.is_empty()).then(|| Self {
            idx: text(field(&["idx", "id"])),
            image: root.join(image),
            attributes,
            major,
            subject,
            prompt: text(field(&["prompt"])),
            grid: own.map_or(grid, |side| side as u32),
        })
    }

    /// Whether two records were made from one prompt.
    pub fn is_sibling(&self, other: &Self) -> bool {
        match self.prompt.is_empty() {
            true => self.image == other.image,
            false => self.prompt == other.prompt || self.image == other.image,
        }
    }
}

/// `[{"color": "dark green"}]`, `{"color": "dark green"}` or `[["color", "dark green"]]`.
fn attributes(value: &Value) -> Vec<Attribute> {
    let mut found = Vec::new();
    let mut pair = |group: &str, entry: &Value| match entry {
        Value::String(entry) => found.push((group.to_owned(), entry.clone())),
        Value::Array(entries) => found.extend(
            entries
                .iter()
                .filter_map(Value::as_str)
                .map(|entry| (group.to_owned(), entry.to_owned())),
        ),
        _ => {}
    };
    match value {
        Value::Object(all) => all.iter().for_each(|(group, entry)| pair(group, entry)),
        Value::Array(all) => {
            for one in all {
                match one {
                    Value::Object(fields) => {
                        fields.iter().for_each(|(group, entry)| pair(group, entry));
                    }
                    Value::Array(two) => {
                        if let [Value::String(group), entry] = two.as_slice() {
                            pair(group, entry);
                        }
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    found
}

/// The records in a file: JSON lines, one array, or one object. Gives the number of those that were left out.
///
/// # Errors
/// When it cannot be read or holds no record.
pub fn read(path: &Path, grid: u32, taxonomy: &Taxonomy) -> Result<(Vec<Record>, usize), Failure> {
    let unread = |cause: &dyn std::fmt::Display| {
        Failure::input(format!(
            "cannot read the records `{}`: {cause}",
            path.display()
        ))
    };
    let there = std::fs::metadata(path).map_err(|cause| unread(&cause))?;
    if !there.is_file() {
        return Err(unread(&"it is not a plain file; give `records.jsonl`"));
    }
    if there.len() > LARGEST {
        return Err(unread(&"it is larger than 4 GiB; give it in parts"));
    }
    let text = base::files::read_to_string(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::InvalidData => unread(&"it is not text; give `records.jsonl`"),
        _ => unread(&cause),
    })?;
    let root = path.parent().unwrap_or(Path::new(""));
    let values: Vec<Value> = match serde_json::from_str(&text) {
        Ok(Value::Array(all)) => all,
        Ok(one) => vec![one],
        Err(_) => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).unwrap_or_default())
            .collect(),
    };
    let all = values.len();
    let records: Vec<Record> = values
        .iter()
        .filter_map(|json| Record::parse(json, root, grid, taxonomy))
        .collect();
    match records.is_empty() {
        true => Err(unread(
            &"it holds no record with `image_path` and `attributes`; give the data set's JSON, or lines of such objects",
        )),
        false => {
            let left_out = all - records.len();
            Ok((records, left_out))
        }
    }
}

/// A picture of a record, one tile of a grid.
///
/// # Errors
/// When it cannot be read.
pub fn picture(image: &Path, grid: u32, tile: u32) -> Result<Image, SystemError> {
    let whole = read_image(image)?;
    Ok(cut(&whole, grid, tile))
}

/// Tile number `tile` of a grid, row by row.
pub fn cut(whole: &Image, grid: u32, tile: u32) -> Image {
    if grid <= 1 {
        return whole.clone();
    }
    let [width, height] = [whole.width / grid, whole.height / grid].map(|side| side.max(1));
    let tile = tile % (grid * grid);
    whole.crop(tile % grid * width, tile / grid * height, width, height)
}

/// Records of one attribute by major and concrete subject; numbers into the list.
pub type Shelf = BTreeMap<String, BTreeMap<String, Vec<usize>>>;

/// All records by attribute.
pub fn shelves(records: &[Record]) -> BTreeMap<Attribute, Shelf> {
    let mut shelves: BTreeMap<Attribute, Shelf> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        for attribute in &record.attributes {
            let shelf = shelves.entry(attribute.clone()).or_default();
            let major = shelf.entry(record.major.clone()).or_default();
            major.entry(record.subject.clone()).or_default().push(at);
        }
    }
    shelves
}

/// The subjects of a shelf.
pub fn tree(shelf: &Shelf) -> Tree {
    let subs = |subs: &BTreeMap<String, Vec<usize>>| subs.keys().cloned().collect();
    shelf
        .iter()
        .map(|(major, it)| (major.clone(), subs(it)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(json: Value) -> Option<Record> {
        Record::parse(&json, Path::new("data"), 2, &Taxonomy::ours().unwrap())
    }

    #[test]
    fn records_of_several_forms() {
        let hub = record(
            json!({"idx": 7, "image_path": "images/00007.png", "features": {
            "attributes": [{"color": "dark green"}, {"lighting": "candle light"}], "subject": "a grey cat", "prompt": "p"}}),
        );
        let hub = hub.unwrap();
        assert_eq!(
            (hub.idx.as_str(), hub.major.as_str(), hub.grid),
            ("7", "animal", 2)
        );
        assert_eq!(hub.image, Path::new("data/images/00007.png"));
        assert_eq!(
            hub.attributes[1],
            ("lighting".into(), "candle light".into())
        );
        let ours = record(
            json!({"idx": 0, "image": "a.png", "grid": 1, "major": "x", "subject": "y",
            "attributes": [["color", "red"]]}),
        );
        let ours = ours.unwrap();
        assert_eq!(
            (ours.major.as_str(), ours.subject.as_str(), ours.grid),
            ("x", "y", 1)
        );
        let nested = record(
            json!({"image": "a.png", "attributes": {"color": ["red", "blue"]}, "subject": ["m", "s"]}),
        );
        assert_eq!(nested.unwrap().attributes.len(), 2);
        assert!(record(json!({"image": "a.png"})).is_none() && record(json!(3)).is_none());
    }

    #[test]
    fn tiles_of_a_grid() {
        let mut whole = Image::filled(4, 4, [0; 3]);
        whole.set(2, 0, [9; 3]);
        let tile = cut(&whole, 2, 1);
        assert_eq!((tile.width, tile.height, tile.pixel(0, 0)), (2, 2, [9; 3]));
        assert_eq!(cut(&whole, 1, 3), whole);
    }
}
