//! A formula's boxes to look at.

use base::media::Image;

use super::{FormulaError, render};

/// Colours of neighbouring boxes.
const COLOURS: [[u8; 3]; 6] = [
    [200, 60, 50],
    [40, 110, 190],
    [40, 150, 80],
    [190, 120, 20],
    [130, 70, 170],
    [60, 60, 60],
];

/// The boxes of a formula's tokens as outlines on white, 200 dots per inch.
///
/// # Errors
/// [`FormulaError`] where the formula cannot be set.
pub fn picture(latex: &str) -> Result<Image, FormulaError> {
    let drawing = render(latex)?;
    let [width, height] = drawing.size.map(|side| side.clamp(1, 8192));
    let mut picture = Image::filled(width as u32, height as u32, [255; 3]);
    let mut dot = |x: i64, y: i64, colour: [u8; 3]| {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return;
        };
        if x < width && y < height {
            let at = (y * width + x) * 3;
            if let Some(pixel) = picture.pixels.get_mut(at..at + 3) {
                pixel.copy_from_slice(&colour);
            }
        }
    };
    for (at, token) in drawing.boxes.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let [left, top, right, bottom] = token.bounds;
        for x in left..=right {
            dot(x, top, colour);
            dot(x, bottom, colour);
        }
        for y in top..=bottom {
            dot(left, y, colour);
            dot(right, y, colour);
        }
    }
    Ok(picture)
}
