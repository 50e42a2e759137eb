//! Results drawn into pictures that people look at.

use base::media::caption::{LINE_HEIGHT, draw_text, text_width};
use base::media::{Image, MediaError};

use super::detect::Detection;
use super::pipeline::Guess;

/// Longest side of a drawn picture.
const SIDE: u32 = 1024;
/// Shortest width of a picture with a table below.
const WIDTH: u32 = 320;
const INK: [u8; 3] = [30, 30, 30];
const BAR: [u8; 3] = [70, 130, 200];
const PAPER: [u8; 3] = [250, 250, 250];

/// A colour that neighbours in a list do not share.
pub fn colour(class: usize) -> [u8; 3] {
    // Steps of the golden angle around the hues.
    let hue = (class as f32 * 0.618_034).fract() * 6.0;
    let value = if class.is_multiple_of(2) {
        230.0
    } else {
        180.0
    };
    let ramp = |offset: f32| {
        let at = (hue + offset) % 6.0;
        let share = (2.0 - (at - 3.0).abs()).clamp(0.0, 1.0);
        (value * (0.15 + 0.85 * (1.0 - share))) as u8
    };
    [ramp(0.0), ramp(2.0), ramp(4.0)]
}

/// The picture in a size that is good to look at.
pub fn shown(picture: &Image) -> Image {
    let most = picture.width.max(picture.height);
    if most > SIDE {
        let scaled = |side: u32| (u64::from(side) * u64::from(SIDE) / u64::from(most)) as u32;
        return picture.resize(scaled(picture.width), scaled(picture.height));
    }
    match WIDTH / picture.width.max(1) {
        0 | 1 => picture.clone(),
        times => picture.upscale_nearest(times.min((SIDE / most).max(1))),
    }
}

/// The picture with the likeliest classes below it.
pub fn classes(picture: &Image, guesses: &[Guess]) -> Image {
    let picture = shown(picture);
    let width = picture.width.max(WIDTH);
    let row = LINE_HEIGHT + 6;
    let height = picture.height + row * guesses.len() as u32 + 8;
    let mut page = Image::filled(width, height, PAPER);
    page.paste(&picture, (width - picture.width) / 2, 0);
    for (at, guess) in (0..).zip(guesses) {
        let top = picture.height + 6 + at * row;
        let length = (guess.probability.clamp(0.0, 1.0) * (width - 16) as f32) as u32;
        fill(&mut page, [8, top + LINE_HEIGHT, length.max(1), 3], BAR);
        let text = format!("{:5.1} %  {}", 100.0 * guess.probability, guess.name);
        draw_text(&mut page, 8, top, &text, INK);
    }
    page
}

fn fill(picture: &mut Image, [x, y, width, height]: [u32; 4], colour: [u8; 3]) {
    for row in y..y.saturating_add(height).min(picture.height) {
        for column in x..x.saturating_add(width).min(picture.width) {
            picture.set(column, row, colour);
        }
    }
}

fn tint(picture: &mut Image, x: u32, y: u32, colour: [u8; 3]) {
    let below = picture.pixel(x, y);
    let mixed =
        std::array::from_fn(|at| (u16::from(below[at]) / 2 + u16::from(colour[at]) / 2) as u8);
    picture.set(x, y, mixed);
}

/// The picture with a frame, a name and where there is one a mask for each thing; boxes are in its pixels.
pub fn detections(picture: &Image, found: &[Detection], name: impl Fn(usize) -> String) -> Image {
    let mut page = picture.clone();
    let thick = (picture.width.max(picture.height) / 400).clamp(1, 6);
    for one in found.iter().rev() {
        let colour = colour(one.label);
        if let Some(mask) = &one.mask {
            let places = mask.iter().enumerate().filter(|(_, inside)| **inside);
            for (at, _) in places {
                let at = at as u32;
                tint(&mut page, at % picture.width, at / picture.width, colour);
            }
        }
        let [left, top, right, bottom] = one.corners.map(|at| at.max(0.0) as u32);
        let (wide, high) = (right.saturating_sub(left), bottom.saturating_sub(top));
        fill(&mut page, [left, top, wide, thick], colour);
        fill(
            &mut page,
            [left, bottom.saturating_sub(thick), wide, thick],
            colour,
        );
        fill(&mut page, [left, top, thick, high], colour);
        fill(
            &mut page,
            [right.saturating_sub(thick), top, thick, high],
            colour,
        );
        let text = format!("{} {:.0} %", name(one.label), 100.0 * one.score);
        let line = top.saturating_sub(LINE_HEIGHT);
        fill(
            &mut page,
            [left, line, text_width(&text) + 4, LINE_HEIGHT],
            colour,
        );
        draw_text(&mut page, left + 2, line, &text, [255; 3]);
    }
    page
}

/// The picture tinted by class, with a legend of the largest classes below.
pub fn segments(picture: &Image, classes: &[usize], name: impl Fn(usize) -> String) -> Image {
    let mut page = picture.clone();
    let mut areas = std::collections::BTreeMap::<usize, usize>::new();
    for (at, class) in classes.iter().enumerate() {
        let at = at as u32;
        tint(
            &mut page,
            at % picture.width,
            at / picture.width,
            colour(*class),
        );
        *areas.entry(*class).or_default() += 1;
    }
    let mut largest: Vec<(usize, usize)> = areas.into_iter().collect();
    largest.sort_by_key(|(class, area)| (usize::MAX - area, *class));
    largest.truncate(8);
    let row = LINE_HEIGHT + 2;
    let width = page.width.max(WIDTH);
    let mut whole = Image::filled(width, page.height + row * largest.len() as u32 + 6, PAPER);
    whole.paste(&page, (width - page.width) / 2, 0);
    for (at, (class, area)) in (0..).zip(largest) {
        let top = page.height + 4 + at * row;
        fill(&mut whole, [8, top + 2, 12, 12], colour(class));
        let share = 100.0 * area as f32 / classes.len().max(1) as f32;
        draw_text(
            &mut whole,
            26,
            top,
            &format!("{share:5.1} %  {}", name(class)),
            INK,
        );
    }
    whole
}

/// A map of values as a picture from dark to bright, each value a square.
///
/// # Errors
/// When there are no values.
pub fn heat(values: &[f32], [height, width]: [usize; 2]) -> Result<Image, MediaError> {
    let (low, high) = values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
            (low.min(*v), high.max(*v))
        });
    let range = (high - low).max(f32::MIN_POSITIVE);
    let pixels = values
        .iter()
        .flat_map(|value| {
            let at = ((value - low) / range).clamp(0.0, 1.0);
            let ramp = |from: f32| ((at * 3.0 - from).clamp(0.0, 1.0) * 255.0) as u8;
            [ramp(0.0), ramp(1.0), ramp(2.0)]
        })
        .collect();
    let picture = Image::new(width as u32, height as u32, pixels)?;
    let most = height.max(width).max(1) as u32;
    Ok(picture.upscale_nearest((512 / most).max(1)))
}
