//! Networks that read official checkpoints, beside numbers that torchvision and Diffusion Policy's own code made of the same
//! weights: `sin(i / 10 + length of the name)`, scaled by the kind of tensor.

use std::path::{Path, PathBuf};

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile};
use burn::tensor::Device;
use learning::hyperfl::lpm::{LpmVit, VitConfig as LpmConfig};
use learning::rapl::diffusion::DiffusionPolicy;
use learning::rapl::encoder::{Origin, Vision};

/// A tensor of a checkpoint as the script that recorded the numbers filled it.
fn filled(name: &str, shape: &[usize]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let fan: usize = shape[1..].iter().product();
    (0..count)
        .map(|at| {
            let wave = (0.1 * at as f64 + name.len() as f64).sin();
            let value = match (shape.len(), name.rsplit('.').next()) {
                (1, Some("running_var")) => 1.0 + 0.5 * wave * wave,
                (1, Some("weight")) => 1.0 + 0.1 * wave,
                (1, _) => 0.1 * wave,
                _ => wave * 1.5 / (fan as f64).sqrt(),
            };
            value as f32
        })
        .collect()
}

fn wave(count: usize) -> Vec<f32> {
    (0..count)
        .map(|at| (0.05 * at as f64).cos() as f32)
        .collect()
}

fn written(folder: &Path, tensors: &[(String, Vec<usize>)], prefix: &str) -> PathBuf {
    let mut file = TensorFile::new();
    for (name, shape) in tensors {
        let values = filled(name, shape);
        let name = format!("{prefix}{name}");
        file.floats(&name, shape, &values, Precision::F32).unwrap();
    }
    let path = folder.join("weights.safetensors");
    file.write(&path).unwrap();
    path
}

fn norm(tensors: &mut Vec<(String, Vec<usize>)>, name: &str, width: usize, parts: &[&str]) {
    for part in parts {
        tensors.push((format!("{name}.{part}"), vec![width]));
    }
}

/// Names and shapes of torchvision's ResNets; `deep` for the one of 50 layers.
fn resnet(deep: bool) -> Vec<(String, Vec<usize>)> {
    let parts = ["weight", "bias", "running_mean", "running_var"];
    let mut all = Vec::new();
    let conv = |all: &mut Vec<_>, name: &str, bn: &str, [out, input, kernel]: [usize; 3]| {
        all.push((format!("{name}.weight"), vec![out, input, kernel, kernel]));
        norm(all, bn, out, &parts);
    };
    conv(&mut all, "conv1", "bn1", [64, 3, 7]);
    let mut input = 64;
    let counts = if deep { [3, 4, 6, 3] } else { [2; 4] };
    for (stage, (count, width)) in counts.into_iter().zip([64, 128, 256, 512]).enumerate() {
        let out = if deep { 4 * width } else { width };
        for block in 0..count {
            let at = format!("layer{}.{block}", stage + 1);
            let mut part = |number: usize, sizes| {
                conv(
                    &mut all,
                    &format!("{at}.conv{number}"),
                    &format!("{at}.bn{number}"),
                    sizes,
                );
            };
            if deep {
                part(1, [width, input, 1]);
                part(2, [width, width, 3]);
                part(3, [out, width, 1]);
            } else {
                part(1, [width, input, 3]);
                part(2, [width, width, 3]);
            }
            if block == 0 && (deep || stage > 0) {
                let (name, bn) = (format!("{at}.downsample.0"), format!("{at}.downsample.1"));
                conv(&mut all, &name, &bn, [out, input, 1]);
            }
            input = out;
        }
    }
    all
}

fn near(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(
            off <= 1e-3 * expected.abs().max(1.0),
            "{what}[{at}] is {found}, not {expected}"
        );
    }
}

#[test]
fn resnets_equal_torchvisions() {
    let recorded = [
        (
            false,
            [
                1.1865637302398682,
                0.0,
                0.0,
                0.5544673204421997,
                1.3580873012542725,
                0.0,
                0.0,
                0.3126211166381836,
                1.1084184646606445,
                0.0,
                0.0,
                0.8320562243461609,
                1.3493870496749878,
                0.0,
                0.0,
                0.5043519139289856,
            ],
            0.6056343913078308,
        ),
        (
            true,
            [
                5.46934700012207,
                9.725791931152344,
                6.532510280609131,
                1.5145938396453857,
                1.533637523651123,
                1.2267186641693115,
                2.231952667236328,
                8.320059776306152,
                5.34529972076416,
                9.704387664794922,
                6.644804000854492,
                1.5513328313827515,
                1.563554286956787,
                1.2444615364074707,
                2.113267660140991,
                8.217034339904785,
            ],
            3.5984416007995605,
        ),
    ];
    for (deep, picked, mean) in recorded {
        let folder = tempfile::tempdir().unwrap();
        let plain = resnet(deep);
        let read = |path: &Path| {
            let sizes = (Some(64), 2, 0);
            Vision::pretrained(path, sizes, &mut Rng::new(0), &Device::flex()).unwrap()
        };
        let (vision, origin) = read(&written(folder.path(), &plain, "module."));
        assert_eq!(origin, Origin::ImageNet);
        let seen = vision.embed(&wave(2 * 3 * 64 * 64)).unwrap();
        let values = seen.values();
        let step = seen.width() / 8;
        let found: Vec<f64> = (0..2)
            .flat_map(|row| (0..8).map(move |at| (row, at)))
            .map(|(row, at)| seen.row(row)[at * step])
            .collect();
        near("features", &found, &picked);
        let size = values.iter().map(|x| x.abs()).sum::<f64>() / values.len() as f64;
        near("mean", &[size], &[mean]);
        // R3M keeps the same names one level down; XIRL numbers the layers and has a head of its own. Names have other
        // lengths there, so their values differ from torchvision's.
        let (_, origin) = read(&written(folder.path(), &plain, "module.convnet."));
        assert_eq!(origin, Origin::R3m);
        let numbered = |name: &str| {
            let (first, rest) = name.split_once('.').unwrap();
            let number = match first {
                "conv1" => "0",
                "bn1" => "1",
                stage => ["4", "5", "6", "7"][stage[5..].parse::<usize>().unwrap() - 1],
            };
            format!("backbone.{number}.{rest}")
        };
        let mut xirl: Vec<_> = plain
            .iter()
            .map(|(n, s)| (numbered(n), s.clone()))
            .collect();
        let width = seen.width();
        xirl.push(("encoder.weight".into(), vec![32, width]));
        xirl.push(("encoder.bias".into(), vec![32]));
        let (vision, origin) = read(&written(folder.path(), &xirl, ""));
        assert_eq!((origin, vision.config.width), (Origin::Xirl, 32));
        // Written and read again it says the same.
        let path = folder.path().join("ours.safetensors");
        vision.write(&path).unwrap();
        let again = Vision::read(&path, &Device::flex()).unwrap();
        let pixels = wave(3 * 64 * 64);
        assert_eq!(
            vision.embed(&pixels).unwrap(),
            again.embed(&pixels).unwrap()
        );
    }
}

#[test]
fn a_file_without_a_known_network_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &[("weight".into(), vec![2, 2])], "");
    let sizes = (None, 2, 0);
    let error = Vision::pretrained(&path, sizes, &mut Rng::new(0), &Device::flex()).unwrap_err();
    assert!(
        error.to_string().contains("`cls_token` are missing"),
        "{error}"
    );
    let error = DiffusionPolicy::read(&path, &Device::flex()).unwrap_err();
    assert!(
        error.to_string().contains("no U-Net of Diffusion Policy"),
        "{error}"
    );
}

/// The transformer that the recorded case of HyperFL tests, its adapters silent, reads the same file.
#[test]
fn vision_transformers_equal_the_one_with_recorded_numbers() {
    let config = LpmConfig {
        side: 32,
        patch: 8,
        width: 128,
        depth: 2,
        heads: 2,
        mlp_ratio: 4,
        reduction: 4,
        qkv_bias: true,
        block_eps: 1e-6,
        final_eps: 1e-6,
        classes: 3,
    };
    let layout = config.layout();
    let slots = layout.slots().iter();
    let tensors: Vec<_> = slots
        .map(|slot| (slot.name.clone(), slot.shape.clone()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &tensors, "");
    let sizes = (None, 2, 0);
    let (vision, origin) =
        Vision::pretrained(&path, sizes, &mut Rng::new(0), &Device::flex()).unwrap();
    assert_eq!(origin, Origin::Mvp);
    let x = wave(2 * 3 * 32 * 32);
    let seen = vision.embed(&x).unwrap();
    let weights = base::tensor_file::Weights::open(&path).unwrap();
    let other = LpmVit::read(config.clone(), &weights, "").unwrap();
    let silent = vec![0.0; config.hypernetwork(2, 2).generates()];
    let pass = other.forward(&silent, &vec![0.0; 3 * 129], &x).unwrap();
    let tokens = pass.features.len() / 2;
    for row in 0..2 {
        let expected = pass.features[row * tokens..][..128].iter();
        let expected: Vec<f64> = expected.map(|x| f64::from(*x)).collect();
        near("class token", seen.row(row), &expected);
    }
}

/// Names and shapes of Diffusion Policy's U-Net for 2 actions, 6 numbers of condition, levels of 16 and 32 channels.
fn unet(scale: bool) -> Vec<(String, Vec<usize>)> {
    let mut all: Vec<(String, Vec<usize>)> = Vec::new();
    let both = |all: &mut Vec<(String, Vec<usize>)>, name: String, shape: &[usize], out: usize| {
        all.push((format!("{name}.weight"), shape.to_vec()));
        all.push((format!("{name}.bias"), vec![out]));
    };
    let block = |all: &mut Vec<_>, name: String, input: usize, out: usize| {
        both(all, format!("{name}.block.0"), &[out, input, 5], out);
        both(all, format!("{name}.block.1"), &[out], out);
    };
    let residual = |all: &mut Vec<_>, name: String, input: usize, out: usize| {
        block(all, format!("{name}.blocks.0"), input, out);
        block(all, format!("{name}.blocks.1"), out, out);
        let told = if scale { 2 * out } else { out };
        both(all, format!("{name}.cond_encoder.1"), &[told, 16 + 6], told);
        if input != out {
            both(all, format!("{name}.residual_conv"), &[out, input, 1], out);
        }
    };
    both(&mut all, "diffusion_step_encoder.1".into(), &[64, 16], 64);
    both(&mut all, "diffusion_step_encoder.3".into(), &[16, 64], 16);
    residual(&mut all, "down_modules.0.0".into(), 2, 16);
    residual(&mut all, "down_modules.0.1".into(), 16, 16);
    both(&mut all, "down_modules.0.2.conv".into(), &[16, 16, 3], 16);
    residual(&mut all, "down_modules.1.0".into(), 16, 32);
    residual(&mut all, "down_modules.1.1".into(), 32, 32);
    residual(&mut all, "mid_modules.0".into(), 32, 32);
    residual(&mut all, "mid_modules.1".into(), 32, 32);
    residual(&mut all, "up_modules.0.0".into(), 64, 16);
    residual(&mut all, "up_modules.0.1".into(), 16, 16);
    both(&mut all, "up_modules.0.2.conv".into(), &[16, 16, 4], 16);
    block(&mut all, "final_conv.0".into(), 16, 16);
    both(&mut all, "final_conv.1".into(), &[2, 16, 1], 2);
    all
}

#[test]
fn the_u_net_equals_diffusion_policys() {
    let recorded = [
        (
            false,
            [
                0.29700613021850586,
                2.4872071743011475,
                1.3487099409103394,
                0.6302863955497742,
                0.28221362829208374,
                1.752110481262207,
                1.769782304763794,
                1.2328094244003296,
            ],
            1.0641838312149048,
        ),
        (
            true,
            [
                0.23386767506599426,
                1.8217641115188599,
                2.020206928253174,
                0.7367927432060242,
                0.19691285490989685,
                1.192821741104126,
                2.300560712814331,
                1.1368114948272705,
            ],
            1.0593440532684326,
        ),
    ];
    for (scale, picked, mean) in recorded {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), &unet(scale), "state_dicts.ema_model.model.");
        let policy = DiffusionPolicy::read(&path, &Device::flex()).unwrap();
        let config = policy.config();
        assert_eq!(
            (config.observation, config.action, config.steps),
            (6, 32, 100)
        );
        let (chunks, seen) = (wave(64), wave(12));
        let rows: Vec<(&[f32], &[f32], usize)> = vec![
            (&seen[..6], &chunks[..32], 3),
            (&seen[6..], &chunks[32..], 70),
        ];
        let noise: Vec<f64> = policy.predicted(&rows).into_iter().map(f64::from).collect();
        let found: Vec<f64> = noise.iter().step_by(8).copied().collect();
        near("noise", &found, &picked);
        let size = noise.iter().map(|x| x.abs()).sum::<f64>() / noise.len() as f64;
        near("mean", &[size], &[mean]);
        // Kept as a file of ours it draws the same.
        let ours = folder.path().join("ours.safetensors");
        policy.write(&ours).unwrap();
        let again = DiffusionPolicy::read(&ours, &Device::flex()).unwrap();
        assert_eq!(policy.predicted(&rows), again.predicted(&rows));
    }
}
