//! Contact sheets: many pictures or clips in one, on white, each with a caption if wanted.

use super::caption::{LINE_HEIGHT, caption_line, text_width};
use super::clip::Clip;
use super::error::MediaError;
use super::image::Image;

/// The longest side of a sheet in pixels.
pub const MAX_SHEET_SIDE: u32 = 16_384;
/// The most pixels of a sheet, all frames together.
const MAX_SHEET_PIXELS: u64 = 1 << 28;
/// How wide a column may become for the sake of its captions, in pixels.
const CAPTION_WIDTH: u32 = 160;

/// How a sheet is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Cells in a row; `None` for a grid as square as possible.
    pub columns: Option<usize>,
    /// White pixels between cells and around them.
    pub gap: u32,
    /// Each pixel of a picture becomes `scale` x `scale`.
    pub scale: u32,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            columns: None,
            gap: 4,
            scale: 1,
        }
    }
}

/// Lays `pictures` out in rows from the upper left. `captions` is empty or has a line for the first cells; columns
/// widen up to 160 pixels for them. Pictures of different sizes are centred in their cells.
///
/// # Errors
/// [`MediaError::Size`] without pictures, with more captions than pictures, or above [`MAX_SHEET_SIDE`].
pub fn sheet(pictures: &[Image], captions: &[&str], layout: &Layout) -> Result<Image, MediaError> {
    let cells: Vec<&Image> = pictures.iter().collect();
    let grid = Grid::new(&cells, captions, layout, 1)?;
    Ok(grid.draw(&cells, captions))
}

/// As [`sheet`] for clips, which advance together at the pace of the first; shorter ones start over.
///
/// # Errors
/// As [`sheet`]; also [`MediaError::Size`] for a clip without frames.
pub fn clip_sheet(clips: &[Clip], captions: &[&str], layout: &Layout) -> Result<Clip, MediaError> {
    if clips.iter().any(|clip| clip.frames.is_empty()) {
        return Err(MediaError::Size(
            "a clip for the sheet has no frames: leave it out".into(),
        ));
    }
    let length = clips.iter().map(|clip| clip.frames.len()).max();
    let length = length.unwrap_or(0);
    let cells_at = |t: usize| -> Vec<&Image> {
        let frame = |clip: &'_ Clip| t % clip.frames.len();
        clips.iter().map(|clip| &clip.frames[frame(clip)]).collect()
    };
    let grid = Grid::new(&cells_at(0), captions, layout, length)?;
    let frames = (0..length)
        .map(|t| grid.draw(&cells_at(t), captions))
        .collect();
    Clip::new(frames, clips.first().map_or(100, |clip| clip.delay_ms))
}

/// Where everything stands, in pixels.
struct Grid {
    columns: u32,
    cell_width: u32,
    picture_height: u32,
    cell_height: u32,
    gap: u32,
    scale: u32,
    width: u32,
    height: u32,
}

impl Grid {
    fn new(
        cells: &[&Image],
        captions: &[&str],
        layout: &Layout,
        frames: usize,
    ) -> Result<Self, MediaError> {
        let count = cells.len();
        if count == 0 || captions.len() > count {
            return Err(MediaError::Size(format!(
                "a sheet of {count} pictures with {} captions cannot be laid out: give pictures, and at most one caption each",
                captions.len()
            )));
        }
        let square = (count as f64).sqrt().ceil() as usize;
        let columns = layout.columns.unwrap_or(square).clamp(1, count);
        let rows = count.div_ceil(columns) as u64;
        let scale = layout.scale.max(1);
        let widest = cells.iter().map(|cell| cell.width).max().unwrap_or(1);
        let highest = cells.iter().map(|cell| cell.height).max().unwrap_or(1);
        let longest = captions.iter().map(|caption| text_width(caption)).max();
        let longest = longest.unwrap_or(0).min(CAPTION_WIDTH);
        let line = if captions.is_empty() { 0 } else { LINE_HEIGHT };

        let cell_width = (u64::from(widest) * u64::from(scale)).max(u64::from(longest));
        let picture_height = u64::from(highest) * u64::from(scale);
        let cell_height = picture_height + u64::from(line);
        let gap = u64::from(layout.gap);
        let width = columns as u64 * (cell_width + gap) + gap;
        let height = rows * (cell_height + gap) + gap;
        let side = u64::from(MAX_SHEET_SIDE);
        if width > side || height > side || width * height * frames as u64 > MAX_SHEET_PIXELS {
            return Err(MediaError::Size(format!(
                "a sheet of {width}x{height} in {frames} frames is too large: use fewer or smaller pictures"
            )));
        }
        Ok(Self {
            columns: columns as u32,
            cell_width: cell_width as u32,
            picture_height: picture_height as u32,
            cell_height: cell_height as u32,
            gap: layout.gap,
            scale,
            width: width as u32,
            height: height as u32,
        })
    }

    fn draw(&self, cells: &[&Image], captions: &[&str]) -> Image {
        let mut sheet = Image::filled(self.width, self.height, [255; 3]);
        for (at, cell) in (0..).zip(cells) {
            let x = self.gap + at % self.columns * (self.cell_width + self.gap);
            let y = self.gap + at / self.columns * (self.cell_height + self.gap);
            let picture = cell.upscale_nearest(self.scale);
            // Later frames of a hand-made clip may be larger than its first: they are cut at the edges.
            let left = self.cell_width.saturating_sub(picture.width) / 2;
            let top = self.picture_height.saturating_sub(picture.height) / 2;
            sheet.paste(&picture, x + left, y + top);
            if let Some(caption) = captions.get(at as usize) {
                let line = caption_line(caption, self.cell_width);
                sheet.paste(&line, x, y + self.picture_height);
            }
        }
        sheet
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_in_rows_with_gaps_on_white() {
        let pictures: Vec<Image> = (0..5).map(|i| Image::filled(8, 8, [i; 3])).collect();
        let whole = sheet(&pictures, &[], &Layout::default()).unwrap();
        assert_eq!((whole.width, whole.height), (3 * 12 + 4, 2 * 12 + 4));
        assert_eq!(whole.pixel(0, 0), [255; 3]);
        assert_eq!(whole.pixel(4, 4), [0; 3]);
        assert_eq!(whole.pixel(4 + 12, 4 + 12), [4; 3]);
        assert_eq!(whole.pixel(4 + 24, 4 + 12), [255; 3]);
    }

    #[test]
    fn captions_widen_the_columns_within_bounds() {
        let pictures = vec![Image::filled(8, 8, [0; 3]); 2];
        let long = "a caption much longer than any cell should become";
        let whole = sheet(&pictures, &["cat", long], &Layout::default()).unwrap();
        assert_eq!(whole.width, 2 * (CAPTION_WIDTH + 4) + 4);
        assert_eq!(whole.height, 8 + LINE_HEIGHT + 8);
        assert!(sheet(&pictures, &["a"; 3], &Layout::default()).is_err());
        assert!(sheet(&[], &[], &Layout::default()).is_err());
    }

    #[test]
    fn clips_advance_together_and_start_over() {
        let clip = |levels: &[u8]| {
            let frames = levels.iter().map(|&v| Image::filled(4, 4, [v; 3]));
            Clip::new(frames.collect(), 70).unwrap()
        };
        let layout = Layout {
            columns: Some(2),
            gap: 0,
            scale: 2,
        };
        let whole = clip_sheet(&[clip(&[1, 2, 3]), clip(&[7, 8])], &[], &layout).unwrap();
        assert_eq!((whole.frames.len(), whole.delay_ms), (3, 70));
        let seen: Vec<_> = whole
            .frames
            .iter()
            .map(|f| [f.pixel(0, 0)[0], f.pixel(8, 0)[0]])
            .collect();
        assert_eq!(seen, [[1, 7], [2, 8], [3, 7]]);
    }

    #[test]
    fn a_sheet_beyond_all_bounds_is_refused() {
        let pictures = vec![Image::filled(100, 100, [0; 3]); 4];
        for (gap, scale) in [(u32::MAX, 1), (0, u32::MAX), (0, 100)] {
            let layout = Layout {
                columns: None,
                gap,
                scale,
            };
            assert!(sheet(&pictures, &[], &layout).is_err());
        }
    }
}
