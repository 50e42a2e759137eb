//! What is asked of a reference, in words: tags, their synonyms, and the tokens that the Q-Former reads.

use std::path::Path;

use base::command::nearest;
use base::rng::Rng;
use engine::text::{TextError, Tokenizer};

use super::SystemError;
use super::taxonomy::Taxonomy;

/// Largest vocabulary file that is read, in bytes.
const LARGEST: u64 = 16 << 20;
/// Longest tag, in characters.
const LONGEST: usize = 200;

/// The Q-Former's tokenizer: BERT's uncased WordPiece between `[CLS]` and `[SEP]`.
#[derive(Debug)]
pub struct TagTokenizer {
    tokenizer: Tokenizer,
    ends: [u32; 2],
}

impl TagTokenizer {
    /// From `vocab.txt` or `tokenizer.json`, or a folder that holds one of them.
    ///
    /// # Errors
    /// [`SystemError`] when there is none or it is another model's.
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let file = match path.is_dir() {
            true => ["vocab.txt", "tokenizer.json"]
                .map(|name| path.join(name))
                .into_iter()
                .find(|file| file.exists())
                .ok_or_else(|| {
                    SystemError::input(format!(
                        "`{}` holds neither `vocab.txt` nor `tokenizer.json`: give the vocabulary of uncased BERT with `--vocab`",
                        path.display()
                    ))
                })?,
            false => path.to_owned(),
        };
        if file.extension().is_some_and(|it| it == "json") {
            return Self::new(Tokenizer::open(&file)?);
        }
        let unread = |cause: std::io::Error| {
            SystemError::input(format!(
                "cannot read the vocabulary `{}`: {cause}; give `vocab.txt` of uncased BERT with `--vocab`",
                file.display()
            ))
        };
        if std::fs::metadata(&file).map_err(unread)?.len() > LARGEST {
            return Err(SystemError::input(format!(
                "`{}` is larger than any vocabulary; give `vocab.txt` of uncased BERT",
                file.display()
            )));
        }
        let bytes = base::files::read(&file).map_err(unread)?;
        let origin = file.display().to_string();
        Self::new(Tokenizer::from_wordpiece(&bytes, &origin)?)
    }

    /// From the pieces of a vocabulary, ids in order.
    ///
    /// # Errors
    /// As [`Tokenizer::from_wordpiece`], and without `[CLS]` and `[SEP]`.
    pub fn from_pieces<T: AsRef<str>>(pieces: &[T]) -> Result<Self, SystemError> {
        let lines: Vec<&str> = pieces.iter().map(AsRef::as_ref).collect();
        let text = lines.join("\n");
        Self::new(Tokenizer::from_wordpiece(text.as_bytes(), "vocabulary")?)
    }

    fn new(tokenizer: Tokenizer) -> Result<Self, SystemError> {
        let ends = ["[CLS]", "[SEP]"].map(|piece| tokenizer.piece_id(piece));
        match ends {
            [Some(begin), Some(end)] => Ok(Self {
                tokenizer,
                ends: [begin, end],
            }),
            _ => Err(SystemError::input(format!(
                "the vocabulary `{}` has no `[CLS]` and `[SEP]`: give `vocab.txt` of uncased BERT",
                tokenizer.origin()
            ))),
        }
    }

    /// Tokens of a tag, `[CLS]` and `[SEP]` around it.
    ///
    /// # Errors
    /// None that is known.
    pub fn encode(&self, tag: &str) -> Result<Vec<u32>, TextError> {
        let mut ids = vec![self.ends[0]];
        ids.extend(self.tokenizer.encode(tag)?);
        ids.push(self.ends[1]);
        Ok(ids)
    }
}

/// The vocabulary of a small Q-Former of our own: the words of a taxonomy's tags and `more`, and letters for all others.
pub fn vocabulary(taxonomy: &Taxonomy, more: &[&str]) -> Vec<String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let mut pieces: Vec<String> = special.map(str::to_owned).to_vec();
    let tags = taxonomy.groups.iter().flat_map(|group| &group.tags);
    let words = tags.flat_map(|tag| tag.split_whitespace());
    let letters = ('a'..='z').flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    let all = words.chain(more.iter().copied()).map(str::to_lowercase);
    for piece in all.chain(letters) {
        if !pieces.contains(&piece) {
            pieces.push(piece);
        }
    }
    pieces
}

/// Whether a tag can be read at all.
///
/// # Errors
/// One line where it is empty or far too long.
pub fn check(tag: &str) -> Result<(), SystemError> {
    match tag.trim().chars().count() {
        0 => Err(SystemError::input(
            "a reference has no tag: say which attribute is wanted, such as `picture.png:color`",
        )),
        1..=LONGEST => Ok(()),
        _ => Err(SystemError::input(format!(
            "a tag may have {LONGEST} characters at most"
        ))),
    }
}

/// A warning for a tag that is none of the taxonomy's; free text is allowed.
pub fn warning(tag: &str, taxonomy: &Taxonomy) -> Option<String> {
    let tag = tag.trim().to_lowercase();
    if taxonomy.group_of(&tag).is_some() {
        return None;
    }
    let known: Vec<&str> = taxonomy
        .groups
        .iter()
        .flat_map(|group| group.tags.iter().map(String::as_str))
        .collect();
    let hint = match nearest(&tag, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let names: Vec<&str> = taxonomy.groups.iter().map(|it| it.name.as_str()).collect();
            format!("the known groups are {}", names.join(", "))
        }
    };
    Some(format!(
        "`{tag}` is not a tag that is known ({hint}); it is used as it is"
    ))
}

/// A word for `group`: one of its tags, drawn, or its first where `augment` is off.
pub fn word_for<'a>(
    taxonomy: &'a Taxonomy,
    group: &'a str,
    augment: bool,
    rng: &mut Rng,
) -> &'a str {
    let tags = taxonomy
        .group(group)
        .map(|group| group.tags.as_slice())
        .unwrap_or_default();
    match tags.first() {
        Some(first) if !augment => first,
        Some(_) => &tags[rng.below(tags.len())],
        None => group,
    }
}
