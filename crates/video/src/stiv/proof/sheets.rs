//! The pictures of the report.

use base::media::sheet::{Layout, clip_sheet, sheet};
use base::media::{Clip, Image, MediaError, gif_bytes};

use super::draw::frame;
use crate::stiv::clips::FRAMES;
use crate::stiv::data::SIZE;

/// Pairs on a sheet of pictures.
const CELLS: usize = 24;
const COLUMNS: usize = 6;
const GAP: u32 = 2;
/// Each pixel becomes two by two.
const SCALE: u32 = 2;
/// Milliseconds that a frame stands.
const DELAY_MS: u32 = 125;

/// Cells of pictures side by side, one from each of `columns`, with a caption below: of all that are there, a few at even
/// distances.
pub(super) fn pictures(
    captions: &[String],
    columns: &[Vec<Vec<f32>>],
) -> Result<Image, MediaError> {
    let side = SIZE as u32;
    let mut cells = Vec::new();
    let count = captions.len().min(CELLS);
    let shown: Vec<usize> = (0..count)
        .map(|cell| cell * captions.len() / count)
        .collect();
    for &at in &shown {
        let width = columns.len() as u32 * (side + GAP) - GAP;
        let mut cell = Image::filled(width, side, [255; 3]);
        for (column, pictures) in (0..).zip(columns) {
            let picture = Image::from_unit(&pictures[at], side, side)?;
            cell.paste(&picture, column * (side + GAP), 0);
        }
        cells.push(cell);
    }
    let captions: Vec<&str> = shown.iter().map(|&at| captions[at].as_str()).collect();
    let layout = Layout {
        columns: Some(COLUMNS),
        gap: 8,
        scale: SCALE,
    };
    sheet(&cells, &captions, &layout)
}

/// Clips `[3, 16, 32, 32]` as a moving sheet (GIF), `columns` in a row.
pub(super) fn clips(
    clips: &[Vec<f32>],
    captions: &[&str],
    columns: usize,
) -> Result<Vec<u8>, MediaError> {
    let side = SIZE as u32;
    let shape = [3, FRAMES, SIZE, SIZE];
    let clip = |values: &Vec<f32>| -> Result<Clip, MediaError> {
        let frames = (0..FRAMES).map(|at| Image::from_unit(&frame(values, shape, at), side, side));
        Clip::new(frames.collect::<Result<_, _>>()?, DELAY_MS)
    };
    let clips: Vec<Clip> = clips.iter().map(clip).collect::<Result<_, _>>()?;
    let layout = Layout {
        columns: Some(columns),
        gap: 4,
        scale: SCALE,
    };
    gif_bytes(&clip_sheet(&clips, captions, &layout)?)
}

/// Clips of any `shape` as strips, one below the other, frames from left to right.
pub(super) fn strips(clips: &[Vec<f32>], shape: [usize; 4]) -> Result<Image, MediaError> {
    let [_, frames, height, width] = shape;
    let pictures: Vec<Image> = clips
        .iter()
        .flat_map(|clip| (0..frames).map(move |at| frame(clip, shape, at)))
        .map(|values| Image::from_unit(&values, width as u32, height as u32))
        .collect::<Result<_, _>>()?;
    let layout = Layout {
        columns: Some(frames),
        gap: 2,
        scale: SCALE,
    };
    sheet(&pictures, &[], &layout)
}
