//! Local work, averages, noise and splits.

use base::rng::Rng;
use learning::hyperfl::partition::{LabelSplit, emnist_groups, ten_class_groups};
use learning::hyperfl::{
    HyperModel, Noise, SAMPLE_CLIP, centaur_update, dp_fedavg_update, fedavg_update,
    hyperfl_update, noise_multiplier, ppsgd_update, weighted_mean,
};

use super::*;

#[test]
fn hyperfl_round() {
    for case in all("hyperfl_round") {
        let tolerances = [
            tolerance(&case, "rtol", 2e-4),
            tolerance(&case, "atol", 2e-5),
        ];
        let net = network(case.str("config.model"), case.usize("config.num_classes"));
        let model = HyperModel::new(
            net,
            case.usize("config.embed_dim"),
            case.usize("config.hidden_dim"),
        );
        let phi = model
            .hyper
            .layout
            .read(case.weights(), "init.hypernetwork.")
            .unwrap();
        let config = local_config(&case);
        let clients = case.get("clients").unwrap().as_array().unwrap().len();
        let mut updates = Vec::new();
        for client in 0..clients {
            let own = format!("client{client}");
            let mut params = phi.clone();
            params.extend(case.values(&format!("{own}.embedding.init")));
            for name in ["weight", "bias"] {
                params.extend(case.values(&format!("init.target_model.fc2.{name}")));
            }
            let batches = batches(&case, &format!("{own}."));
            // The generated extractor, and what it makes of the first batch.
            let network = model.network_params(&params);
            let generated = (&model.net.layout, &network[..]);
            tensors(
                &case,
                generated,
                |name| format!("{own}.gen0.{name}"),
                None,
                tolerances,
            );
            let pass = model.net.forward(&network, &batches[0].pictures).unwrap();
            let logits = case.values(&format!("{own}.logits0"));
            // Logits of the official initialisation are in the hundreds: small ones are sums that cancel.
            let largest = logits
                .iter()
                .fold(0.0f32, |most, logit| most.max(logit.abs()));
            let scaled = [tolerances[0], tolerances[0] * f64::from(largest)];
            close(&case, "logits", &pass.logits, &logits, scaled);

            let epochs = vec![batches.clone(); case.usize("config.local_epoch_used")];
            let (losses, _) =
                hyperfl_update(&model, &mut params, &batches, &epochs, &config).unwrap();
            let at = format!("clients.{client}");
            let recorded = case.f64(&format!("{at}.loss_classifier_epoch"));
            near(
                &case,
                "loss of the classifier epoch",
                losses.first.into(),
                recorded,
                tolerances[0],
            );
            let recorded = case.f64(&format!("{at}.loss_last_hyper_epoch"));
            near(
                &case,
                "loss of the last epoch",
                losses.last.into(),
                recorded,
                tolerances[0],
            );
            close(
                &case,
                "embedding",
                &params[model.embedding()],
                &case.values(&format!("{own}.embedding.after")),
                tolerances,
            );
            let head = [
                case.values(&format!("{own}.fc2.weight.after")),
                case.values(&format!("{own}.fc2.bias.after")),
            ];
            close(
                &case,
                "head",
                &params[model.head()],
                &head.concat(),
                tolerances,
            );
            params.truncate(model.shared().end);
            let shared = (&model.hyper.layout, &params[..]);
            let seen = tensors(
                &case,
                shared,
                |name| format!("{own}.hyper.{name}.after"),
                None,
                tolerances,
            );
            assert!(seen > 0, "{}: no tensor of {own} was compared", case.name);
            updates.push((params, case.f64(&format!("{at}.n_samples"))));
        }
        let updates: Vec<(&[f32], f64)> = updates.iter().map(|(u, n)| (&u[..], *n)).collect();
        let server = weighted_mean(&updates).unwrap();
        let recorded = case.get("server_sums").map(|sums| (sums, ""));
        let shared = (&model.hyper.layout, &server[..]);
        let seen = tensors(
            &case,
            shared,
            |name| format!("server.hyper.{name}"),
            recorded,
            tolerances,
        );
        assert!(
            seen >= model.hyper.layout.slots().len(),
            "{}: {seen} compared",
            case.name
        );
    }
}

#[test]
fn baselines_step() {
    for case in all("baselines_step") {
        let tolerances = [
            tolerance(&case, "rtol", 5e-4),
            tolerance(&case, "atol", 2e-5),
        ];
        let net = network(case.str("config.model"), case.usize("config.num_classes"));
        let start = net.layout.read(case.weights(), "init.").unwrap();
        let config = local_config(&case);
        let batches = batches(&case, "");
        let epochs = [batches.clone()];
        let quiet = Noise {
            clip: SAMPLE_CLIP,
            sigma: 0.0,
        };
        let results = case.get("results").unwrap().as_object().unwrap();
        for (method, recorded) in results {
            let mut params = start.clone();
            let mut rng = Rng::new(0);
            let (p, rng) = (&mut params[..], &mut rng);
            let losses = match method.as_str() {
                "fedavg" | "local" => fedavg_update(&net, p, &epochs, &config),
                "dp_fedavg" => dp_fedavg_update(&net, p, &epochs, &config, quiet, rng),
                "centaur" => centaur_update(&net, p, &batches, &epochs, &config, quiet, rng),
                "ppsgd" => ppsgd_update(&net, p, &epochs, &config, quiet, rng),
                other => panic!("{}: unknown method `{other}`", case.name),
            }
            .unwrap();
            println!(
                "{method}: {losses:?}, recorded {} {}",
                recorded["loss_first"], recorded["loss_last"]
            );
            let layout = (&net.layout, &params[..]);
            let seen = tensors(
                &case,
                layout,
                |name| format!("{method}.{name}"),
                Some((recorded, ".sum")),
                tolerances,
            );
            assert!(
                seen > 0,
                "{}: no tensor of {method} was compared",
                case.name
            );
        }
    }
}

#[test]
fn dp_noise() {
    for case in all("dp_noise") {
        let cases = case.get("cases").unwrap().as_array().unwrap();
        for (at, recorded) in cases.iter().enumerate() {
            let number = |key: &str| recorded[key].as_f64().unwrap();
            let found = noise_multiplier(
                number("epsilon"),
                number("delta"),
                number("sample_rate"),
                number("epochs"),
            )
            .unwrap();
            let expected = number("sigma");
            println!("{} {at}: σ {found}, recorded {expected}", case.name);
            near(&case, "σ", found, expected, case.tolerance("sigma", 0.02));
        }
    }
}

#[test]
fn partition() {
    for case in all("partition") {
        let count = case.get("cases").unwrap().as_array().unwrap().len();
        for at in 0..count {
            let at = format!("cases.{at}");
            let classes = case.usize(&format!("{at}.classes"));
            let per_class = case.usize(&format!("{at}.per_class"));
            let function = case.str(&format!("{at}.function"));
            let labels: Vec<u8> = (0..classes)
                .flat_map(|class| vec![class as u8; per_class])
                .collect();
            let split = LabelSplit {
                clients: case.usize(&format!("{at}.users")),
                samples: case.usize(&format!("{at}.local_size")),
                even: case.usize(&format!("{at}.noniid_s")),
                groups: match function {
                    "emnist_noniid_s" => emnist_groups(),
                    _ => ten_class_groups(),
                },
                start: if function.starts_with("cifar") {
                    2000
                } else {
                    0
                },
            };
            let clients = split.assign(&labels, classes).unwrap();
            for (client, own) in clients.iter().enumerate() {
                let counts = learning::hyperfl::partition::histogram(&labels, own, classes);
                let counts: Vec<f64> = counts.into_iter().map(|count| count as f64).collect();
                let recorded = case.numbers(&format!("{at}.counts.{client}"));
                assert_eq!(counts, recorded, "{function}: client {client}");
            }
            println!("{function}: {} clients", clients.len());
        }
    }
}
