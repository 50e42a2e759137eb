//! Where each colour is on a page.

use std::collections::HashMap;

use super::document::colour;
use crate::omnidocbench::cdm::{Drawing, TokenBox};

/// Pixels around the ink.
const MARGIN: i64 = 8;

/// The boxes of the tokens whose colours are on the page, one pixel outside their ink, on the page cut down to its ink and
/// a margin. `None` where there is no such colour. `size` is the page's width and height, `pixel` tells its colours.
pub(super) fn drawing(
    size: [u32; 2],
    pixel: impl Fn(u32, u32) -> [u8; 3],
    visible: &[String],
) -> Option<Drawing> {
    let tokens: HashMap<[u8; 3], usize> = (0..visible.len()).map(|at| (colour(at), at)).collect();
    let mut boxes: Vec<Option<[i64; 4]>> = vec![None; visible.len()];
    let mut page: Option<[i64; 4]> = None;
    for y in 0..size[1] {
        for x in 0..size[0] {
            let pixel = pixel(x, y);
            if is_white(pixel) {
                continue;
            }
            let (x, y) = (i64::from(x), i64::from(y));
            reach(&mut page, x, y);
            if let Some(found) = tokens.get(&pixel).and_then(|&at| boxes.get_mut(at)) {
                reach(found, x, y);
            }
        }
    }
    let [left, top, right, bottom] = page?;
    let (left, top) = (left - MARGIN, top - MARGIN);
    let found: Vec<TokenBox> = visible
        .iter()
        .zip(boxes)
        .filter_map(|(token, bounds)| {
            let [x0, y0, x1, y1] = bounds?;
            Some(TokenBox {
                token: token.clone(),
                bounds: [x0 - left - 1, y0 - top - 1, x1 - left + 1, y1 - top + 1],
            })
        })
        .collect();
    (!found.is_empty()).then_some(Drawing {
        size: [right + MARGIN - left, bottom + MARGIN - top].map(|side| side as usize),
        boxes: found,
    })
}

/// Whether a pixel is white to the official code, which rounds its lightness.
fn is_white([red, green, blue]: [u8; 3]) -> bool {
    let parts = [(red, 19_595), (green, 38_470), (blue, 7_471)];
    let light: u32 = parts
        .iter()
        .map(|(part, weight)| u32::from(*part) * weight)
        .sum();
    (light + 0x8000) >> 16 == 255
}

fn reach(bounds: &mut Option<[i64; 4]>, x: i64, y: i64) {
    let [left, top, right, bottom] = bounds.unwrap_or([x, y, x, y]);
    *bounds = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_a_pixel_outside_the_ink_of_the_cut_page() {
        let visible = ["a", "b", "gone"].map(str::to_owned);
        let pixel = |x, y| match (x, y) {
            (20, 10) | (24, 13) => colour(0),
            (30, 20) => colour(1),
            (31, 21) => [200; 3],
            _ => [255; 3],
        };
        let found = drawing([60, 40], pixel, &visible).unwrap_or_default();
        assert_eq!(found.size, [11 + 16, 11 + 16]);
        let bounds: Vec<[i64; 4]> = found.boxes.iter().map(|found| found.bounds).collect();
        assert_eq!(bounds, [[7, 7, 13, 12], [17, 17, 19, 19]]);
        assert_eq!(drawing([9, 9], |_, _| [255; 3], &visible), None);
    }
}
