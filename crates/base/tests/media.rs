//! Animated WebP against libwebp's animation decoder.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use base::media::{clip_from_strip, read_clip, read_image};

/// Twenty animations with partial frames, every disposal and blending, lossless and lossy. The strips beside them were
/// decoded by Pillow 13.0 (libwebp) and laid on white.
#[test]
fn animated_webp_is_composited_as_libwebp_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/webp");
    for i in 0..20 {
        let found = read_clip(folder.join(format!("{i:02}.webp"))).unwrap();
        let strip = read_image(folder.join(format!("{i:02}.png"))).unwrap();
        let wanted = clip_from_strip(&strip, found.frames.len()).unwrap();
        for (at, (found, wanted)) in found.frames.iter().zip(&wanted.frames).enumerate() {
            let pairs = found.pixels.iter().zip(&wanted.pixels);
            let off: Vec<u8> = pairs.map(|(a, b)| a.abs_diff(*b)).collect();
            let mean = off.iter().map(|&d| f64::from(d)).sum::<f64>() / off.len() as f64;
            let most = off.iter().max().unwrap();
            // Lossy frames are upsampled and converted with other roundings.
            assert!(
                mean < 1.0 && *most <= 24,
                "{i:02} frame {at}: {mean:.2}, {most}"
            );
        }
    }
}
