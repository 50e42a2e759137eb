//! A drawn formula: where each token's ink is.

/// Where one token's ink is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBox {
    /// The token, as [`super::Coloured::visible`] names it.
    pub token: String,
    /// Left, top, right and bottom pixel, one pixel outside the ink.
    pub bounds: [i64; 4],
}

/// A formula's picture as the comparison sees it: 200 dots per inch, 8 pixels of margin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Boxes of the tokens that left ink, in the order of the formula.
    pub boxes: Vec<TokenBox>,
}
