//! Measuring of detectors and segmenters: against pycocotools, and as a user runs it on networks of random weights.
#![cfg(feature = "emov2")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use base::command::{Context, Failure};
use base::fixtures::{cases, report};
use base::media::{Image, write_image};
use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile};
use burn::tensor::Device;
use engine::weights::{self, KeyMap};
use serde_json::{Value, json};
use vision::emov2::detect::{DetectHead, DetectorConfig};
use vision::emov2::measure::{
    Dataset, Found, Id, Mask, Outline, Seen, score_boxes, score_masks, write_results,
};
use vision::emov2::segment::{SegmentHead, SegmenterConfig};
use vision::emov2::{EmoConfig, SYSTEM, checkpoint};

fn recorded() -> Vec<Value> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found = cases("emov2", "coco_ap", &committed);
    if found.is_empty() {
        // The folder with the other parity cases has none of these.
        let text = std::fs::read(committed.join("emov2/coco_ap.json")).unwrap();
        return vec![serde_json::from_slice(&text).unwrap()];
    }
    found.drain(..).map(|case| case.json).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn same(found: &[Option<f64>], expected: &Value, what: &str) {
    assert_eq!(found.len(), list(expected).len(), "{what}");
    for (found, expected) in found.iter().zip(list(expected)) {
        match (found, expected.as_f64()) {
            (Some(found), Some(expected)) => {
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{what}: {found}, {expected}"
                );
            }
            (found, expected) => assert_eq!(*found, expected, "{what}"),
        }
    }
}

/// The results of a case by picture.
fn seen(dataset: &Dataset, results: &Value) -> Vec<Option<Seen>> {
    let place = |id: i64| {
        let mut categories = dataset.categories.iter();
        categories.position(|one| one.id == Id::Number(id)).unwrap()
    };
    let photos = dataset.photos.iter().map(|photo| {
        let size = photo.size.unwrap();
        let results = list(results).iter();
        let results =
            results.filter(|one| serde_json::to_value(&photo.id).unwrap() == one["image_id"]);
        let found = results.map(|one| {
            let outline: Outline = serde_json::from_value(one["segmentation"].clone()).unwrap();
            Found {
                bounds: serde_json::from_value(one["bbox"].clone()).unwrap(),
                label: place(one["category_id"].as_i64().unwrap()),
                score: one["score"].as_f64().unwrap(),
                mask: Some(outline.mask(size).unwrap()),
            }
        });
        Some(Seen {
            size,
            found: found.collect(),
        })
    });
    photos.collect()
}

#[test]
fn average_precision_is_that_of_pycocotools() {
    let mut ran = 0;
    for file in recorded() {
        for case in list(&file["cases"]) {
            let dataset = Dataset::parse(case["annotations"].to_string().into_bytes()).unwrap();
            let seen = seen(&dataset, &case["results"]);
            let boxes = score_boxes(&dataset, &seen);
            same(
                &boxes.named().map(|(_, value)| value),
                &case["boxes"],
                "boxes",
            );
            same(
                &boxes.categories,
                &case["category_boxes"],
                "boxes of categories",
            );
            let (masks, without) = score_masks(&dataset, &seen);
            assert_eq!(without, 0);
            same(
                &masks.named().map(|(_, value)| value),
                &case["masks"],
                "masks",
            );
            same(
                &masks.categories,
                &case["category_masks"],
                "masks of categories",
            );
            ran += 1;
        }
    }
    report("emov2", "coco_ap", ran);
    assert!(ran > 0);
}

#[test]
fn masks_are_those_of_pycocotools() {
    for file in recorded() {
        for (at, one) in list(&file["outlines"]).iter().enumerate() {
            let size: [usize; 2] = serde_json::from_value(one["size"].clone()).unwrap();
            let polygons: Vec<Vec<f64>> = serde_json::from_value(one["polygons"].clone()).unwrap();
            let mask = Mask::from_polygons(&polygons, size).unwrap();
            assert_eq!(mask.packed(), one["packed"], "{at}");
            assert_eq!(mask.area(), one["area"].as_u64().unwrap(), "{at}");
            let again = Mask::from_packed(&mask.packed(), size).unwrap();
            assert_eq!(again, mask, "{at}");
            assert_eq!(mask.shared(&again), mask.area(), "{at}");
            // What is cut or damaged is an error or another mask, nothing worse.
            let packed = mask.packed();
            for end in 0..packed.len() {
                let _ = Mask::from_packed(&packed[..end], size);
                let _ = Mask::from_packed(&packed.replace(&packed[end..=end], "o"), size);
            }
        }
    }
    assert!(Mask::from_packed("oooooooooooooooooooo", [4, 4]).is_err());
    assert!(Mask::from_counts(&[u64::MAX, 2], [4, 4]).is_err());
    assert!(Mask::from_counts(&[16], [4, 0]).is_err());
    assert!(Mask::from_polygons(&[vec![1.0; 4]], [4, 4]).is_err());
    let far = Mask::from_polygons(&[vec![-1e300, -1e300, 1e300, -1e300, 1e300, 1e300]], [4, 4]);
    assert!(far.unwrap().area() <= 16);
    let rows = [false, true, true, false, true, false];
    assert_eq!(
        Mask::from_rows(&rows, [2, 3]).packed(),
        Mask::from_counts(&[2, 3, 1], [2, 3]).unwrap().packed()
    );
}

#[test]
fn annotation_files_of_every_kind() {
    let parse = |text: &str| Dataset::parse(text.as_bytes().to_vec());
    let head = r#""images": [{"id": 7, "file_name": "b.png"}, {"id": 2, "file_name": "a.png", "height": 4, "width": 5}],
        "categories": [{"id": 9, "name": "x"}, {"id": 3}]"#;
    let with = |annotations: &str| parse(&format!("{{{head}, \"annotations\": [{annotations}]}}"));
    let whole = with(
        r#"{"image_id": 2, "category_id": 3, "bbox": [1, 1, 2, 2], "segmentation": []},
        {"image_id": 7, "category_id": 9, "bbox": [1, 1, 2, 3.5], "iscrowd": 1, "area": 4, "id": 1},
        {"image_id": 7, "category_id": 9, "bbox": [NaN, 1, 2, 3]}, {"image_id": 7, "category_id": 9, "bbox": [0, 1, 2, -Infinity]},
        {"image_id": 7, "category_id": 9, "bbox": [1, 1, 0, 3]}, {"image_id": 7, "category_id": 9, "bbox": []},
        {"image_id": 7, "category_id": 9, "segmentation": "?"}, {"image_id": 7, "category_id": 9, "bbox": "none"},
        {"image_id": 8, "category_id": 9, "bbox": [1, 1, 2, 3]}, {"image_id": 7, "category_id": 1, "bbox": [1, 1, 2, 3]}"#,
    );
    let whole = whole.unwrap();
    assert_eq!((whole.len(), whole.flat, whole.strangers), (2, 6, 2));
    assert_eq!(whole.photos[0].file_name, "a.png");
    assert_eq!(whole.photos[0].size, Some([4, 5]));
    let [first, second] = [&whole.photos[0].truth[0], &whole.photos[1].truth[0]];
    assert_eq!((first.label, first.area, first.crowd), (1, 4.0, false));
    assert_eq!((second.label, second.area, second.crowd), (0, 4.0, true));
    assert!(!whole.has_masks());

    assert!(parse(&format!("{{{head}}}")).unwrap().is_empty());
    let named = parse(
        r#"{"images": [{"id": "a", "file_name": "a"}], "categories": [{"id": "c"}], "annotations": [
        {"image_id": "a", "category_id": "c", "bbox": [0, 0, 1, 1]}]}"#,
    );
    assert_eq!(named.unwrap().len(), 1);
    for (text, told) in [
        ("", "EOF"),
        ("no JSON", "expected"),
        ("[]", ""),
        ("{}", "images"),
        (
            r#"{"images": [], "categories": [{"id": 1}]}"#,
            "no pictures",
        ),
        (
            r#"{"images": [{"id": 1, "file_name": "a"}], "categories": []}"#,
            "0 categories",
        ),
        (
            r#"{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1}, {"id": 1}]}"#,
            "same id",
        ),
        (
            r#"{"images": [{"id": 1}], "categories": [{"id": 1}]}"#,
            "file_name",
        ),
    ] {
        let line = parse(text).unwrap_err();
        assert!(
            line.contains(told) && !line.contains('\n'),
            "{text}: {line}"
        );
    }
    let nothing = vec![None; 2];
    assert_eq!(score_boxes(&whole, &nothing).ap, None);
    let looked = vec![Some(Seen::default()), Some(Seen::default())];
    assert_eq!(score_boxes(&whole, &looked).categories, [None, Some(0.0)]);
}

/// Runs `orrery emov2 eval` with these options in a folder.
fn eval(folder: &Path, options: &str) -> Result<(), Failure> {
    static STOP: AtomicBool = AtomicBool::new(false);
    let at = |word: &str| match word.strip_prefix("@") {
        Some(name) => folder.join(name).display().to_string(),
        None => word.to_owned(),
    };
    let words = ["emov2", "eval"]
        .into_iter()
        .chain(options.split_whitespace());
    let matches = SYSTEM
        .command()
        .unwrap()
        .try_get_matches_from(words.map(at));
    let matches = matches.map_err(Failure::input)?;
    SYSTEM.run(&matches, Context { stop: &STOP })
}

fn refused(folder: &Path, options: &str) -> String {
    match eval(folder, options) {
        Err(Failure::Input(line)) => line,
        other => panic!("{options}: {other:?}"),
    }
}

fn write_model<M: burn::module::Module>(model: &M, keys: &KeyMap, config: &EmoConfig, path: &Path) {
    let mut file = TensorFile::new();
    file.note(
        checkpoint::CONFIG_KEY,
        serde_json::to_string(config).unwrap(),
    );
    weights::collect(model, keys, Precision::F32, &mut file).unwrap();
    file.write(path).unwrap();
}

/// A picture of noise.
fn noise(path: PathBuf, width: u32, height: u32) {
    let mut rng = Rng::new(u64::from(width));
    let pixels = (0..3 * width * height).map(|_| rng.below(256) as u8);
    let picture = Image::new(width, height, pixels.collect()).unwrap();
    write_image(path, &picture, &[]).unwrap();
}

fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn detectors_of_random_weights() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let backbone = EmoConfig::nano(0);
    for (name, head) in [
        ("ssdlite", DetectHead::Ssdlite),
        ("retinanet", DetectHead::Retinanet),
        ("mask-rcnn", DetectHead::MaskRcnn),
    ] {
        let config = DetectorConfig {
            backbone: backbone.clone(),
            head,
            classes: 3,
        };
        let model = config.init(&mut Rng::new(5), &Device::default());
        let path = at.join(format!("{name}.safetensors"));
        write_model(&model, &checkpoint::detector_keys(), &backbone, &path);
    }
    std::fs::create_dir(at.join("photos")).unwrap();
    noise(at.join("photos/one.png"), 60, 40);
    noise(at.join("photos/two.png"), 48, 64);
    std::fs::write(at.join("photos/cut.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    let outline = json!([[5, 5, 35, 5, 35, 30, 5, 30]]);
    let coco = json!({
        "images": [
            {"id": 3, "file_name": "one.png", "width": 60, "height": 40}, {"id": 1, "file_name": "two.png"},
            {"id": 4, "file_name": "cut.png"}, {"id": 5, "file_name": "gone.png"},
            {"id": 6, "file_name": "one.png", "width": 40, "height": 60},
        ],
        "categories": [{"id": 30, "name": "c"}, {"id": 10, "name": "a"}, {"id": 20, "name": "b"}],
        "annotations": [
            {"image_id": 3, "category_id": 10, "bbox": [5, 5, 30, 25], "area": 750, "iscrowd": 0, "segmentation": outline},
            {"image_id": 1, "category_id": 30, "bbox": [0, 0, 40, 60], "area": 2400, "iscrowd": 1,
             "segmentation": {"size": [64, 48], "counts": [0, 2560, 512]}},
            {"image_id": 1, "category_id": 20, "bbox": [4, 4, 0, 2]},
        ],
    });
    std::fs::write(at.join("coco.json"), coco.to_string()).unwrap();
    for (head, size) in [("ssdlite", 96), ("retinanet", 64), ("mask-rcnn", 64)] {
        let options = format!(
            "--head {head} --model @{head}.safetensors --coco @coco.json --images @photos --size {size} --out @{head}.json --json"
        );
        eval(at, &options).unwrap();
        let results = read(at.join(format!("{head}.json")));
        for one in list(&results) {
            assert!([1, 3].contains(&one["image_id"].as_i64().unwrap()), "{one}");
            assert!(
                [10, 20, 30].contains(&one["category_id"].as_i64().unwrap()),
                "{one}"
            );
            let sides: [f64; 4] = serde_json::from_value(one["bbox"].clone()).unwrap();
            let most = if one["image_id"] == 3 {
                [60.0, 40.0]
            } else {
                [48.0, 64.0]
            };
            assert!(
                sides[0] + sides[2] <= most[0] + 1e-3 && sides[1] + sides[3] <= most[1] + 1e-3,
                "{one}"
            );
        }
        println!("{head}: {} results", list(&results).len());
    }
    let masks = read(at.join("mask-rcnn.segm.json"));
    assert_eq!(
        list(&masks).len(),
        list(&read(at.join("mask-rcnn.json"))).len()
    );
    for one in list(&masks) {
        let outline: Outline = serde_json::from_value(one["segmentation"].clone()).unwrap();
        let size = if one["image_id"] == 3 {
            [40, 60]
        } else {
            [64, 48]
        };
        outline.mask(size).unwrap();
    }

    let base = "--head ssdlite --model @ssdlite.safetensors";
    let line = |options: &str| refused(at, &format!("{base} {options}"));
    assert!(line("--coco @coco.json --images @").contains("none of the 5 pictures"));
    assert!(line("--coco @gone.json --images @photos").contains("gone.json"));
    assert!(line("--coco @photos --images @photos").contains("photos"));
    assert!(line("--coco @ssdlite.json --images @photos").contains("not a COCO annotation file"));
    assert!(line("--data @photos").contains("give `--coco FILE`"));
    assert!(line("--coco @coco.json").contains("--images"));
    assert!(line("--coco @coco.json --images @photos --raw").contains("for classifiers"));
    assert!(line("--coco @coco.json --images @photos --ignore 3").contains("cannot be used with"));
    assert!(line("--coco @coco.json --images @photos --out @none/a.json").contains("cannot write"));
    assert!(refused(at, "--head ssdlite --coco @coco.json --images @photos").contains("--model"));
    assert!(refused(at, "--json").contains("--data"));
    let changed = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut coco = coco.clone();
        change(&mut coco);
        std::fs::write(at.join(name), coco.to_string()).unwrap();
    };
    changed("empty.json", &|coco| coco["annotations"] = json!([]));
    assert!(line("--coco @empty.json --images @photos").contains("no annotation that counts"));
    eval(
        at,
        &format!(
            "{base} --coco @empty.json --images @photos --limit 1 --size 64 --out @found.json"
        ),
    )
    .unwrap();
    assert!(!list(&read(at.join("found.json"))).is_empty());
    changed("two.json", &|coco| {
        coco["categories"] = json!([{"id": 10}, {"id": 20}])
    });
    assert!(
        line("--coco @two.json --images @photos").contains("2 categories, the network 3 classes")
    );
    changed("bad.json", &|coco| {
        coco["images"] = json!([{"id": 4, "file_name": "cut.png"}])
    });
    assert!(
        line("--coco @bad.json --images @photos --out @x.json")
            .contains("none of 1 pictures could be measured")
    );
    assert!(!at.join("x.json").exists());
}

#[test]
fn results_go_out_as_they_came() {
    for file in recorded() {
        let case = &file["cases"][0];
        let dataset = Dataset::parse(case["annotations"].to_string().into_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        for (masks, key) in [(false, "bbox"), (true, "segmentation")] {
            write_results(&path, &dataset, &seen(&dataset, &case["results"]), masks).unwrap();
            let mut expected: Vec<&Value> = list(&case["results"]).iter().collect();
            expected.sort_by_key(|one| one["image_id"].as_i64());
            let found = read(path.clone());
            assert_eq!(list(&found).len(), expected.len());
            for (found, expected) in list(&found).iter().zip(expected) {
                for key in ["image_id", "category_id", "score", key] {
                    assert_eq!(found[key], expected[key], "{key}");
                }
            }
        }
        write_results(&path, &dataset, &[], false).unwrap();
        assert_eq!(read(path), json!([]));
    }
}

#[test]
fn segmenters_of_random_weights() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for part in ["images/validation", "annotations/validation", "plain"] {
        std::fs::create_dir_all(at.join(part)).unwrap();
    }
    // Grey, one number a pixel.
    let labels = |name: &str, width: u32, height: u32, most: u8| {
        let mut rng = Rng::new(9);
        let numbers: Vec<u8> = (0..width * height)
            .map(|_| rng.below(usize::from(most) + 1) as u8)
            .collect();
        let file = std::fs::File::create(at.join("annotations/validation").join(name)).unwrap();
        let mut encoder = png::Encoder::new(file, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&numbers)
            .unwrap();
    };
    for name in ["a", "b", "small", "beyond", "alone"] {
        noise(at.join(format!("images/validation/{name}.png")), 70, 50);
    }
    labels("a.png", 70, 50, 4);
    labels("b.png", 70, 50, 4);
    labels("small.png", 7, 5, 4);
    labels("beyond.png", 70, 50, 9);
    let backbone = EmoConfig::nano(0);
    for (name, head) in [
        ("fpn", SegmentHead::Fpn),
        ("segformer", SegmentHead::Segformer),
        ("deeplabv3", SegmentHead::Deeplabv3),
        ("psp", SegmentHead::Psp),
        ("u-emo", SegmentHead::UEmo),
    ] {
        let config = SegmenterConfig {
            backbone: backbone.clone(),
            head,
            classes: 4,
        };
        let model = config.init(&mut Rng::new(5), &Device::default());
        let path = at.join(format!("{name}.safetensors"));
        write_model(&model, &checkpoint::segmenter_keys(), &backbone, &path);
        eval(
            at,
            &format!("--head {name} --model @{name}.safetensors --data @ --size 64 --json"),
        )
        .unwrap();
    }
    let base = "--head fpn --model @fpn.safetensors --size 64";
    let line = |options: &str| refused(at, &format!("{base} {options}"));
    assert!(line("--data @plain").contains("it has to hold `images`"));
    assert!(
        line("--coco @a.json --images @plain")
            .contains("segmenters are measured by label pictures")
    );
    // With 4 classes from 0 on, 4 is one too many; as the number that is ignored it is none.
    let told = line("--data @ --ignore 255");
    assert!(
        told.contains("none of 5 pictures") && told.contains("label 4 is out of range"),
        "{told}"
    );
    eval(at, &format!("{base} --data @ --ignore 4")).unwrap();
    std::fs::remove_dir_all(at.join("images")).unwrap();
    std::fs::create_dir(at.join("images")).unwrap();
    assert!(line("--data @").contains("no PNG"));
}
