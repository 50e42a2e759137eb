//! The same subjects in three drawing styles, with names in eleven languages.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use super::PackError;
use super::source::Source;
use super::table::{Row, Table, characters};
use base::media::Image;

/// Side of one picture in pixels.
pub const CELL_SIDE: u32 = 32;
/// Cells in a row of a sheet.
pub const SHEET_COLUMNS: u32 = 40;
/// The languages of the names, in the order of [`Subject::names`].
pub const LANGUAGES: [&str; 11] = [
    "en", "zh", "ja", "ko", "fr", "es", "ru", "hi", "ar", "bn", "ur",
];
const HEADER: [&str; 18] = [
    "cell",
    "code",
    "base",
    "skin",
    "category",
    "subcategory",
    "name_en",
    "name_zh",
    "name_ja",
    "name_ko",
    "name_fr",
    "name_es",
    "name_ru",
    "name_hi",
    "name_ar",
    "name_bn",
    "name_ur",
    "keywords_en",
];

macro_rules! embedded {
    ($($name:literal),*) => {
        &[$((
            $name,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/emoji-styles-32/", $name)),
        )),*]
    };
}
static FILES: &[(&str, &[u8])] = embedded!("fluent3d.png", "index.tsv", "noto.png", "twemoji.png");

/// Who drew the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// Google's Noto Emoji: soft shading.
    Noto,
    /// Twitter's Twemoji: flat shapes.
    Twemoji,
    /// Microsoft's Fluent Emoji, the rendered ones.
    Fluent3d,
}

/// A style that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no style `{0}`: use `noto`, `twemoji` or `fluent3d`")]
pub struct UnknownStyle(String);

impl Style {
    /// All styles, in the order of the pack.
    pub const ALL: [Style; 3] = [Style::Noto, Style::Twemoji, Style::Fluent3d];

    /// The name, as typed.
    pub fn name(self) -> &'static str {
        match self {
            Style::Noto => "noto",
            Style::Twemoji => "twemoji",
            Style::Fluent3d => "fluent3d",
        }
    }
}

impl std::fmt::Display for Style {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Style {
    type Err = UnknownStyle;

    fn from_str(text: &str) -> Result<Self, UnknownStyle> {
        let wanted = text.trim().to_lowercase();
        let mut all = Style::ALL.into_iter();
        all.find(|style| style.name() == wanted)
            .ok_or_else(|| UnknownStyle(text.to_owned()))
    }
}

/// One thing that all styles draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its number, and its place on each sheet.
    pub cell: usize,
    /// Code points in hex joined by `-`, without U+FE0F, such as `1f44b-1f3ff`.
    pub code: String,
    /// Code of the plain form; its own for a plain subject.
    pub base: String,
    /// `dark` for the dark-skinned twin of a plain subject.
    pub skin: Option<String>,
    /// Unicode's group, such as `Animals & Nature`.
    pub category: String,
    /// Unicode's subgroup, such as `animal-mammal`.
    pub subcategory: String,
    /// (language, name) in the order of [`LANGUAGES`].
    pub names: [(&'static str, String); 11],
    /// English words that people look for it with.
    pub keywords_en: Vec<String>,
}

impl Subject {
    /// The character or characters.
    pub fn emoji(&self) -> String {
        characters(&self.code)
    }

    /// The name in a language of [`LANGUAGES`].
    pub fn name(&self, language: &str) -> Option<&str> {
        let mut names = self.names.iter();
        names
            .find(|(known, _)| *known == language)
            .map(|(_, name)| name.as_str())
    }
}

/// The pack `emoji-styles-32`: 1,118 subjects in three styles at 32x32 on white.
#[derive(Debug)]
pub struct EmojiPack {
    /// All subjects; the number of each is its `cell`.
    pub subjects: Vec<Subject>,
    source: Source,
    sheets: [OnceLock<Result<Image, PackError>>; 3],
}

impl EmojiPack {
    /// The pack inside the program, parsed on the first call.
    ///
    /// # Errors
    /// [`PackError`] if the program was built with a broken pack.
    pub fn embedded() -> Result<&'static EmojiPack, PackError> {
        static PACK: OnceLock<Result<EmojiPack, PackError>> = OnceLock::new();
        let pack = PACK.get_or_init(|| Self::load(Source::Embedded(FILES)));
        pack.as_ref().map_err(Clone::clone)
    }

    /// A pack of the same layout in `folder`. Sheets are measured now and decoded when asked for.
    ///
    /// # Errors
    /// [`PackError`] with the file and line that is missing or malformed.
    pub fn open(folder: impl AsRef<Path>) -> Result<EmojiPack, PackError> {
        Self::load(Source::Folder(folder.as_ref().to_owned()))
    }

    fn load(source: Source) -> Result<Self, PackError> {
        let text = source.text("index.tsv")?;
        let table = Table::parse(&text, source.label("index.tsv"), &HEADER)?;
        let subjects = parse(&table)?;
        let pack = Self {
            subjects,
            source,
            sheets: Default::default(),
        };
        let (width, height) = pack.sheet_size();
        for style in Style::ALL {
            let name = format!("{style}.png");
            pack.source.check_png(&name, width, height)?;
        }
        Ok(pack)
    }

    /// The 32x32 picture of a subject. The first call for a style decodes its sheet.
    ///
    /// # Errors
    /// [`PackError::OutOfRange`] for a cell beyond the end, [`PackError::Sheet`] for a damaged sheet.
    pub fn image(&self, cell: usize, style: Style) -> Result<Image, PackError> {
        if cell >= self.subjects.len() {
            return Err(PackError::OutOfRange {
                what: "cell",
                number: cell,
                last: self.subjects.len().saturating_sub(1),
            });
        }
        let sheet = self.sheet(style)?;
        let columns = SHEET_COLUMNS as usize;
        let (x, y) = ((cell % columns) as u32, (cell / columns) as u32);
        Ok(sheet.crop(x * CELL_SIDE, y * CELL_SIDE, CELL_SIDE, CELL_SIDE))
    }

    /// The subject written with these characters; U+FE0F does not matter.
    pub fn by_emoji(&self, emoji: &str) -> Option<&Subject> {
        let wanted: String = emoji.chars().filter(|&c| c != '\u{fe0f}').collect();
        let mut subjects = self.subjects.iter();
        subjects.find(|subject| subject.emoji() == wanted)
    }

    /// (plain, dark) twins: the same subject before and after one change.
    pub fn skin_pairs(&self) -> Vec<(&Subject, &Subject)> {
        let plain: HashMap<&str, &Subject> = self
            .subjects
            .iter()
            .filter(|subject| subject.skin.is_none())
            .map(|subject| (subject.code.as_str(), subject))
            .collect();
        let dark = self.subjects.iter().filter(|s| s.skin.is_some());
        dark.filter_map(|dark| Some((*plain.get(dark.base.as_str())?, dark)))
            .collect()
    }

    fn sheet(&self, style: Style) -> Result<&Image, PackError> {
        let (width, height) = self.sheet_size();
        let sheet = self.sheets[style as usize].get_or_init(|| {
            let name = format!("{style}.png");
            self.source.image(&name, width, height)
        });
        sheet.as_ref().map_err(Clone::clone)
    }

    fn sheet_size(&self) -> (u32, u32) {
        let rows = self.subjects.len().div_ceil(SHEET_COLUMNS as usize) as u32;
        (SHEET_COLUMNS * CELL_SIDE, rows * CELL_SIDE)
    }
}

fn parse(table: &Table<'_>) -> Result<Vec<Subject>, PackError> {
    let mut subjects: Vec<Subject> = Vec::new();
    let mut plain: HashMap<String, usize> = HashMap::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for row in table.rows() {
        let subject = parse_subject(&row)?;
        if subject.cell != subjects.len() {
            let cause = format!("cell {} where {} is due", subject.cell, subjects.len());
            return Err(row.wrong(cause));
        }
        if seen.insert(subject.code.clone(), subject.cell).is_some() {
            return Err(row.wrong(format!("the code {} was there before", subject.code)));
        }
        if subject.skin.is_none() {
            plain.insert(subject.code.clone(), subject.cell);
        }
        if !plain.contains_key(&subject.base) {
            return Err(row.wrong(format!("the base {} does not come before", subject.base)));
        }
        subjects.push(subject);
    }
    Ok(subjects)
}

fn parse_subject(row: &Row<'_, '_>) -> Result<Subject, PackError> {
    let mut names = LANGUAGES.map(|language| (language, String::new()));
    for (at, (language, name)) in names.iter_mut().enumerate() {
        *name = row.filled(6 + at, &format!("name in {language}"))?;
    }
    let skin = match row.text(3) {
        "" => None,
        "dark" => Some("dark".to_owned()),
        other => return Err(row.wrong(format!("the skin `{other}` is neither empty nor `dark`"))),
    };
    let keywords = row.text(17).split(',').map(str::trim);
    Ok(Subject {
        cell: row.number(0, "cell")?,
        code: row.code(1, "code")?,
        base: row.code(2, "base")?,
        skin,
        category: row.filled(4, "category")?,
        subcategory: row.filled(5, "subcategory")?,
        names,
        keywords_en: keywords
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "emoji_tests.rs"]
mod tests;
