//! Metrics of pictures, and Flower's objects.

use learning::hyperfl::flower::{Object, Scalar};
use learning::hyperfl::metrics::{Window, psnr, ssim};

use super::*;

#[test]
fn image_metrics() {
    for case in all("image_metrics") {
        let most = case.tolerance("metrics", 1e-5);
        let count = case.get("cases").unwrap().as_array().unwrap().len();
        for at in 0..count {
            let at = format!("cases.{at}");
            let shape: Vec<usize> = case
                .numbers(&format!("{at}.shape_hwc"))
                .iter()
                .map(|&n| n as usize)
                .collect();
            let [rows, columns, channels] = shape[..] else {
                panic!("{}: {shape:?} is not a picture", case.name)
            };
            let planes = |name: &str| -> Vec<f32> {
                let values = case.numbers(&format!("{at}.{name}"));
                (0..channels)
                    .flat_map(|c| values.iter().skip(c).step_by(channels).map(|&v| v as f32))
                    .collect()
            };
            let (a, b) = (planes("a"), planes("b"));
            let off = |what: &str, found: f64| {
                let expected = case.f64(&format!("{at}.{what}"));
                assert!(
                    (found - expected).abs() <= most,
                    "{at}: {what} is {found}, not {expected}"
                );
            };
            off("psnr", psnr(&a, &b));
            let shape = [channels, rows, columns];
            off("ssim_uniform7", ssim(&a, &b, shape, Window::Uniform));
            off("ssim_gauss11", ssim(&a, &b, shape, Window::Gaussian));
        }
        println!("{}: {count} pairs", case.name);
    }
}

#[test]
fn flower_objects() {
    for case in all("flower_objects") {
        let cases = case.get("cases").unwrap().as_array().unwrap();
        for recorded in cases {
            let arrays: Vec<(String, Object)> = recorded["arrays"]
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
                .map(|(at, array)| {
                    let list = |key: &str| array[key].as_array().unwrap().iter();
                    let shape: Vec<usize> = list("shape")
                        .map(|n| n.as_u64().unwrap() as usize)
                        .collect();
                    let values: Vec<f32> = match &array["values"] {
                        Value::Number(one) => vec![one.as_f64().unwrap() as f32],
                        _ => list("values").map(|v| v.as_f64().unwrap() as f32).collect(),
                    };
                    (format!("layer.{at}"), Object::array(&shape, &values))
                })
                .collect();
            let pairs = |key: &str| -> Vec<(String, Scalar)> {
                recorded[key]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(pair)
                    .collect()
            };
            let record = Object::records(&[
                ("arrays".into(), Object::arrays(&arrays)),
                (
                    "metrics".into(),
                    Object::metrics(&pairs("metrics")).unwrap(),
                ),
                ("config".into(), Object::config(&pairs("config"))),
            ]);
            let objects = recorded["objects_depth_first"].as_array().unwrap();
            let found = record.depth_first();
            assert_eq!(found.len(), objects.len(), "{}", case.name);
            for (found, expected) in found.iter().zip(objects) {
                assert_eq!(found.kind, expected["type"].as_str().unwrap());
                let text = String::from_utf8_lossy(&found.content);
                assert_eq!(found.id, expected["object_id"].as_str().unwrap(), "{text}");
                assert_eq!(
                    found.content.len() as u64,
                    expected["content_len"].as_u64().unwrap()
                );
            }
            println!("{}: {} objects", case.name, found.len());
        }
    }
}

/// A setting as the record holds it; the bytes of `NAME_hex` are those of `NAME`.
fn pair((name, value): (&String, &Value)) -> (String, Scalar) {
    match (name.strip_suffix("_hex"), value.as_str()) {
        (Some(name), Some(hex)) => {
            let bytes = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            (name.to_owned(), Scalar::Bytes(bytes))
        }
        _ => (name.clone(), Scalar::from_json(value).unwrap()),
    }
}
