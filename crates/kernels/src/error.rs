/// A slice whose length does not fit the shape that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` holds {found} values, its shape needs {expected}")]
pub struct ShapeError {
    /// Name of the argument.
    pub name: &'static str,
    /// Values that the shape asks for.
    pub expected: usize,
    /// Values that the slice holds.
    pub found: usize,
}

/// Checks that `name` holds `expected` values.
pub(crate) fn expect(name: &'static str, found: usize, expected: usize) -> Result<(), ShapeError> {
    if found == expected {
        Ok(())
    } else {
        Err(ShapeError {
            name,
            expected,
            found,
        })
    }
}

/// Number of rows of `width` values in `found` values.
pub(crate) fn rows(name: &'static str, found: usize, width: usize) -> Result<usize, ShapeError> {
    let rows = found.checked_div(width).unwrap_or(0);
    expect(name, found, rows * width).map(|()| rows)
}
