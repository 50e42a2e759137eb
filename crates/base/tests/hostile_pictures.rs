//! Small files that would take gigabytes or minutes: each is read or refused in bounded memory and time.
//!
//! Each file is read by a process of its own, whose peak of memory and CPU time the kernel counts. With
//! `ORRERY_PICTURES=FOLDER` the files of a folder are measured too, for trying others.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use base::media::{Image, jpeg_bytes, png_bytes, read_clip, read_still, webp_bytes};

/// What reading a file may take: megabytes and seconds of CPU time. The seconds are those of a machine of today; a slow
/// or shared one may take twice as many.
const MEGABYTES: f64 = 300.0;
const SECONDS: f64 = 5.0;
const FILE: &str = "ORRERY_PICTURE_TO_READ";

/// The process that reads; nothing in an ordinary run.
#[test]
fn reading() {
    let Ok(file) = std::env::var(FILE) else {
        return;
    };
    let path = Path::new(&file[1..]);
    let told = match file.as_bytes()[0] {
        b's' => read_still(path)
            .map(|still| format!("{}x{}", still.picture.width, still.picture.height)),
        _ => read_clip(path).map(|clip| format!("{} frames", clip.frames.len())),
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: f64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: f64 = ticks
        .skip(11)
        .take(2)
        .map(|n| n.parse::<f64>().unwrap())
        .sum();
    println!(
        "MEASURED {} {} {}",
        kilobytes * 1024.0 / 1e6,
        ticks / 100.0,
        match told {
            Ok(told) => told,
            Err(error) => error.to_string(),
        }
    );
}

/// Megabytes, seconds of CPU time, and what was told, of a file read as a still picture or as a clip.
fn measure(path: &Path, kind: char) -> (f64, f64, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reading", "--nocapture"])
        .env(FILE, format!("{kind}{}", path.display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.split_once("MEASURED "));
    let Some((_, line)) = line else {
        panic!(
            "{}: {text} {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let mut words = line.splitn(3, ' ');
    let mut number = || words.next().unwrap().parse().unwrap();
    let (megabytes, seconds) = (number(), number());
    (megabytes, seconds, words.next().unwrap().to_owned())
}

fn within_bounds(path: &Path) -> [String; 2] {
    ['s', 'c'].map(|kind| {
        let (megabytes, seconds, told) = measure(path, kind);
        let name = path.file_name().unwrap().to_string_lossy();
        println!("{name} {kind}: {megabytes:.0} MB, {seconds:.2} s: {told}");
        assert!(
            megabytes <= MEGABYTES,
            "{name} {kind}: {megabytes:.0} MB: {told}"
        );
        assert!(seconds <= SECONDS, "{name} {kind}: {seconds:.1} s: {told}");
        told
    })
}

/// A file in a folder, read within bounds as a still picture and as a clip.
fn read(name: &str, bytes: &[u8]) -> [String; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    assert!(bytes.len() < 10_000_000);
    within_bounds(&path)
}

#[test]
fn files_of_a_folder() {
    let Some(folder) = std::env::var_os("ORRERY_PICTURES") else {
        return;
    };
    let mut worst = [0.0_f64; 2];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for kind in ['s', 'c'] {
            let (megabytes, seconds, told) = measure(&path, kind);
            let name = path.file_name().unwrap().to_string_lossy();
            let mark = if megabytes > MEGABYTES || seconds > SECONDS {
                "!!"
            } else {
                "  "
            };
            println!("{mark} {megabytes:6.0} MB {seconds:6.2} s {name} {kind}: {told}");
            worst = [worst[0].max(megabytes), worst[1].max(seconds)];
        }
    }
    println!("worst: {:.0} MB, {:.2} s", worst[0], worst[1]);
}

/// Bits, the first one lowest.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.0.extend((0..count).map(|bit| value >> bit & 1 == 1));
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter()
                .rev()
                .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
        };
        self.0.chunks(8).map(byte).collect()
    }

    /// A prefix code of the one symbol.
    fn one(&mut self, symbol: u32) {
        self.put(0b101, 3);
        self.put(symbol, 8);
    }

    /// A prefix code in which the first `2^length` symbols have this length: few bits in the file, a full table in memory.
    fn full(&mut self, length: usize) {
        let order = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11];
        let there = order.iter().position(|own| *own == length).unwrap() + 1;
        self.put(0, 1);
        self.put(there as u32 - 4, 4);
        order[..there]
            .iter()
            .for_each(|own| self.put(u32::from(*own == length), 3));
        // So many lengths follow, each of no bits.
        self.put(1 | 5 << 1, 4);
        self.put((1 << length) - 2, 12);
    }
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut out = name.to_vec();
    out.extend((content.len() as u32).to_le_bytes());
    out.extend(content);
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WEBP".to_vec(), chunks.concat()].concat();
    chunk(b"RIFF", &body)
}

/// The stream of one pixel with so many groups of prefix codes, behind its header or without one.
fn groups(header: bool, count: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    if header {
        bits.put(0x2F, 8);
        bits.put(0, 32);
    }
    // No transform; a cache of 2^11 colours; the picture of groups is one pixel, which names the last.
    bits.put(0, 1);
    bits.put(1 | 11 << 1, 5);
    bits.put(1, 4);
    bits.put(0, 1);
    bits.one((count - 1) & 255);
    bits.one((count - 1) >> 8);
    (0..3).for_each(|_| bits.one(0));
    for _ in 0..count {
        bits.full(11);
        (0..3).for_each(|_| bits.full(8));
        bits.one(0);
    }
    bits.put(0, 64);
    bits.bytes()
}

fn u24(value: u32) -> [u8; 3] {
    let [a, b, c, _] = value.to_le_bytes();
    [a, b, c]
}

/// The header of a WebP of a size, with `flags`.
fn extended(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let sides = [u24(width - 1), u24(height - 1)].concat();
    chunk(b"VP8X", &[&[flags, 0, 0, 0], &sides[..]].concat())
}

/// An animation of one frame.
fn animation(width: u32, height: u32, frame: &[Vec<u8>]) -> Vec<u8> {
    let head = [[0; 3], [0; 3], u24(width - 1), u24(height - 1), u24(50)].concat();
    let content = [head, vec![0], frame.concat()].concat();
    webp(&[
        extended(0x12, width, height),
        chunk(b"ANIM", &[0; 6]),
        chunk(b"ANMF", &content),
    ])
}

/// The header of a lossy picture that says it is large, and nothing behind it.
fn large_vp8() -> Vec<u8> {
    let mut content = vec![0x10, 0, 0, 0x9D, 0x01, 0x2A];
    content.extend([0xFF, 0x3F, 0xFF, 0x3F]);
    content.resize(400_000, 0);
    chunk(b"VP8 ", &content)
}

#[test]
fn prefix_codes_of_a_lossless_webp() {
    let stream = groups(true, 30_000);
    for told in read("groups.webp", &webp(&[chunk(b"VP8L", &stream)])) {
        assert!(told.contains("too large"), "{told}");
    }
    // The chunk says that it is longer than the file.
    let mut cut = webp(&[chunk(b"VP8L", &stream)]);
    cut[17] = cut[17].wrapping_add(1);
    for told in read("cut.webp", &cut) {
        assert!(told.contains("damaged"), "{told}");
    }
    let told = read("frame.webp", &animation(1, 1, &[chunk(b"VP8L", &stream)]));
    assert!(told[1].contains("prefix codes"), "{told:?}");
    // A few groups are a picture like any other.
    let few = webp(&[chunk(b"VP8L", &groups(true, 300))]);
    assert_eq!(read("few.webp", &few)[0], "1x1");
}

#[test]
fn a_webp_that_says_it_is_small() {
    let alpha = chunk(b"ALPH", &[0; 200]);
    for (name, bytes) in [
        ("still.webp", webp(&[extended(0, 9, 9), large_vp8()])),
        (
            "alpha.webp",
            webp(&[extended(0x10, 9, 9), alpha.clone(), large_vp8()]),
        ),
        ("frame.webp", animation(9, 9, &[alpha, large_vp8()])),
    ] {
        for told in read(name, &bytes) {
            assert!(told.contains("another size"), "{told}");
        }
    }
    let whole = webp_bytes(&Image::filled(20, 10, [9; 3]), None).unwrap();
    assert_eq!(read("whole.webp", &whole)[0], "20x10");
}

/// `bytes` of a JPEG with a camera's mark of how it was held.
fn held(bytes: &[u8], mark: u8) -> Vec<u8> {
    let exif = [
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(),
        &[mark, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&bytes[..2], &[0xFF, 0xE1], &length, &exif, &bytes[2..]].concat()
}

#[test]
fn a_picture_that_is_turned() {
    let small = Image::new(2, 1, vec![255, 255, 255, 0, 0, 0]).unwrap();
    let jpeg = jpeg_bytes(&small, None).unwrap();
    assert_eq!(read("small.jpg", &held(&jpeg, 6))[0], "1x2");
    assert_eq!(read("mirrored.jpg", &held(&jpeg, 2))[0], "2x1");
    // Twice 192 MB of pixels.
    let large = jpeg_bytes(&Image::filled(8192, 8192, [0; 3]), None).unwrap();
    for told in read("large.jpg", &held(&large, 6)) {
        assert!(told.contains("too large"), "{told}");
    }
    let upside_down = read("upside-down.jpg", &held(&large, 3));
    assert_eq!(upside_down[0], "8192x8192");
}

/// A GIF of one pixel drawn again and again on a large canvas.
fn one_pixel_on(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let mut gif = b"GIF89a".to_vec();
    gif.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
    gif.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    for _ in 0..frames {
        gif.extend([b',', 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4C, 1, 0]);
    }
    gif.push(b';');
    gif
}

#[test]
fn frames_on_a_large_canvas() {
    for told in read("many.gif", &one_pixel_on(4096, 2048, 700))
        .get(1..)
        .unwrap()
    {
        assert!(told.contains("too large"), "{told}");
    }
    // The largest canvas, and the most pixels in all frames together, that are read.
    assert_eq!(
        read("four.gif", &one_pixel_on(4096, 2048, 4))[1],
        "4 frames"
    );
    assert_eq!(
        read("sixteen.gif", &one_pixel_on(2048, 2048, 16))[1],
        "16 frames"
    );
}

#[test]
fn large_and_empty() {
    let picture = Image::filled(8192, 8192, [0; 3]);
    let png = png_bytes(&picture, &[]).unwrap();
    assert_eq!(read("large.png", &png)[0], "8192x8192");
}
