//! Added tokens: pieces of text that are a token of their own before anything else happens, among them the control
//! tokens of chat templates.

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::{AddedToken, NormalizedString, Token, normalizer::Range};

use super::TextError;

/// Which control tokens may come out of a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Control<'a> {
    /// None: all of the text is text.
    Never,
    /// Every one that is written in it.
    Parse,
    /// Those that cover none of these byte offsets, in ascending order: characters that a user wrote.
    Outside(&'a [usize]),
}

impl Control<'_> {
    /// Whether a control token may cover bytes `start..end`.
    fn allows(self, start: usize, end: usize) -> bool {
        match self {
            Self::Never => false,
            Self::Parse => true,
            Self::Outside(user) => {
                let first = user.partition_point(|&at| at < start);
                user.get(first).is_none_or(|&at| at >= end)
            }
        }
    }
}

/// One added token: where it is looked for and what it takes with it.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub id: u32,
    pub token: AddedToken,
    /// Its text after the normalizer, for tokens that are looked for there.
    pub pattern: String,
    /// Control tokens come only out of template text.
    pub control: bool,
}

/// All added tokens of a vocabulary.
#[derive(Clone, Debug, Default)]
pub(super) struct AddedTokens {
    tokens: Vec<Added>,
    /// Looked for in the text as it is, and in the normalized text: a matcher and its tokens' indices.
    stages: [Option<(AhoCorasick, Vec<usize>)>; 2],
}

/// A stretch of text that became a token, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub id: Option<u32>,
    pub start: usize,
    pub end: usize,
}

impl AddedTokens {
    /// Added tokens `tokens`, ready to be looked for.
    pub fn new(mut tokens: Vec<Added>, origin: &str) -> Result<Self, TextError> {
        tokens.retain(|added| !added.pattern.is_empty());
        tokens.sort_by_key(|added| added.id);
        let stage = |normalized: bool| {
            let indices: Vec<usize> = (0..tokens.len())
                .filter(|&i| tokens[i].token.normalized == normalized)
                .collect();
            if indices.is_empty() {
                return Ok(None);
            }
            let patterns = indices.iter().map(|&i| tokens[i].pattern.as_str());
            let matcher = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(patterns)
                .map_err(|cause| TextError::malformed(origin, cause))?;
            Ok(Some((matcher, indices)))
        };
        let stages = [stage(false)?, stage(true)?];
        Ok(Self { tokens, stages })
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Added> {
        self.tokens.iter()
    }

    /// Whether `id` is a special token of the vocabulary: no part of a decoded text.
    pub fn is_special(&self, id: u32) -> bool {
        let found = self.tokens.binary_search_by_key(&id, |added| added.id);
        found.is_ok_and(|at| self.tokens[at].token.special)
    }

    /// Whether `id` is a control token that is written `text`.
    pub fn is_control(&self, id: u32, text: &str) -> bool {
        let found = self.tokens.binary_search_by_key(&id, |added| added.id);
        found.is_ok_and(|at| self.tokens[at].control && self.tokens[at].token.content == text)
    }

    /// Tokens whose text `source` mentions and which look like markers (`<…>`, `[…]`) become control tokens.
    pub fn protect(&mut self, source: &str) {
        for added in &mut self.tokens {
            let text = added.token.content.as_str();
            let marker = (text.starts_with('<') && text.ends_with('>'))
                || (text.starts_with('[') && text.ends_with(']'));
            added.control |= marker && source.contains(text);
        }
    }

    /// Cuts `text` at added tokens. `normalized` says in which form the text is; `original` maps a byte range of
    /// `text` to the text as it was given.
    pub fn find(
        &self,
        text: &str,
        normalized: bool,
        control: Control<'_>,
        original: impl Fn(usize, usize) -> (usize, usize),
    ) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut done = 0;
        let plain = |pieces: &mut Vec<Piece>, start: usize, end: usize| {
            if start < end {
                pieces.push(Piece {
                    id: None,
                    start,
                    end,
                });
            }
        };
        if let Some((matcher, indices)) = &self.stages[usize::from(normalized)] {
            for found in matcher.find_iter(text) {
                let added = &self.tokens[indices[found.pattern().as_usize()]];
                let (mut start, mut end) = (found.start(), found.end());
                if added.control {
                    let (from, to) = original(start, end);
                    if !control.allows(from, to) {
                        continue;
                    }
                }
                let inside = added.token.single_word
                    && (text[..start].chars().next_back().is_some_and(is_word)
                        || text[end..].chars().next().is_some_and(is_word));
                if inside || start < done {
                    continue;
                }
                if added.token.lstrip {
                    start = text[done..start].trim_end().len() + done;
                }
                if added.token.rstrip {
                    end = text.len() - text[end..].trim_start().len();
                }
                plain(&mut pieces, done, start);
                pieces.push(Piece {
                    id: Some(added.id),
                    start,
                    end,
                });
                done = end;
            }
        }
        plain(&mut pieces, done, text.len());
        pieces
    }

    /// [`AddedTokens::find`] for a part of a text inside a pipeline of the `tokenizers` crate.
    pub fn split(
        &self,
        part: &NormalizedString,
        normalized: bool,
        control: Control<'_>,
    ) -> Vec<(NormalizedString, Option<Vec<Token>>)> {
        let shift = part.offsets_original().0;
        let original = |start: usize, end: usize| match normalized {
            false => (start + shift, end + shift),
            true => match part.convert_offsets(Range::Normalized(start..end)) {
                Some(range) => (range.start + shift, range.end + shift),
                None => (0, usize::MAX),
            },
        };
        let pieces = self.find(part.get(), normalized, control, original);
        let slice = |piece: Piece| {
            let slice = part.slice(Range::Normalized(piece.start..piece.end))?;
            let tokens = piece
                .id
                .map(|id| vec![Token::new(id, String::new(), (0, 0))]);
            Some((slice, tokens))
        };
        pieces.into_iter().filter_map(slice).collect()
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
