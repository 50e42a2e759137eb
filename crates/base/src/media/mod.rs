//! Pictures and clips: reading, writing, drawing captions and laying out sheets.
//!
//! Everything here works on [`Image`], 8-bit RGB without alpha. Files are untrusted: reading is bounded in bytes,
//! pixels and frames, and never panics. Writing is all or nothing ([`crate::files`]) and gives the same bytes each time.

mod bicubic;
pub mod caption;
mod clip;
mod encode;
mod error;
mod exif;
mod gif_comment;
mod image;
mod palette;
mod png_chunks;
pub mod provenance;
mod read;
mod read_clip;
pub mod sheet;
mod texts;
mod webp_frames;
mod webp_lossless;
mod write;

pub use bicubic::bicubic;
pub use clip::Clip;
pub use encode::{
    apng_bytes, data_address, gif_bytes, jpeg_bytes, png_bytes, png_bytes_with_alpha, webp_bytes,
};
pub use error::MediaError;
pub use image::Image;
pub use read::{MAX_BYTES, MAX_SIDE, Still, decode_still, read_image, read_still};
pub use read_clip::{
    MAX_CLIP_PIXELS, MAX_FRAMES, clip_from_strip, decode_clip, each_frame, read_clip,
};
pub use texts::{MAX_TEXT, read_text};
pub use write::{CLIP_EXTENSIONS, PICTURE_EXTENSIONS, write_clip, write_image};
