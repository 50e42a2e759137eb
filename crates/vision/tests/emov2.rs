//! EMOv2 against numbers of the authors' code.
#![cfg(feature = "emov2")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use base::fixtures::{Case, cases, report};
use base::media::Image;
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use engine::weights::{self, CaseTensor, KeyMap, ReadTensor, Weights};
use serde_json::Value;
use vision::emov2::detect::{self, Detection, MaskRcnnConfig, RetinaConfig, SsdConfig};
use vision::emov2::segment::{Aspp, FpnHead, PspHead, SegformerHead};
use vision::emov2::{
    Block, BlockConfig, DEmoConfig, EmoConfig, Fpn, FpnConfig, MobileNetV2, Operator, UEmoConfig,
    checkpoint, losses, macs, operator, params, transform,
};

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn each(kind: &str, check: impl Fn(&Case)) {
    let cases = cases("emov2", kind, &committed());
    cases.iter().for_each(check);
    report("emov2", kind, cases.len());
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap()
}

/// Within `atol + rtol · |expected|` of the case.
fn near(case: &Case, what: &str, found: &[f32], expected: &[f32]) {
    let limit = |key: &str| {
        case.get(&format!("tolerance.{key}"))
            .map_or(0.0, |v| v.as_f64().unwrap())
    };
    let (atol, rtol) = (limit("atol") as f32, limit("rtol") as f32);
    assert_eq!(found.len(), expected.len(), "{}: {what}", case.name);
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= atol + rtol * expected.abs(),
            "{}: {what} at {at}: {found}, expected {expected}",
            case.name
        );
    }
}

fn same<const D: usize>(case: &Case, what: &str, found: Tensor<D>) {
    assert_eq!(
        found.dims().as_slice(),
        case.weights().shape(what).unwrap(),
        "{}: shape of {what}",
        case.name
    );
    near(case, what, &flat(found), &case.values(what));
}

fn load<M: Module>(case: &Case, model: M, keys: KeyMap) -> M {
    weights::load(model, case.weights(), &keys.within("w")).unwrap()
}

fn part<T: serde::de::DeserializeOwned>(case: &Case, at: &str) -> T {
    serde_json::from_value(case.get(at).unwrap().clone()).unwrap()
}

fn sizes(case: &Case, at: &str) -> Vec<usize> {
    part(case, at)
}

fn features(case: &Case, device: &Device) -> Vec<Tensor<4>> {
    (0..)
        .map(|at| format!("feat.{at}"))
        .take_while(|name| case.weights().contains(name))
        .map(|name| case.tensor(&name, device))
        .collect()
}

#[test]
fn spanning_attention() {
    each("sew_mhsa", |case| {
        let device = Device::default();
        let input = case.usize("config.dim_in");
        for (kind, expected) in [
            (operator::SPANNING, "y_spanning"),
            (operator::DISTANT, "y_remote"),
            (operator::NEIGHBOUR, "y_close"),
        ] {
            let config = BlockConfig {
                dim_in: input,
                dim_out: input,
                // A half more, so that rounding does not take one off.
                exp_ratio: (case.f64("config.dim_mid") + 0.5) / input as f64,
                dw_ks: 1,
                stride: 1,
                dim_head: case.usize("config.dim_head"),
                window_size: part(case, "config.window_size"),
                hybrid_eops: vec![kind],
                has_skip: true,
                norm_in: false,
                norm_layer: vision::emov2::NormKind::Layer,
                act_layer: part(case, "config.act_layer"),
                qkv_bias: case.bool("config.qkv_bias"),
                ls_value: 1.0,
                local_norm: vision::emov2::NormKind::Batch,
                local_act: vision::emov2::Activation::None,
            };
            let op = Operator::new(&config, kind, &mut Rng::new(0), &device);
            let op = load(case, op, KeyMap::new());
            let x: Tensor<4> = case.tensor("x", &device);
            let y = op.forward(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2]);
            same(case, expected, y);
        }
    });
}

#[test]
fn blocks() {
    each("i2rmb", |case| {
        let device = Device::default();
        let config: BlockConfig = part(case, "config");
        assert_eq!(config.residual(), case.bool("has_skip"));
        let block = Block::new(&config, &mut Rng::new(0), &device);
        let block = load(case, block, checkpoint::block_keys());
        let x: Tensor<4> = case.tensor("x", &device);
        let steps = block.steps(x.clone());
        same(case, "act.norm", steps.norm);
        same(case, "act.eop", steps.eop);
        same(case, "act.conv_local", steps.conv_local);
        same(case, "act.proj", steps.proj);
        same(case, "y", steps.y);
        same(case, "y", block.forward(x, None));
    });
}

#[test]
fn classifiers() {
    for kind in ["emo1", "emo2"] {
        each(kind, |case| {
            let device = Device::default();
            let config: EmoConfig = part(case, "config");
            assert_eq!(config.problem(), None);
            let model = config.init(&mut Rng::new(0), &device);
            let model = load(case, model, checkpoint::key_map());
            let x: Tensor<4> = case.tensor("x", &device);
            for (stage, map) in model.features(x.clone(), None).into_iter().enumerate() {
                same(case, &format!("feat.stage{stage}"), map);
            }
            same(case, "logits", model.forward(x, None));
        });
    }
}

#[test]
fn state_dicts() {
    each("state_dict", |case| {
        let name = case.name.strip_prefix("state_dict_").unwrap();
        let config = EmoConfig::official(name).unwrap();
        let model = config.init(&mut Rng::new(0), &Device::default());
        let keys = checkpoint::key_map();
        let mut found: Vec<(String, Vec<usize>)> = weights::params(&model)
            .into_iter()
            .map(|param| (keys.to_file(&param.path), param.shape))
            .collect();
        found.sort();
        let named = case.json["state_dict"].as_object().unwrap();
        let mut expected: Vec<(String, Vec<usize>)> = named
            .iter()
            .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
            .map(|(name, shape)| (name.clone(), serde_json::from_value(shape.clone()).unwrap()))
            .collect();
        expected.sort();
        assert_eq!(found, expected, "{name}");
        let learned = found.iter().filter(|(name, _)| !name.contains("running_"));
        let count: usize = learned
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        assert_eq!(count, case.usize("params"), "{name}");
        assert_eq!(params(&config), count as u64, "{name}");
    });
}

#[test]
fn parameter_counts() {
    each("state_dict_params_all", |case| {
        for (name, count) in case.json["parameter_counts"].as_object().unwrap() {
            let config = EmoConfig::official(name).unwrap();
            assert_eq!(params(&config), count.as_u64().unwrap(), "{name}");
        }
    });
    each("d_emo_parameter_counts", |case| {
        for row in case.json["rows"].as_array().unwrap() {
            let variant = row["variant"].as_str().unwrap();
            let size = variant.rsplit('-').next().unwrap();
            let size = size.split('/').next().unwrap().to_lowercase();
            let config = DEmoConfig::preset(&size).unwrap();
            let number = |key: &str| row[key].as_u64().unwrap() as usize;
            assert_eq!(config.hidden, number("hidden"));
            assert_eq!(config.depth, number("depth"));
            assert_eq!(config.block_params(), number("block"), "{variant}");
            assert_eq!(config.params(), number("total"), "{variant}");
        }
    });
}

#[test]
fn multiply_adds() {
    each("macs", |case| {
        let size = case.usize("image");
        for (name, expected) in case.json["millions"].as_object().unwrap() {
            let config = EmoConfig::official(name).unwrap();
            let found = macs(&config, [size; 2]);
            let rounded = |value: u64| (value as f64 / 1e4).round() / 100.0;
            for (part, value) in [
                ("conv", found.conv),
                ("bn", found.bn),
                ("ln", found.ln),
                ("attn", found.attn),
                ("lin", found.lin),
            ] {
                assert_eq!(
                    rounded(value),
                    expected[part].as_f64().unwrap(),
                    "{name} {part}"
                );
            }
            assert_eq!(
                found.total() as f64 / 1e6,
                expected["total"].as_f64().unwrap()
            );
        }
    });
}

#[test]
fn classification_losses() {
    each("losses", |case| {
        let device = Device::default();
        let logits: Tensor<2> = case.tensor("logits", &device);
        let teacher: Tensor<2> = case.tensor("teacher", &device);
        let labels = case.ints("labels");
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &device);
        let smoothed = losses::label_smoothing(logits.clone(), labels, 0.1);
        same(case, "ls_ce", smoothed);
        for name in case.weights().names() {
            if let Some(tau) = name.strip_prefix("kd_soft_tau") {
                let tau = tau.parse().unwrap();
                same(
                    case,
                    name,
                    losses::distill_soft(logits.clone(), teacher.clone(), tau),
                );
            }
        }
        same(case, "kd_hard", losses::distill_hard(logits, teacher));
    });
}

#[test]
fn evaluation_transform() {
    each("eval_transform", |case| {
        let shape = case.weights().shape("image_hwc_u8").unwrap().to_vec();
        let pixels = case.weights().bytes("image_hwc_u8").unwrap().into_owned();
        let picture = Image::new(shape[1] as u32, shape[0] as u32, pixels).unwrap();
        let crop = transform::crop_for(&picture, case.usize("config.size") as u32, transform::CROP);
        near(
            case,
            "pixel_values",
            &transform::normalise(&crop),
            &case.values("pixel_values"),
        );
    });
}

#[test]
fn segmentation_heads() {
    let device = Device::default();
    let keys = || checkpoint::decode_rules(KeyMap::new(), "");
    let shape = |case: &Case| {
        let inputs = sizes(case, "config.in_channels");
        let [channels, classes] =
            ["channels", "num_classes"].map(|key| case.usize(&format!("config.{key}")));
        (inputs, channels, classes)
    };
    each("seg_deeplabv3", |case| {
        let (inputs, channels, classes) = shape(case);
        let sizes_ = [inputs[inputs.len() - 1], channels, classes];
        let head = Aspp::new(
            sizes_,
            &sizes(case, "config.dil"),
            &mut Rng::new(0),
            &device,
        );
        let head = load(case, head, keys());
        let last = features(case, &device).pop().unwrap();
        same(case, "logits", head.forward(last));
    });
    each("seg_psp", |case| {
        let (inputs, channels, classes) = shape(case);
        let head = PspHead::new(
            [inputs[inputs.len() - 1], channels, classes],
            &mut Rng::new(0),
            &device,
        );
        let head = load(case, head, keys());
        let last = features(case, &device).pop().unwrap();
        same(case, "logits", head.forward(last));
    });
    each("seg_segformer", |case| {
        let (inputs, channels, classes) = shape(case);
        let head = SegformerHead::new(&inputs, [channels, classes], &mut Rng::new(0), &device);
        let head = load(case, head, keys());
        same(
            case,
            "logits",
            head.forward(&features(case, &device)).unwrap(),
        );
    });
    each("seg_fpn", |case| {
        let (inputs, channels, classes) = shape(case);
        let neck_out = case.usize("config.neck_out");
        let maps = inputs.len();
        let neck = FpnConfig {
            in_channels: inputs,
            out_channels: neck_out,
            start_level: 0,
            num_outs: maps,
            extra_convs: false,
        };
        let neck: Fpn = neck.init(&mut Rng::new(0), &device);
        let neck_keys = KeyMap::new().within("w.neck");
        let neck = weights::load(neck, case.weights(), &neck_keys).unwrap();
        let outs = neck.forward(&features(case, &device));
        for (at, map) in outs.iter().enumerate() {
            same(case, &format!("neck.{at}"), map.clone());
        }
        let head = FpnHead::new(
            maps,
            [neck_out, channels, classes],
            &mut Rng::new(0),
            &device,
        );
        let head = load(case, head, keys().ignore("neck."));
        same(case, "logits", head.forward(&outs).unwrap());
    });
}

#[test]
fn u_nets() {
    each("u_emo", |case| {
        let device = Device::default();
        let config: UEmoConfig = part(case, "config");
        assert_eq!(config.problem(), None);
        let keys = checkpoint::unet_rules(KeyMap::new(), &config, "", "");
        let model = load(case, config.init(&mut Rng::new(0), &device), keys);
        let outs = model.forward(case.tensor("x", &device));
        for (at, map) in outs.into_iter().enumerate() {
            same(case, &format!("dec_out.{at}"), map);
        }
    });
}

/// Boxes, scores and labels of detections against `prefix.boxes`, `.scores`, `.labels`.
fn same_detections(case: &Case, prefix: &str, found: &[Detection]) {
    let scores: Vec<f32> = found.iter().map(|one| one.score).collect();
    near(
        case,
        "scores",
        &scores,
        &case.values(&format!("{prefix}.scores")),
    );
    let boxes: Vec<f32> = found.iter().flat_map(|one| one.corners).collect();
    near(
        case,
        "boxes",
        &boxes,
        &case.values(&format!("{prefix}.boxes")),
    );
    let labels: Vec<i64> = found.iter().map(|one| one.label as i64).collect();
    assert_eq!(
        labels,
        case.ints(&format!("{prefix}.labels")),
        "{}",
        case.name
    );
}

fn same_maps(case: &Case, name: &str, maps: &[Tensor<4>]) {
    for (at, map) in maps.iter().enumerate() {
        same(case, &format!("{name}.{at}"), map.clone());
    }
    assert!(!case.weights().contains(&format!("{name}.{}", maps.len())));
}

fn same_anchors(case: &Case, levels: &[detect::AnchorLevel], maps: &[Tensor<4>]) {
    for (at, (level, map)) in levels.iter().zip(maps).enumerate() {
        let [_, _, height, width] = map.dims();
        let anchors: Vec<f32> = level.grid([height, width]).into_iter().flatten().collect();
        let name = format!("anchors.{at}");
        near(case, &name, &anchors, &case.values(&name));
    }
}

fn picture(case: &Case) -> [usize; 2] {
    sizes(case, "config.image").try_into().unwrap()
}

#[test]
fn retinanet() {
    each("det_retinanet", |case| {
        let device = Device::default();
        let at = |key: &str| case.usize(&format!("config.{key}"));
        let mut config = RetinaConfig::new(sizes(case, "config.in_channels"), at("num_classes"));
        config.neck.out_channels = at("out_channels");
        config.neck.start_level = at("start_level");
        config.neck.num_outs = at("num_outs");
        config.stacked_convs = at("stacked_convs");
        config.octave_base_scale = case.f32("config.anchor_generator.octave_base_scale");
        config.strides = part(case, "config.anchor_generator.strides");
        config.keep = part(case, "config.test_cfg");
        let model = load(case, config.init(&mut Rng::new(0), &device), KeyMap::new());
        let features = features(case, &device);
        let maps = model.neck.forward(&features);
        same_maps(case, "neck", &maps);
        let [cls, reg] = model.heads(&maps);
        same_maps(case, "cls", &cls);
        same_maps(case, "reg", &reg);
        same_anchors(case, &config.anchors(), &maps);
        let found = model.detect(&features, picture(case), &config);
        for (at, found) in found.iter().enumerate() {
            same_detections(case, &format!("det.{at}"), found);
        }
    });
}

#[test]
fn ssdlite() {
    each("det_ssdlite", |case| {
        let device = Device::default();
        let mut config = SsdConfig::new([1, 1], case.usize("config.num_classes"));
        config.in_channels = sizes(case, "config.in_channels");
        config.out_channels = sizes(case, "config.out_channels");
        config.bn_eps = case.f64("config.bn_eps");
        config.strides = part(case, "config.anchor_generator.strides");
        config.ratios = part(case, "config.anchor_generator.ratios");
        config.min_sizes = part(case, "config.anchor_generator.min_sizes");
        config.max_sizes = part(case, "config.anchor_generator.max_sizes");
        config.keep = part(case, "config.test_cfg");
        let model = load(
            case,
            config.init(&mut Rng::new(0), &device),
            checkpoint::ssd_keys(),
        );
        let features = features(case, &device);
        let maps = model.maps(&features);
        same_maps(case, "neck", &maps);
        let [cls, reg] = model.heads(&maps);
        same_maps(case, "cls", &cls);
        same_maps(case, "reg", &reg);
        same_anchors(case, &config.anchors(), &maps);
        let found = model.detect(&features, picture(case), &config);
        for (at, found) in found.iter().enumerate() {
            same_detections(case, &format!("det.{at}"), found);
        }
    });
}

#[test]
fn mask_rcnn() {
    each("det_mask_rcnn", |case| {
        let device = Device::default();
        let at = |key: &str| case.usize(&format!("config.{key}"));
        let mut config = MaskRcnnConfig::new(sizes(case, "config.in_channels"), at("num_classes"));
        config.neck.out_channels = at("out_channels");
        config.fc = at("fc");
        config.mask_convs = at("mask_convs");
        config.rpn.nms_pre = at("rpn.nms_pre");
        config.rpn.max_per_img = at("rpn.max_per_img");
        config.rpn.iou = case.f32("config.rpn.iou");
        config.rcnn.score_thr = case.f32("config.rcnn.score_thr");
        config.rcnn.iou = case.f32("config.rcnn.iou");
        config.rcnn.max_per_img = at("rcnn.max_per_img");
        config.mask_thr = case.f32("config.rcnn.mask_thr");
        let model = load(case, config.init(&mut Rng::new(0), &device), KeyMap::new());
        let features = features(case, &device);
        let maps = model.neck.forward(&features);
        let [cls, reg] = model.rpn(&maps);
        same_maps(case, "rpn_cls", &cls);
        same_maps(case, "rpn_reg", &reg);
        let picture = picture(case);
        let proposals = model.propose([cls, reg], picture, &config);
        let scores: Vec<f32> = proposals.iter().map(|one| one.score).collect();
        near(
            case,
            "proposal_scores",
            &scores,
            &case.values("proposal_scores"),
        );
        let corners: Vec<[f32; 4]> = proposals.iter().map(|one| one.corners).collect();
        let boxes: Vec<f32> = corners.iter().copied().flatten().collect();
        near(case, "proposals", &boxes, &case.values("proposals"));
        for name in case.weights().names() {
            if let Some(count) = name.strip_prefix("roi_feat_first") {
                let regions = model.regions(&maps, &corners[..count.parse().unwrap()], 7, &config);
                same(case, name, regions);
            }
        }
        let [cls, reg] = model.boxes(model.regions(&maps, &corners, 7, &config));
        same(case, "roi_cls", cls.clone());
        same(case, "roi_reg", reg.clone());
        let found = model.refine(&proposals, [cls, reg], picture, &config);
        same_detections(case, "det", &found);
        let whole = model.detect(&features, picture, &config).remove(0);
        for name in case.weights().names() {
            if let Some(count) = name.strip_prefix("mask_logits_first") {
                let count: usize = count.parse().unwrap();
                same(
                    case,
                    name,
                    model.mask_logits(&maps, &found[..count], &config),
                );
            }
            if let Some(count) = name.strip_prefix("masks_first") {
                let count: usize = count.parse().unwrap();
                let masks = whole.iter().take(count);
                let pixels: Vec<u8> = masks
                    .flat_map(|one| one.mask.clone().unwrap())
                    .map(u8::from)
                    .collect();
                let expected = case.weights().bytes(name).unwrap().into_owned();
                assert_eq!(pixels.len(), expected.len());
                let off = pixels.iter().zip(&expected).filter(|(a, b)| a != b).count();
                // A probability that rounding moves across the threshold.
                assert!(off * 10_000 <= pixels.len(), "{}: {off} pixels", case.name);
            }
        }
    });
}

/// Against what `benches/mobilenet_v2.py` recorded in the folder named by `ORRERY_MOBILENET`.
#[test]
fn mobilenet_v2_gives_torchvisions_logits() {
    let Some(folder) = std::env::var_os("ORRERY_MOBILENET").map(PathBuf::from) else {
        println!("emov2/mobilenet_v2: skipped: ORRERY_MOBILENET is not set");
        return;
    };
    let device = Device::default();
    let weights = Weights::open(folder.join("mobilenet_v2.pth")).unwrap();
    let model = MobileNetV2::new(1000, &mut Rng::new(0), &device);
    let model = weights::load(model, &weights, &MobileNetV2::key_map()).unwrap();
    let recorded = Weights::open(folder.join("recorded.safetensors")).unwrap();
    let x: Tensor<4> = recorded.tensor("x", &device).unwrap();
    let expected = recorded.values("logits").unwrap();
    let photos = x.dims()[0];
    let mut most = 0.0f32;
    for (at, expected) in expected.chunks_exact(1000).enumerate() {
        let found = flat(model.forward(x.clone().narrow(0, at, 1)));
        let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        most = off.fold(most, f32::max);
        let mut order: Vec<usize> = (0..1000).collect();
        order.sort_by(|a, b| found[*b].total_cmp(&found[*a]));
        // The same five up to ties: none of them is below the fifth of torchvision's by more than the tolerance.
        let mut best = expected.to_vec();
        best.sort_by(|a, b| b.total_cmp(a));
        assert!(
            order[..5]
                .iter()
                .all(|class| expected[*class] >= best[4] - 1e-3)
        );
    }
    println!("emov2/mobilenet_v2: {photos} photos, logits differ by at most {most:e}");
    assert!(most <= 1e-3, "{most}");
}

#[test]
fn every_committed_case_has_a_test() {
    let known = [
        "sew_mhsa",
        "i2rmb",
        "emo1",
        "emo2",
        "state_dict",
        "state_dict_params_all",
        "d_emo_parameter_counts",
        "macs",
        "losses",
        "eval_transform",
        "seg_deeplabv3",
        "seg_psp",
        "seg_segformer",
        "seg_fpn",
        "u_emo",
        "det_retinanet",
        "det_ssdlite",
        "det_mask_rcnn",
        // In `emov2_eval.rs`.
        "coco_ap",
    ];
    let folder = committed().join("emov2");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for file in files.filter(|file| file.path().extension().is_some_and(|ext| ext == "json")) {
        let json: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        let kind = json["kind"].as_str().unwrap().to_owned();
        assert!(known.contains(&kind.as_str()), "no test for {kind}");
    }
}
