//! SentencePiece's byte pair encoding: the best-scored pair of neighbours is joined until none is a piece
//! (Kudo and Richardson 2018, arXiv 1808.06226; `bpe_model.cc`). Time O(n log n).

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use tokenizers::normalizer::{NormalizedString, Range};
use tokenizers::{
    Normalizer as _,
    normalizers::precompiled::Precompiled,
    normalizers::replace::{Replace, ReplacePattern},
};

use super::TextError;
use super::added::{AddedTokens, Control};
use super::bytes::{SPACE, byte_piece};

/// Pieces with scores.
pub(super) struct Spm {
    pieces: HashMap<String, (u32, f32)>,
    /// Tokens of the 256 bytes, where the vocabulary has them.
    bytes: Vec<Option<u32>>,
    unk: Option<u32>,
    prefix: Prefix,
    normalizer: Option<Precompiled>,
    remove_extra_whitespaces: bool,
    longest: usize,
}

/// Where a space is put before text, so that words at its beginning look as they do inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Nowhere.
    Never,
    /// At the beginning of a text: SentencePiece.
    Once,
    /// At the beginning and after every added token, where text follows: llama.cpp.
    AfterAdded,
}

/// A run of characters between two neighbours; empty once it is joined to the one before.
struct Symbol {
    start: usize,
    end: usize,
    before: usize,
    after: usize,
}

/// Runs of spaces become one.
fn one_space(text: &mut NormalizedString) -> Result<(), TextError> {
    let runs = ReplacePattern::Regex(" {2,}".to_owned());
    let replace = Replace::new(runs, " ").map_err(TextError::encode)?;
    replace.normalize(text).map_err(TextError::encode)
}

/// No neighbour.
const NONE: usize = usize::MAX;

/// Two neighbours that would make a piece.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    bytes: usize,
}

impl Ord for Pair {
    /// The better score first, then the one further left.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl Spm {
    /// A model of `pieces`, by their text: id and score. What no piece writes becomes bytes, or `unk`.
    pub fn new(pieces: HashMap<String, (u32, f32)>, unk: Option<u32>, byte_fallback: bool) -> Self {
        let byte = |byte: u8| match byte_fallback {
            true => pieces.get(&byte_piece(byte)).map(|&(id, _)| id),
            false => None,
        };
        Self {
            bytes: (0..=255).map(byte).collect(),
            longest: pieces.keys().map(String::len).max().unwrap_or(0),
            pieces,
            unk,
            prefix: Prefix::Never,
            normalizer: None,
            remove_extra_whitespaces: false,
        }
    }

    /// Where a space is put before text.
    pub fn with_prefix(self, prefix: Prefix) -> Self {
        Self { prefix, ..self }
    }

    /// What characters become before anything else, and whether runs of spaces become one.
    pub fn with_normalizer(
        self,
        normalizer: Option<Precompiled>,
        remove_extra_whitespaces: bool,
    ) -> Self {
        Self {
            normalizer,
            remove_extra_whitespaces,
            ..self
        }
    }

    /// The tokens of `text`.
    pub fn encode(
        &self,
        added: &AddedTokens,
        text: &str,
        control: Control<'_>,
    ) -> Result<Vec<u32>, TextError> {
        let mut whole = NormalizedString::from(text);
        if let Some(normalizer) = &self.normalizer {
            normalizer
                .normalize(&mut whole)
                .map_err(TextError::encode)?;
        }
        if self.remove_extra_whitespaces {
            whole.strip();
            one_space(&mut whole)?;
        }
        if self.prefix == Prefix::Once && !whole.is_empty() {
            whole.prepend(" ");
        }
        let original = |start: usize, end: usize| {
            let range = whole.convert_offsets(Range::Normalized(start..end));
            range.map_or((0, usize::MAX), |range| (range.start, range.end))
        };
        let text = whole.get();
        let mut ids = Vec::new();
        let mut begins = self.prefix == Prefix::AfterAdded;
        for piece in added.find(text, false, control, original) {
            match piece.id {
                Some(id) => ids.push(id),
                None => self.encode_part(&text[piece.start..piece.end], begins, &mut ids)?,
            }
            begins = self.prefix == Prefix::AfterAdded && piece.id.is_some();
        }
        Ok(ids)
    }

    /// The tokens of a stretch of text, after a space where it begins one.
    fn encode_part(&self, text: &str, begins: bool, ids: &mut Vec<u32>) -> Result<(), TextError> {
        let sign = SPACE.to_string();
        let mut written = if begins { sign.clone() } else { String::new() };
        written.push_str(&text.replace(' ', &sign));
        for (start, end) in self.join(&written) {
            self.push(&written[start..end], ids)?;
        }
        Ok(())
    }

    /// Joins neighbours as long as there is a pair that is a piece.
    fn join(&self, text: &str) -> Vec<(usize, usize)> {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(i, (start, c))| Symbol {
                start,
                end: start + c.len_utf8(),
                before: i.checked_sub(1).unwrap_or(NONE),
                after: i + 1,
            })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.after = NONE;
        }
        let mut pairs = BinaryHeap::new();
        for left in 1..symbols.len() {
            pairs.extend(self.pair(text, &symbols, left - 1, left));
        }
        while let Some(pair) = pairs.pop() {
            let (left, right) = (&symbols[pair.left], &symbols[pair.right]);
            let stale = left.start == left.end
                || right.start == right.end
                || right.end - left.start != pair.bytes;
            if stale {
                continue;
            }
            let (end, after) = (right.end, right.after);
            symbols[pair.left].end = end;
            symbols[pair.left].after = after;
            symbols[pair.right].start = end;
            if let Some(next) = symbols.get_mut(after) {
                next.before = pair.left;
            }
            let before = symbols[pair.left].before;
            pairs.extend(self.pair(text, &symbols, before, pair.left));
            pairs.extend(self.pair(text, &symbols, pair.left, after));
        }
        let whole = symbols.iter().filter(|symbol| symbol.start < symbol.end);
        whole.map(|symbol| (symbol.start, symbol.end)).collect()
    }

    fn pair(&self, text: &str, symbols: &[Symbol], left: usize, right: usize) -> Option<Pair> {
        let (start, end) = (symbols.get(left)?.start, symbols.get(right)?.end);
        if end - start > self.longest {
            return None;
        }
        let &(_, score) = self.pieces.get(&text[start..end])?;
        Some(Pair {
            score,
            left,
            right,
            bytes: end - start,
        })
    }

    /// The token of a piece, else those of its bytes, else the unknown one.
    fn push(&self, piece: &str, ids: &mut Vec<u32>) -> Result<(), TextError> {
        if let Some(&(id, _)) = self.pieces.get(piece) {
            ids.push(id);
            return Ok(());
        }
        let bytes = piece.bytes().map(|byte| self.bytes[usize::from(byte)]);
        if let Some(bytes) = bytes.collect::<Option<Vec<u32>>>() {
            ids.extend(bytes);
            return Ok(());
        }
        match self.unk {
            // SentencePiece joins neighbours that are unknown.
            Some(unk) if ids.last() == Some(&unk) => Ok(()),
            Some(unk) => {
                ids.push(unk);
                Ok(())
            }
            None => Err(TextError::encode(format!(
                "the vocabulary cannot write `{piece}`"
            ))),
        }
    }
}
