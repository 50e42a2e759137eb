//! Annotated pages: the ground truth as the data set stores it, read one page at a time.

mod lenient;
mod read;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
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
    /// Whether it is marked to be left out (v1.6).
    pub ignore: bool,
    /// Attributes; of merged blocks none.
    pub attribute: Arc<Attributes>,
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

pub use read::{Pages, read_pages};

impl Page {
    /// A page without its blocks, from its JSON object.
    pub fn read_head(json: &Map<String, Value>) -> Self {
        let head: Map<String, Value> = json
            .iter()
            .filter(|(name, _)| *name != "layout_dets")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self::read(&head)
    }

    /// A page from its JSON object. Whatever has another type than it should counts as absent.
    pub fn read(json: &Map<String, Value>) -> Self {
        Self::deserialize(json).unwrap_or_default()
    }
}

impl Block {
    /// A block from its JSON object. Whatever has another type than it should counts as absent.
    pub fn read(json: &Map<String, Value>) -> Self {
        Self::deserialize(json).unwrap_or_default()
    }
}

impl From<Element> for Block {
    fn from(element: Element) -> Self {
        Self {
            category: element.kind.name().to_owned(),
            fine: element.fine.map(|fine| fine.name().to_owned()),
            content: Some(element.content),
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

    #[test]
    fn pages_that_no_piece_holds_whole_are_read_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gt.json");
        // Lengths that grow let a piece end at any place in a page; one page is longer than several pieces.
        let length = |at: usize| if at == 700 { 1_000_000 } else { at };
        let page = |at: usize| {
            let text = "é\\n".repeat(length(at) / 4);
            format!(
                r#"{{"page_info":{{"image_path":"{at}.jpg"}},"layout_dets":[{{"text":"{text}"}}]}}"#
            )
        };
        let pages: Vec<String> = (0..1500).map(page).collect();
        let whole = format!("[{} ]\n\n", pages.join(" ,\n"));
        std::fs::write(&path, &whole).unwrap();
        let mut count = 0;
        read_pages(&path, |page| {
            assert_eq!(page.image, format!("{count}.jpg"));
            let text = page.blocks[0].text.as_deref().unwrap();
            assert_eq!(text.chars().count(), length(count) / 4 * 2);
            count += 1;
            true
        })
        .unwrap();
        assert_eq!(count, 1500);
        for broken in [&whole[..whole.len() - 4], &format!("{whole}]")] {
            std::fs::write(&path, broken).unwrap();
            let error = read_pages(&path, |_| true).unwrap_err();
            assert!(matches!(error, PageError::Json { .. }), "{error}");
        }
    }
}
