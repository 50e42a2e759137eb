//! Videos in and out: folders of pictures, GIF, safetensors with a tensor `frames` `[T, 3, H, W]` of bytes.

use std::path::Path;

use base::media::{Clip, Image, read_clip, write_clip};
use base::tensor_file::{TensorFile, Weights};

use super::{LearningError, Result};

/// Milliseconds that a frame of X-MAGICAL stands.
pub const DELAY_MS: u32 = 125;
/// Most bytes of a video.
const MOST: usize = 1 << 28;

/// Reads a video: a folder of pictures in name order, a GIF or animated PNG, or safetensors with `frames` `[T, 3, H, W]` u8.
///
/// # Errors
/// No such file, another kind of file, a tensor of another shape or larger than 256 MiB.
pub fn read_video(path: &Path) -> Result<Clip> {
    if path
        .extension()
        .is_none_or(|ending| ending != "safetensors")
    {
        return Ok(read_clip(path)?);
    }
    let file = Weights::open(path)?;
    let unfit = |reason: String| LearningError::from(file.unfit(reason));
    let shape = file.shape("frames").ok_or_else(|| file.absent("frames"))?;
    let &[count, 3, height, width] = shape else {
        return Err(unfit(format!("`frames` is {shape:?}, not [T, 3, H, W]")));
    };
    let plane = height * width;
    if count == 0 || plane == 0 || count.saturating_mul(plane).saturating_mul(3) > MOST {
        return Err(unfit(format!(
            "`frames` is {shape:?}: empty, or more than 256 MiB"
        )));
    }
    let bytes = file.bytes("frames")?;
    let frames = bytes
        .chunks_exact(3 * plane)
        .map(|frame| {
            let pixels = (0..plane).flat_map(|at| [0, 1, 2].map(|k| frame[k * plane + at]));
            Image::new(width as u32, height as u32, pixels.collect())
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Clip::new(frames, DELAY_MS)?)
}

/// Writes a video: safetensors, GIF or animated PNG, as its ending says.
///
/// # Errors
/// An unknown ending; when the file cannot be written.
pub fn write_video(path: &Path, clip: &Clip) -> Result<()> {
    if path
        .extension()
        .is_none_or(|ending| ending != "safetensors")
    {
        return Ok(write_clip(path, clip, &[])?);
    }
    let Some(first) = clip.frames.first() else {
        return Err(LearningError::invalid("a video needs at least one frame"));
    };
    let mut bytes = Vec::with_capacity(clip.frames.len() * first.pixels.len());
    for frame in &clip.frames {
        for k in 0..3 {
            bytes.extend(frame.pixels.iter().skip(k).step_by(3));
        }
    }
    let shape = [
        clip.frames.len(),
        3,
        first.height as usize,
        first.width as usize,
    ];
    let mut file = TensorFile::new();
    file.bytes("frames", &shape, bytes)?;
    Ok(file.write(path)?)
}

/// The numbers of `wanted` frames spread evenly over `count`, the first and the last among them.
pub fn spread(count: usize, wanted: usize) -> Vec<usize> {
    match (count, wanted) {
        (0, _) | (_, 0) => Vec::new(),
        (_, 1) => vec![count - 1],
        _ => (0..wanted)
            .map(|at| (at * (count - 1) + (wanted - 1) / 2) / (wanted - 1))
            .collect(),
    }
}
