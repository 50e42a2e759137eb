//! Frozen networks with generated adapters.

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights};
use learning::hyperfl::Targets;
use learning::hyperfl::lpm::{LpmResnet, LpmVit, ResnetConfig, VitConfig};

use super::*;

#[test]
fn lpm_vit() {
    for case in all("lpm_vit") {
        let size = |key: &str| case.usize(&format!("config.{key}"));
        let config = VitConfig {
            side: size("img"),
            patch: size("patch"),
            width: size("dim"),
            depth: size("depth"),
            heads: size("heads"),
            mlp_ratio: size("mlp_ratio_of_blocks"),
            reduction: size("reduction"),
            qkv_bias: case.bool("config.qkv_bias"),
            block_eps: case.f32("config.block_norm_eps"),
            final_eps: case.f32("config.final_norm_eps"),
            classes: size("classes"),
        };
        let hyper = config.hypernetwork(size("embed_dim"), size("hidden_dim"));
        let phi = hyper.layout.read(case.weights(), "hypernetwork.").unwrap();
        let embedding = case.values("client_embedding.weight");
        let vit = LpmVit::read(config, case.weights(), "base.").unwrap();
        let head = [case.values("fc.weight"), case.values("fc.bias")].concat();
        let made = hyper.generate(&phi, &embedding);
        let x = case.values("x");
        let pass = vit.forward(&made.theta, &head, &x).unwrap();
        close(
            &case,
            "features",
            &pass.features,
            &case.values("features"),
            [0.0, 1e-4],
        );
        close(
            &case,
            "logits",
            &pass.logits,
            &case.values("logits"),
            [0.0, 1e-4],
        );
        let what = case.str("what");
        let listed = what
            .split("labels [")
            .nth(1)
            .and_then(|rest| rest.split(']').next());
        let labels = listed
            .unwrap()
            .split(',')
            .map(|label| label.trim().parse().unwrap());
        let targets = Targets::Labels(labels.collect());
        let (loss, theta, _) = vit.gradient(&made.theta, &head, &x, &targets).unwrap();
        close(&case, "loss", &[loss], &case.values("loss"), [0.0, 1e-4]);
        let grad = hyper.backward(&phi, &made, theta);
        let dense = hyper.dense(&grad);
        let tolerances = [1e-3, 1e-6];
        let name = |name: &str| format!("grad.hypernetwork.{name}");
        let seen = tensors(&case, (&hyper.layout, &dense), name, None, tolerances);
        assert_eq!(seen, hyper.layout.slots().len());
        let expected = case.values("grad.client_embedding.weight");
        close(&case, "embedding", &grad.embedding, &expected, tolerances);
    }
}

#[test]
fn gradients_of_the_residual_adapters_agree_with_differences() {
    let config = ResnetConfig {
        side: 32,
        planes: [4, 6, 8, 10],
        hidden: 5,
        classes: 3,
    };
    let mut rng = Rng::new(2);
    let mut file = TensorFile::new();
    let layout = config.layout();
    for slot in layout
        .slots()
        .iter()
        .filter(|slot| !slot.name.starts_with("hidden"))
    {
        let draw = |rng: &mut Rng| match slot.name.contains("running_var") {
            true => 0.5 + rng.uniform(),
            false => 0.3 * rng.normal(),
        };
        let values: Vec<f32> = slot.range.clone().map(|_| draw(&mut rng)).collect();
        file.floats(&slot.name, &slot.shape, &values, Precision::F32)
            .unwrap();
    }
    let weights = Weights::from_bytes(file.to_bytes()).unwrap();
    let hidden = rng.normals(5 * 11);
    let net = LpmResnet::read(config.clone(), &weights, &hidden).unwrap();
    let hyper = config.hypernetwork(4, 3);
    let theta = hyper
        .generate(&rng.normals(hyper.layout.len()), &rng.normals(4))
        .theta;
    let head = rng.normals(3 * 6);
    let x = rng.normals(2 * 3 * 32 * 32);
    let targets = Targets::Labels(vec![0, 2]);
    let mut running = net.running();
    let (_, of_theta, of_head) = net
        .gradient(&theta, &head, &x, &targets, &mut running)
        .unwrap();
    assert_ne!(running, net.running(), "the statistics follow the batch");
    let loss = |theta: &[f32], head: &[f32]| {
        net.gradient(theta, head, &x, &targets, &mut net.running())
            .unwrap()
            .0
    };
    let (mut along, mut expected) = (rng.normals(theta.len()), 0.0);
    let along_head = rng.normals(head.len());
    // Large tensors must not drown the small ones.
    along.iter_mut().for_each(|v| *v *= 0.1);
    expected += along
        .iter()
        .zip(&of_theta)
        .map(|(a, b)| f64::from(a * b))
        .sum::<f64>();
    expected += along_head
        .iter()
        .zip(&of_head)
        .map(|(a, b)| f64::from(a * b))
        .sum::<f64>();
    let moved = |by: f32| {
        let step = |v: &[f32], along: &[f32]| -> Vec<f32> {
            v.iter().zip(along).map(|(v, a)| v + by * a).collect()
        };
        f64::from(loss(&step(&theta, &along), &step(&head, &along_head)))
    };
    let best = [1e-3, 3e-3, 1e-2]
        .map(|by| ((moved(by) - moved(-by)) / (2.0 * f64::from(by)) / expected - 1.0).abs())
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    println!("derivative {expected}, relative difference {best}");
    assert!(best < 0.02, "{best}");
    let logits = net.forward(&theta, &head, &x, &running).unwrap();
    assert_eq!(logits.len(), 6);
}
