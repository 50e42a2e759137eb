//! Annotated pages: the ground truth as the data set stores it, read one page at a time.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Element, Fine, Kind};

/// Attributes of a page or a block, by name.
pub type Attributes = Map<String, Value>;

/// A block of a page: annotated, or cut out of a prediction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// `category_type`: `text_block`, `table`…, of predictions a [`Kind`]'s name.
    pub category: String,
    /// `fine_category_type`, where it has one.
    pub fine: Option<String>,
    /// Place in the reading order.
    pub order: Option<f64>,
    /// `anno_id`, as text.
    pub id: Option<String>,
    /// Its text.
    pub text: Option<String>,
    /// Its formula, of tables their LaTeX form.
    pub latex: Option<String>,
    /// Its table.
    pub html: Option<String>,
    /// What was predicted, or found in a ground truth that is markdown.
    pub content: Option<String>,
    /// First and last character in a prediction.
    pub position: Option<[i64; 2]>,
    /// Attributes; of merged blocks none.
    pub attribute: Attributes,
    /// Corners: x and y in pixels, from the upper left one clockwise.
    pub poly: Vec<f64>,
    /// Whether detection leaves it out.
    pub ignore: bool,
    /// Parts that are annotated too (`line_with_spans`).
    pub spans: Vec<Block>,
}

/// A page with its annotations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// File name of its picture, without folders.
    pub image: String,
    /// What is said of the page as a whole.
    pub attribute: Attributes,
    /// Its blocks.
    pub blocks: Vec<Block>,
    /// Pairs of `anno_id` of paragraphs that the layout tore apart.
    pub truncated: Vec<[String; 2]>,
    /// Width and height of the picture in pixels, where known.
    pub size: [Option<f64>; 2],
}

/// Why the ground truth cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The file cannot be opened.
    #[error("cannot read `{}`: {source}: check the path of the ground truth", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is no list of pages.
    #[error("`{}` is not a whole JSON list of pages: {source}: fetch it again or check how it was written", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}

/// Reads the pages of a ground-truth file one by one and gives each to `each`, which may end the reading with `false`.
///
/// The file is a JSON list of pages; a byte order mark before it is passed over. Whatever of a page has another type than
/// it should counts as absent.
///
/// # Errors
/// [`PageError`] when the file cannot be opened, or as soon as it turns out to be no list of objects; pages before that
/// place were given away already.
pub fn read_pages(path: &Path, each: impl FnMut(Page) -> bool) -> Result<(), PageError> {
    let open = |source| PageError::Open {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(open)?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    skip_mark(&mut reader).map_err(open)?;
    let mut json = serde_json::Deserializer::from_reader(reader);
    let mut stopped = false;
    let pages = Pages {
        each,
        stopped: &mut stopped,
    };
    let read = pages.deserialize(&mut json);
    match read.and_then(|()| if stopped { Ok(()) } else { json.end() }) {
        Err(source) if !stopped => Err(PageError::Json {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn skip_mark(reader: &mut BufReader<std::fs::File>) -> std::io::Result<()> {
    use std::io::BufRead;
    if reader.fill_buf()?.starts_with(b"\xEF\xBB\xBF") {
        reader.consume(3);
    }
    Ok(())
}

/// All of a list's pages, as they come.
struct Pages<'a, F> {
    each: F,
    stopped: &'a mut bool,
}

impl<'de, F: FnMut(Page) -> bool> DeserializeSeed<'de> for Pages<'_, F> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Page) -> bool> Visitor<'de> for Pages<'_, F> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of pages")
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(page) = list.next_element::<Map<String, Value>>()? {
            if !(self.each)(Page::read(&page)) {
                *self.stopped = true;
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Page {
    /// A page without its blocks, from its JSON object.
    pub fn read_head(json: &Map<String, Value>) -> Self {
        Self::read_with(json, |_| Vec::new())
    }

    /// A page from its JSON object.
    pub fn read(json: &Map<String, Value>) -> Self {
        Self::read_with(json, blocks)
    }

    fn read_with(json: &Map<String, Value>, blocks: impl Fn(Option<&Value>) -> Vec<Block>) -> Self {
        let info = json.get("page_info").and_then(Value::as_object);
        let field = |name: &str| info.and_then(|info| info.get(name));
        let path = field("image_path").and_then(text_of).unwrap_or_default();
        let relations = json
            .get("extra")
            .and_then(|extra| extra.get("relation"))
            .and_then(Value::as_array);
        Self {
            image: path.rsplit(['/', '\\']).next().unwrap_or("").to_owned(),
            attribute: field("page_attribute")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            blocks: blocks(json.get("layout_dets")),
            truncated: relations.into_iter().flatten().filter_map(torn).collect(),
            size: ["width", "height"].map(|name| field(name).and_then(Value::as_f64)),
        }
    }
}

/// A relation that says that a paragraph was torn apart.
fn torn(relation: &Value) -> Option<[String; 2]> {
    let kind = relation.get("relation_type")?.as_str()?;
    let end = |name| relation.get(name).and_then(text_of);
    (kind == "truncated").then_some([end("source_anno_id")?, end("target_anno_id")?])
}

fn blocks(list: Option<&Value>) -> Vec<Block> {
    let list = list.and_then(Value::as_array);
    let objects = list.into_iter().flatten().filter_map(Value::as_object);
    objects.map(Block::read).collect()
}

impl Block {
    /// A block from its JSON object.
    pub fn read(json: &Map<String, Value>) -> Self {
        let get = |name: &str| json.get(name);
        let numbers = |name: &str| -> Option<Vec<f64>> {
            get(name)?.as_array()?.iter().map(Value::as_f64).collect()
        };
        let position = numbers("position");
        Self {
            category: get("category_type").and_then(text_of).unwrap_or_default(),
            fine: get("fine_category_type")
                .and_then(text_of)
                .filter(|fine| !fine.is_empty()),
            order: get("order").and_then(Value::as_f64),
            id: get("anno_id").and_then(text_of),
            text: get("text").and_then(text_of),
            latex: get("latex").and_then(text_of),
            html: get("html").and_then(text_of),
            content: get("content").and_then(text_of),
            position: position.and_then(|at| match at[..] {
                [start, end] => Some([start as i64, end as i64]),
                _ => None,
            }),
            attribute: get("attribute")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            poly: numbers("poly").unwrap_or_default(),
            ignore: get("ignore").and_then(Value::as_bool).unwrap_or(false),
            spans: blocks(get("line_with_spans")),
        }
    }
}

impl From<&Element> for Block {
    fn from(element: &Element) -> Self {
        Self {
            category: element.kind.name().to_owned(),
            fine: element.fine.map(|fine| fine.name().to_owned()),
            content: Some(element.content.clone()),
            position: Some(element.position.map(|at| at as i64)),
            ..Self::default()
        }
    }
}

impl Block {
    /// Whether it is an inline formula of a prediction.
    pub(crate) fn is_inline(&self) -> bool {
        self.fine.as_deref() == Some(Fine::EquationInline.name())
    }

    /// Whether it is a display formula, or a candidate for one.
    pub(crate) fn is_formula(&self) -> bool {
        self.category == Kind::EquationIsolated.name()
    }
}

/// A text, or a number as one.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_one_by_one_and_odd_fields_pass() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gt.json");
        let page = r#"{"page_info":{"image_path":"a\\b/c.jpg"},"layout_dets":[{"category_type":"title","order":"x",
            "anno_id":3,"text":7,"poly":[1,2,3]}, 5],"extra":{"relation":[{"relation_type":"truncated",
            "source_anno_id":1,"target_anno_id":"2"},{"relation_type":"parent_son"},{}]}}"#;
        std::fs::write(&path, format!("\u{feff}[{page},\r\n{page}]")).unwrap();
        let mut seen = Vec::new();
        read_pages(&path, |page| {
            seen.push(page);
            true
        })
        .unwrap();
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].image.as_str(), seen[0].blocks.len()), ("c.jpg", 1));
        assert_eq!(seen[0].truncated, [["1".to_owned(), "2".to_owned()]]);
        let block = &seen[0].blocks[0];
        assert_eq!((block.text.as_deref(), block.order), (Some("7"), None));

        std::fs::write(&path, format!("[{page},{}", &page[..60])).unwrap();
        let mut count = 0;
        let error = read_pages(&path, |_| {
            count += 1;
            true
        });
        assert!(matches!(error, Err(PageError::Json { .. })) && count == 1);
    }
}
