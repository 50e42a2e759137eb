//! WIND against recorded numbers of the official code: every case of every kind that is there.
#![cfg(feature = "wind")]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use base::fixtures::{Case, cases, furthest, report};
use base::media::{Image, decode_still};
use image_systems::wind::{
    Fourier, Mark, MarkConfig, Marker, Pattern, Shape, TreeRing, Windows, attack, circle, cosine,
    rotated, statistics, torch,
};

fn committed() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn all(kind: &str) -> Vec<Case> {
    let all = cases("wind", kind, committed());
    report("wind", kind, all.len());
    all
}

fn shape_of(case: &Case, name: &str) -> Vec<usize> {
    case.weights().shape(name).unwrap().to_vec()
}

/// `tolerance.abs + tolerance.rel · |expected|`.
fn near(case: &Case, what: &str, found: f64, expected: f64) {
    let of = |key: &str| {
        case.get(&format!("tolerance.{key}"))
            .and_then(|v| v.as_f64())
    };
    let room = of("abs").unwrap_or(0.0) + of("rel").unwrap_or(0.0) * expected.abs();
    assert!(
        (found - expected).abs() <= room,
        "{}: {what} is {found}, not {expected} within {room:e}",
        case.name
    );
}

fn all_near(case: &Case, what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{}: {what}", case.name);
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        near(
            case,
            &format!("{what} {at}"),
            f64::from(*found),
            f64::from(*expected),
        );
    }
    println!(
        "{}: {what} off by {:e}",
        case.name,
        furthest(found, expected)
    );
}

/// The marks of a case's size, with the rings that its masks show.
fn marker(case: &Case, shape: Shape) -> Marker {
    let config = MarkConfig::for_shape(shape).unwrap();
    let rings = match case.weights().contains("key_ring_values") {
        true => shape_of(case, "key_ring_values")[1],
        false => config.rings(),
    };
    assert_eq!(rings, config.rings(), "{}: rings", case.name);
    Marker::new(config).unwrap()
}

fn interleaved(spectrum: &[rustfft::num_complex::Complex32]) -> Vec<f32> {
    spectrum
        .iter()
        .flat_map(|value| [value.re, value.im])
        .collect()
}

#[test]
fn fourier_patterns() {
    for case in all("fourier_patterns") {
        let sides = shape_of(&case, "heter_noise_channel0");
        let shape = Shape::new([4, sides[1], sides[2]]);
        let plane = shape.plane();
        let marker = marker(&case, shape);
        let config = *marker.config();
        // Masks.
        let rings = case
            .weights()
            .bytes("single_ring_masks")
            .unwrap()
            .into_owned();
        for (ring, mask) in rings.chunks_exact(plane).enumerate() {
            for (at, &inside) in mask.iter().enumerate() {
                let found = config.ring_at(at / shape.width, at % shape.width) == Some(ring);
                assert_eq!(found, inside != 0, "{}: ring {ring} at {at}", case.name);
            }
        }
        for name in case.weights().names() {
            let mask = || case.weights().bytes(name).unwrap().into_owned();
            let numbers: Vec<usize> = name
                .split(['_', 'r'])
                .filter_map(|part| part.parse().ok())
                .collect();
            if name.starts_with("circle_mask_r") {
                let sides = shape_of(&case, name);
                let found = circle(sides[0], sides[1], numbers[0]);
                let found: Vec<u8> = found.into_iter().map(u8::from).collect();
                assert_eq!(found, mask(), "{}: {name}", case.name);
            }
            if name.starts_with("ring_mask_") {
                assert_eq!(
                    numbers,
                    [config.outer, config.inner],
                    "{}: {name}",
                    case.name
                );
                let inside =
                    |at: usize| config.ring_at(at / shape.width, at % shape.width).is_some();
                let found: Vec<u8> = (0..plane).map(|at| u8::from(inside(at))).collect();
                assert_eq!(found, mask(), "{}: {name}", case.name);
            }
            // The picture that the official masks are read from: a value for each rounded distance, 0 in the middle.
            if name.starts_with("rounder_background_") {
                let sides = shape_of(&case, name);
                let values = case.values(name);
                let middle = sides[0] / 2;
                let along: Vec<f32> = (0..=middle)
                    .map(|d| values[middle * sides[1] + middle + d])
                    .collect();
                for (at, &value) in values.iter().enumerate() {
                    let [y, x] = [at / sides[1], at % sides[1]].map(|v| v as f64 - middle as f64);
                    let found = along
                        .get(y.hypot(x).round() as usize)
                        .copied()
                        .unwrap_or(0.0);
                    assert_eq!(found, value, "{}: {name} at {at}", case.name);
                }
            }
        }
        // Ring keys.
        let indices = case.ints("key_indices");
        let count = config.rings();
        let values = case.values("key_ring_values");
        assert_eq!(case.usize("total_groups"), 1 << count);
        for (index, expected) in indices.iter().zip(values.chunks_exact(count)) {
            assert_eq!(marker.ring_values(*index as u32), expected, "{}", case.name);
        }
        // Patterns.
        let noises = case.values("heter_noise_channel0");
        let mut seen = 0;
        for (at, rings) in values.chunks_exact(count).enumerate() {
            let noise = &noises[at * plane..][..plane];
            for (stage, found) in [
                ("raw", marker.raw(rings, noise)),
                ("final", marker.spectra(rings, noise)),
            ] {
                let name = format!("pattern{at}_{stage}_ch0_ch3");
                if case.weights().contains(&name) {
                    let found = found.map(|spectrum| interleaved(&spectrum)).concat();
                    all_near(&case, &name, &found, &case.values(&name));
                    seen += 1;
                }
            }
        }
        assert!(seen > 0, "{}: no pattern", case.name);
    }
}

#[test]
fn two_stage_retrieval() {
    for case in all("two_stage_retrieval") {
        let sides = shape_of(&case, "noises");
        let shape = Shape::new([sides[1], sides[2], sides[3]]);
        let plane = shape.plane();
        let marker = marker(&case, shape);
        let per_group = case.usize("per_group");
        // Patterns as spatial images; their spectra are the marks.
        let images = case.values("pattern_spatial_ch0_ch3");
        let marks: Vec<Mark> = images
            .chunks_exact(2 * plane)
            .map(|pair| {
                let mut latents = vec![0.0; shape.len()];
                latents[..plane].copy_from_slice(&pair[..plane]);
                latents[shape.len() - plane..].copy_from_slice(&pair[plane..]);
                marker.read(&latents)
            })
            .collect();
        let noises = case.values("noises");
        let embed = |at: usize| {
            let mut latents = noises[at * shape.len()..][..shape.len()].to_vec();
            marker.embed(&mut latents, &marks[at / per_group]);
            latents
        };
        let database: Vec<Vec<f32>> = (0..sides[0]).map(embed).collect();
        for name in case.weights().names() {
            if let Some(at) = name.strip_prefix("embedded_") {
                let at: usize = at.parse().unwrap();
                let mut latents = case.values(&format!("noise_{at}"));
                marker.embed(&mut latents, &marks[at / per_group]);
                all_near(&case, name, &latents, &case.values(name));
            }
        }
        let queries = case.values("queries");
        let recorded = case.get("queries").unwrap().as_array().unwrap().len();
        assert_eq!(recorded, shape_of(&case, "queries")[0]);
        for (at, query) in queries.chunks_exact(shape.len()).enumerate() {
            let path = |name: &str| format!("queries.{at}.{name}");
            let read = marker.read(query);
            let [mut smaller, mut l1, mut l2] = [const { Vec::new() }; 3];
            for mark in &marks {
                let distances = marker.distances(mark, &read);
                smaller.push(distances[0].min(distances[1]));
                l1.push((distances[0] + distances[1]) / 2.0);
                l2.push(marker.length(mark, &read) / (2.0 * marker.marked() as f32));
            }
            for (name, found) in [
                ("group_distances", &smaller),
                ("group_distances_l1_all", &l1),
                ("group_distances_l2_all", &l2),
            ] {
                let expected = case.numbers(&path(name));
                let expected: Vec<f32> = expected.iter().map(|&v| v as f32).collect();
                all_near(&case, &path(name), found, &expected);
            }
            let nearest = (0..smaller.len()).min_by(|&a, &b| smaller[a].total_cmp(&smaller[b]));
            let group = case.usize(&path("detected_group"));
            assert_eq!(nearest, Some(group), "{}: query {at}", case.name);
            let members = &database[group * per_group..][..per_group];
            let apart = |a: &[f32]| -> f64 {
                let pairs = a.iter().zip(query);
                let squares = pairs.map(|(a, b)| f64::from(a - b).powi(2));
                squares.sum::<f64>().sqrt()
            };
            for (name, value) in case.json["queries"][at].as_object().unwrap() {
                // Angles are in the name; the official loop turns what it turned before.
                let cumulative = name.starts_with("l2_cumulative_");
                if !cumulative && !name.starts_with("l2_independent_") {
                    continue;
                }
                let angles: Vec<f32> = name
                    .split('_')
                    .filter_map(|part| part.parse().ok())
                    .collect();
                let rows = value.as_array().unwrap();
                assert_eq!(rows.len(), members.len());
                for (member, row) in members.iter().zip(rows) {
                    let row: Vec<f64> = row
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|v| v.as_f64().unwrap())
                        .collect();
                    assert_eq!(row.len(), angles.len());
                    let (mut turned, mut before) = (member.clone(), 0.0);
                    for (angle, expected) in angles.iter().zip(row) {
                        turned = match cumulative {
                            true => rotated(&turned, shape, angle - before),
                            false => rotated(member, shape, *angle),
                        };
                        before = *angle;
                        near(&case, &path(name), apart(&turned), expected);
                    }
                }
            }
            let cosines: Vec<f32> = members.iter().map(|member| cosine(query, member)).collect();
            let expected = case.numbers(&path("cosine_in_group"));
            let expected: Vec<f32> = expected.iter().map(|&v| v as f32).collect();
            all_near(&case, &path("cosine_in_group"), &cosines, &expected);
            let windows = Windows::usual(shape).unwrap();
            let expected = case.numbers(&path("sliding_cosine_first6"));
            let expected: Vec<f32> = expected.iter().map(|&v| v as f32).collect();
            let found: Vec<f32> = database[..expected.len()]
                .iter()
                .map(|latents| windows.cosine(query, latents))
                .collect();
            all_near(&case, &path("sliding_cosine_first6"), &found, &expected);
        }
    }
}

#[test]
fn hash_and_seed() {
    for case in all("hash_and_seed") {
        let salt = case.str("salt").as_bytes().to_vec();
        for (variant, add) in [("fast_variant", 1), ("inpainting_variant", 0)] {
            let entries = case
                .get(variant)
                .map_or(0, |list| list.as_array().unwrap().len());
            for at in 0..entries {
                let number = |name: &str| case.usize(&format!("{variant}.{at}.{name}")) as u64;
                let seed = torch::official_seed(number("index"), &salt, number("groups"), add);
                assert_eq!(number("index") % number("groups"), number("group"));
                assert_eq!(seed, number("seed"), "{}: {variant} {at}", case.name);
            }
        }
        let seeds = case.numbers("seeds");
        let mut seen = 0;
        for name in case.weights().names() {
            let parts: Vec<&str> = name.split('_').collect();
            let generator = |at: usize| {
                let which: usize = parts[at].parse().unwrap();
                torch::Generator::new(seeds[which] as u64)
            };
            // Shapes that the description of the case names.
            let normal = |at: usize| generator(at).randn(4 * 64 * 64);
            match parts[..] {
                ["randint", _, below, _] => {
                    let expected = case.ints(name);
                    let found = generator(1).randint(below.parse().unwrap(), expected.len());
                    assert_eq!(found, expected, "{}: {name}", case.name);
                }
                ["rand", _, _] => {
                    let expected = case.values(name);
                    all_near(&case, name, &generator(1).rand(expected.len()), &expected);
                }
                ["randn", "half", _, _] => {
                    let expected = case.values(name);
                    let found: Vec<f32> = normal(2)[..expected.len()]
                        .iter()
                        .map(|&value| half::f16::from_f32(value).to_f32())
                        .collect();
                    // One unit of the last place of a half float, where the f32 values differ by a little.
                    let off = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
                    assert!(
                        off <= 1 && furthest(&found, &expected) < 2e-3,
                        "{}: {name}",
                        case.name
                    );
                }
                ["randn", _, "sum"] => {
                    let sum: f64 = normal(1).iter().map(|&value| f64::from(value)).sum();
                    // Sums of f32 depend on their order.
                    assert!(
                        (sum - f64::from(case.values(name)[0])).abs() < 2e-3,
                        "{}: {name}",
                        case.name
                    );
                }
                ["randn", _, part] => {
                    let expected = case.values(name);
                    let count = expected.len();
                    let found = match part {
                        _ if part.starts_with('n') => generator(1).randn(count),
                        _ if part.starts_with("last") => normal(1)[4 * 64 * 64 - count..].to_vec(),
                        _ => normal(1)[..count].to_vec(),
                    };
                    all_near(&case, name, &found, &expected);
                }
                _ => continue,
            }
            seen += 1;
        }
        assert!(seen > 0, "{}: no draws", case.name);
    }
}

#[test]
fn statistics_of_scores() {
    for case in all("statistics") {
        let rel = case.f64("tolerance.rel");
        let close = |what: String, found: f64, expected: f64| {
            let off = (found - expected).abs();
            assert!(
                off <= rel * expected.abs(),
                "{}: {what}: {found}, not {expected}",
                case.name
            );
        };
        let count = |name: &str| {
            case.get(name)
                .map_or(0, |list| list.as_array().unwrap().len())
        };
        for at in 0..count("ncx2") {
            let number = |name: &str| case.f64(&format!("ncx2.{at}.{name}"));
            let ln = statistics::ln_noncentral_chi2(number("x"), number("df"), number("nc"));
            close(format!("ncx2 {at} log"), ln, number("logcdf"));
            close(format!("ncx2 {at}"), ln.exp(), number("cdf"));
        }
        // The dimension that the description names.
        let dimension = 16_384;
        for at in 0..count("thresholds") {
            let number = |name: &str| case.f64(&format!("thresholds.{at}.{name}"));
            let (alpha, n) = (number("family_fpr"), number("database"));
            let one = statistics::per_comparison(alpha, n);
            close(format!("chance {at}"), one, number("per_comparison"));
            let exact = statistics::threshold(alpha, dimension, n);
            close(
                format!("exact {at}"),
                exact,
                number("cosine_threshold_exact"),
            );
            let normal = statistics::normal_threshold(alpha, dimension, n);
            close(
                format!("normal {at}"),
                normal,
                number("cosine_threshold_normal"),
            );
        }
    }
}

#[test]
fn attacks() {
    for case in all("attacks") {
        let picture = |name: &str| {
            let sides = shape_of(&case, name);
            let bytes = case.weights().bytes(name).unwrap().into_owned();
            Image::new(sides[1] as u32, sides[0] as u32, bytes).unwrap()
        };
        let image = picture("image");
        let check = |name: &str, found: &Image, room: u8| {
            let expected = picture(name);
            assert_eq!(
                (found.width, found.height),
                (expected.width, expected.height)
            );
            let apart = found
                .pixels
                .iter()
                .zip(&expected.pixels)
                .map(|(a, b)| a.abs_diff(*b));
            let most = apart.max().unwrap();
            println!("{}: {name} off by {most}", case.name);
            assert!(most <= room, "{}: {name} is off by {most}", case.name);
        };
        let room = |name: &str| case.usize(&format!("tolerance.{name}")) as u8;
        let number = |name: &str| case.f32(&format!("parameters.{name}"));
        check("rotate", &attack::rotated(&image, number("rotate")), 0);
        check(
            "blur",
            &attack::blurred(&image, number("blur_radius")),
            room("blur_abs"),
        );
        check(
            "blur_r1",
            &attack::blurred(&image, number("blur_r1_radius")),
            room("blur_abs"),
        );
        let b: Vec<u32> = case
            .numbers("parameters.crop.box")
            .iter()
            .map(|&v| v as u32)
            .collect();
        let part = image.crop(b[1], b[0], b[3], b[2]);
        let part = attack::resized(&part, image.width, image.height);
        check("crop_scale", &part, room("crop_abs"));
        for name in case.weights().names() {
            if let Some(factor) = name.strip_prefix("brightness_") {
                let bright = attack::brightened(&image, factor.parse().unwrap());
                check(name, &bright, room("brightness_abs"));
            }
        }
        let noise = case.values("noise_unit");
        check("noise_clipped_sum", &attack::noisy(&image, &noise), 0);
        check(
            "noise_official_wrapping",
            &attack::noisy_wrapping(&image, &noise),
            0,
        );
        let jpeg = case.weights().bytes("jpeg_bytes").unwrap().into_owned();
        let decoded = decode_still(&jpeg, "case.jpg").unwrap().picture;
        check("jpeg", &decoded, room("jpeg_abs"));
        // Our encoder need not make the same bytes, but must lose as much within a magnitude: the recorded file's colours were
        // also smoothed where they were enlarged again, which costs most at sharp edges.
        let quality = case.usize("parameters.jpeg_quality") as u8;
        let ours = attack::jpeg_bytes(&image, quality).unwrap();
        let ours = decode_still(&ours, "ours.jpg").unwrap().picture;
        let loss = |other: &Image| -> f64 {
            let pairs = image.pixels.iter().zip(&other.pixels);
            pairs.map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum()
        };
        let ratio = loss(&ours) / loss(&decoded);
        assert!(
            (0.1..3.0).contains(&ratio),
            "{}: JPEG loses {ratio} times as much",
            case.name
        );
    }
}

#[test]
fn tree_ring_baseline() {
    for case in all("tree_ring_baseline") {
        let count = case.get("cases").unwrap().as_array().unwrap().len();
        for at in 0..count {
            let path = |name: &str| format!("cases.{at}.{name}");
            let name = case.str(&path("name"));
            let sides = shape_of(&case, &format!("{name}.init"));
            let shape = Shape::new([sides[1], sides[2], sides[3]]);
            let pattern = case.str(&path("pattern"));
            let kind = match pattern.trim_start_matches("seed_") {
                "ring" => Pattern::Ring,
                "rand" => Pattern::Random,
                "zeros" => Pattern::Zeros,
                "const" => Pattern::Constant(case.f32(&path("const"))),
                other => panic!("{name}: unknown pattern {other}"),
            };
            let channel = case.f64(&path("channel"));
            let channel = (channel >= 0.0).then_some(channel as usize);
            let spectral = case.str(&path("injection")) == "complex";
            let init = case.values(&format!("{name}.init"));
            let radius = case.usize(&path("radius"));
            let key = TreeRing::new(&init, shape, channel, radius, kind, spectral).unwrap();
            assert_eq!(key.size(), case.usize(&path("mask_count")), "{name}: mask");
            let mut latents = case.values(&format!("{name}.latents"));
            key.embed(&mut latents);
            let plane = shape.plane();
            let selected = &latents[channel.unwrap_or(0) * plane..][..plane];
            let expected = case.values(&format!("{name}.watermarked_sel"));
            all_near(
                &case,
                &format!("{name}.watermarked_sel"),
                selected,
                &expected,
            );
            for (query, what) in [("query_nw", "no_watermark"), ("query_w", "watermark")] {
                let latents = case.values(&format!("{name}.{query}"));
                let expected = case.f64(&path(&format!("metric_{what}")));
                near(&case, name, f64::from(key.distance(&latents)), expected);
                let Some(p) = case
                    .get(&path(&format!("p_{what}")))
                    .and_then(|p| p.as_f64())
                else {
                    continue;
                };
                let test = key.test(&latents);
                let off = (test.ln_p - p.ln()).abs();
                assert!(
                    off <= case.f64("tolerance.p_rel"),
                    "{name}: ln p {} not {}",
                    test.ln_p,
                    p.ln()
                );
                // The other figures belong to the marked query.
                if query == "query_w" {
                    near(&case, name, test.df, case.f64(&path("df")));
                    near(&case, name, test.nc, case.f64(&path("nc")));
                    near(&case, name, test.x, case.f64(&path("x")));
                    near(&case, name, test.sigma, case.f64(&path("sigma")));
                }
            }
        }
    }
}

#[test]
fn spectra_go_back_for_odd_sides_too() {
    for (height, width) in [(5, 7), (6, 4), (9, 2)] {
        let plane: Vec<f32> = (0..height * width)
            .map(|at| (at * at % 11) as f32)
            .collect();
        let fourier = Fourier::new(height, width);
        let spectrum = fourier.forward(&plane);
        let sum: f32 = plane.iter().sum();
        assert!((spectrum[height / 2 * width + width / 2].re - sum).abs() < 1e-3);
        assert!(furthest(&fourier.inverse(&spectrum), &plane) < 1e-4);
    }
}
