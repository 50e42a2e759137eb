use crate::error::ShapeError;

/// Why the inputs of a kernel that takes numbers of rows or settings do not fit.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InputError {
    /// A slice of the wrong length.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A number of a row or class that is not there.
    #[error("`{name}` holds {found} at {place}, which is not in 0..{limit}")]
    Index {
        /// Name of the argument.
        name: &'static str,
        /// Where in it.
        place: usize,
        /// What is there.
        found: i64,
        /// How many rows or classes there are.
        limit: usize,
    },
    /// A setting outside of its range.
    #[error("`{name}` must be {range}, not {found}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it is.
        found: f64,
    },
}

/// `found` as a number below `limit`.
pub(crate) fn index(
    name: &'static str,
    place: usize,
    found: i64,
    limit: usize,
) -> Result<usize, InputError> {
    let inside = usize::try_from(found).ok().filter(|&index| index < limit);
    inside.ok_or(InputError::Index {
        name,
        place,
        found,
        limit,
    })
}
