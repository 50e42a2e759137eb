//! Finding the brace that closes another.

use thiserror::Error;

/// A command or group that is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BraceError {
    /// A group without an end.
    #[error("a group that opens with `{0}` never closes")]
    Open(String),
    /// A command without its argument.
    #[error("`{0}` lacks its argument")]
    Argument(String),
}

/// Where the bracket that opens at `start` closes.
pub(super) fn close_of<T: AsRef<str>>(
    tokens: &[T],
    start: usize,
    (open, close): (&str, &str),
) -> Result<usize, BraceError> {
    let mut depth = 0_isize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        let token = token.as_ref();
        if token == open {
            depth += 1;
        } else if token == close {
            depth -= 1;
            if depth == 0 {
                return Ok(at);
            }
        }
    }
    match depth > 0 {
        true => Err(BraceError::Open(open.into())),
        false => Err(BraceError::Argument(open.into())),
    }
}
