//! What systems do to attention from outside, each in a few lines.

use std::collections::BTreeMap;

use base::fixtures::Case;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use engine::burn;
use engine::models::unet2d::UnetConditions;
use engine::nn::{AttentionCall, AttentionHooks, CrossAttention};
use engine::ops::{self, AttentionMask};
use engine::weights::{CaseTensor, KeyMap, load};
use serde_json::Value;

use crate::{added, each, row, same, text, times, unet};

/// Keys and values of every self-attention come from one frame, or from each frame and that one.
pub struct Anchor {
    pub frame: usize,
    pub own: bool,
}

impl AttentionHooks for Anchor {
    fn attention(&mut self, call: AttentionCall<'_>) -> Tensor<3> {
        if call.context.is_some() {
            return call.plain();
        }
        let own = call.layer.keys_values(call.x.clone());
        let anchor = own.clone().map(|all| {
            let shape = all.dims();
            row(&all, self.frame).expand(shape)
        });
        let [keys, values] = match self.own {
            true => {
                let [[k, v], [of_k, of_v]] = [own, anchor];
                [Tensor::cat(vec![k, of_k], 1), Tensor::cat(vec![v, of_v], 1)]
            }
            false => anchor,
        };
        let queries = call.layer.queries(call.x.clone());
        let seen = call
            .layer
            .attend(queries, [keys, values], &AttentionMask::default());
        call.layer.to_out.forward(seen)
    }
}

/// Decoupled cross-attention: the last tokens of the context have keys and values of their own.
pub struct Decoupled<'a> {
    pub case: &'a Case,
    /// Where the two weights of an attention are, by its official name.
    pub weights: BTreeMap<String, String>,
    pub tokens: usize,
    pub scale: f32,
}

impl Decoupled<'_> {
    fn attend(
        &self,
        layer: &CrossAttention,
        x: Tensor<3>,
        context: Tensor<3>,
        place: &str,
        mask: &AttentionMask,
    ) -> Tensor<3> {
        let text = context.dims()[1] - self.tokens;
        let own = context.clone().narrow(1, text, self.tokens);
        let pair = ["to_k_ip", "to_v_ip"].map(|name| {
            let weight = self
                .case
                .tensor::<2>(&format!("{place}.{name}.weight"), &Device::default());
            layer.split(ops::linear(own.clone(), weight, None))
        });
        let queries = layer.queries(x);
        let plain = layer.attend(
            queries.clone(),
            layer.keys_values(context.narrow(1, 0, text)),
            &AttentionMask::default(),
        );
        let seen = layer.attend(queries, pair, mask);
        layer.to_out.forward(plain + seen * self.scale)
    }
}

impl AttentionHooks for Decoupled<'_> {
    fn attention(&mut self, call: AttentionCall<'_>) -> Tensor<3> {
        match (self.weights.get(call.name), &call.context) {
            (Some(place), Some(context)) => self.attend(
                call.layer,
                call.x.clone(),
                context.clone(),
                place,
                &AttentionMask::default(),
            ),
            _ => call.plain(),
        }
    }
}

#[test]
fn decoupled_attention_by_itself() {
    each("fiva", "ip_attention", |case| {
        let device = Device::default();
        let weights = case.weights().within("attn");
        let [width, context] = ["to_q.weight", "to_k.weight"].map(|n| weights.shape(n).unwrap()[1]);
        let rng = &mut base::rng::Rng::new(0);
        let layer = CrossAttention::new(width, context, case.usize("heads"), rng, &device);
        let keys = KeyMap::new().rename("to_out.0", "to_out");
        let layer = load(layer, &weights, &keys).unwrap();
        let hooks = Decoupled {
            case,
            weights: BTreeMap::new(),
            tokens: case.usize("num_tokens"),
            scale: case.f32("scale"),
        };
        let [x, context]: [Tensor<3>; 2] = ["x", "context"].map(|name| case.tensor(name, &device));
        let none = AttentionMask::default();
        same(case, "out", hooks.attend(&layer, x, context, "ip", &none));
    });
}

#[test]
fn an_image_adapter_on_a_unet() {
    each("fiva", "adapter_unet", |case| {
        let device = Device::default();
        let network = unet(case, "unet");
        let places = case.json["ip_layer_index_to_processor"]
            .as_object()
            .unwrap();
        let weights: BTreeMap<String, String> = places
            .iter()
            .map(|(index, module)| {
                let module = module.as_str().unwrap().trim_end_matches(".processor");
                (module.to_owned(), format!("ip_adapter.{index}"))
            })
            .collect();
        let context: Tensor<3> = case.tensor("text_context", &device);
        let x: Tensor<4> = case.tensor("x", &device);
        let ran: Vec<&str> = case
            .weights()
            .names()
            .filter(|name| name.starts_with("noise_"))
            .collect();
        assert!(!ran.is_empty());
        for name in ran {
            // `noise_scale1`, `noise_scale06` for 0.6, `noise_uncond_tokens_scale06`.
            let (kind, scale) = name.rsplit_once("scale").unwrap();
            let scale = match scale.strip_prefix('0') {
                Some(after) if !after.is_empty() => format!("0.{after}"),
                _ => scale.to_owned(),
            };
            let tokens = match kind {
                "noise_uncond_tokens_" => "uncond_tokens",
                _ => "tokens_two_refs",
            };
            let tokens: Tensor<3> = case.tensor(tokens, &device);
            let mut hooks = Decoupled {
                case,
                weights: weights.clone(),
                tokens: tokens.dims()[1],
                scale: scale.parse().unwrap(),
            };
            let conditions = UnetConditions {
                added: Some(added(case)),
                ..text(Tensor::cat(vec![context.clone(), tokens], 1))
            };
            let t = times(case, "timestep");
            same(
                case,
                name,
                network.forward(x.clone(), &t, &conditions, &mut hooks),
            );
        }
    });
}

/// Characters are seen in their boxes only, and a vector marks where dialogs are.
pub struct Manga<'a> {
    pub case: &'a Case,
    /// Sizes of the network.
    pub config: &'a Value,
    pub before: Option<Tensor<4>>,
    pub after: Option<Tensor<4>>,
}

impl<'a> Manga<'a> {
    pub fn new(case: &'a Case, config: &'a Value) -> Self {
        Self {
            case,
            config,
            before: None,
            after: None,
        }
    }

    /// Boxes `[batch][box][left, top, right, bottom]`.
    fn boxes(&self, name: &str) -> Vec<Vec<[f32; 4]>> {
        let count = self.case.weights().shape(name).unwrap()[1];
        let values = self.case.values(name);
        let boxes: Vec<[f32; 4]> = values.as_chunks::<4>().0.to_vec();
        boxes.chunks(count).map(<[_]>::to_vec).collect()
    }

    /// Which of the tail's tokens a place sees: a character's inside its box, the first ones outside of all.
    fn mask(&self, [height, width]: [usize; 2], tail: usize) -> AttentionMask {
        let boxes = self.boxes("bbox");
        let tokens = tail / (boxes[0].len() + 1);
        let along = |at: usize, of: usize| at as f32 / (of.max(2) - 1) as f32;
        let mut seen = Vec::new();
        for boxes in &boxes {
            for place in 0..height * width {
                let [x, y] = [along(place % width, width), along(place / width, height)];
                let within: Vec<bool> = boxes
                    .iter()
                    .map(|b| b[0] <= x && x <= b[2] && b[1] <= y && y <= b[3])
                    .collect();
                let outside = !within.contains(&true);
                for visible in std::iter::once(outside).chain(within) {
                    seen.extend(vec![visible; tokens]);
                }
            }
        }
        let shape = [boxes.len(), 1, height * width, tail];
        let seen: Tensor<4, Bool> =
            Tensor::from_data(TensorData::new(seen, shape), &Device::default());
        AttentionMask {
            pairs: Some(seen),
            ..AttentionMask::default()
        }
    }
}

impl AttentionHooks for Manga<'_> {
    fn attention(&mut self, call: AttentionCall<'_>) -> Tensor<3> {
        let Some(context) = call.context.clone() else {
            return call.plain();
        };
        let number = |name: &str| self.config[name].as_f64().unwrap();
        let tail = (number("max_num_ips") as usize + 1) * number("num_vision_tokens") as usize;
        let scale = number("ip_scale") as f32;
        let branch = Decoupled {
            case: self.case,
            weights: BTreeMap::new(),
            tokens: tail,
            scale,
        };
        let mask = self.mask(call.size, tail);
        let place = format!("w.{}.processor", call.name);
        branch.attend(call.layer, call.x.clone(), context, &place, &mask)
    }

    fn features(&mut self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        self.before = Some(x.clone());
        let mut inside = vec![0.0f32; batch * height * width];
        for (row, boxes) in self.boxes("dialog_bbox").iter().enumerate() {
            for b in boxes {
                let cells = |from: f32, to: f32, of: usize| {
                    (from * of as f32) as usize..((to * of as f32) as usize).min(of)
                };
                for y in cells(b[1], b[3], height) {
                    for x in cells(b[0], b[2], width) {
                        inside[(row * height + y) * width + x] = 1.0;
                    }
                }
            }
        }
        let inside = TensorData::new(inside, [batch, 1, height, width]);
        let inside: Tensor<4> = Tensor::from_data(inside, &x.device());
        let vector = self
            .case
            .tensor::<1>("w.dialog_bbox_embedding", &x.device())
            .reshape([1, channels, 1, 1]);
        let after = x + inside * vector;
        self.after = Some(after.clone());
        after
    }
}

#[test]
fn capture_by_name_and_replace() {
    each("fiva", "adapter_unet", |case| {
        let device = Device::default();
        let network = unet(case, "unet");
        let conditions = UnetConditions {
            added: Some(added(case)),
            ..text(case.tensor("text_context", &device))
        };
        let x: Tensor<4> = case.tensor("x", &device);
        let t = times(case, "timestep");
        let plain = network.forward(x.clone(), &t, &conditions, &mut ());
        // What was captured, put back, changes nothing; zeros do.
        let mut taken: Vec<(String, Tensor<3>)> = Vec::new();
        let mut capture = |call: AttentionCall<'_>| {
            let out = call.plain();
            taken.push((call.name.to_owned(), out.clone()));
            out
        };
        let watched = network.forward(x.clone(), &t, &conditions, &mut capture);
        assert_eq!(watched.into_data(), plain.clone().into_data());
        let names: Vec<&str> = taken.iter().map(|(name, _)| name.as_str()).collect();
        for module in case.json["ip_layer_index_to_processor"]
            .as_object()
            .unwrap()
            .values()
        {
            let module = module.as_str().unwrap().trim_end_matches(".processor");
            assert!(names.contains(&module), "{module} is not among {names:?}");
        }
        let mut stored = taken.iter();
        let mut replace = |_: AttentionCall<'_>| stored.next().unwrap().1.clone();
        let same = network.forward(x.clone(), &t, &conditions, &mut replace);
        assert_eq!(same.into_data(), plain.clone().into_data());
        let mut silence = |call: AttentionCall<'_>| call.x.zeros_like();
        let other = network.forward(x, &t, &conditions, &mut silence);
        assert_ne!(other.into_data(), plain.into_data());
    });
}
