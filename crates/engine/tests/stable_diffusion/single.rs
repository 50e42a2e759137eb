//! Models in one file: safetensors, and GGUF as stable-diffusion.cpp writes them.

use std::path::Path;

use engine::models::stable_diffusion::{OpenOptions, Request};
use engine::nn::WeightKind;
use engine::weights::{Precision, TensorFile, Weights};

use crate::gguf::{Meta, Tensor, file};
use crate::pipeline::{draw, open_with, request};
use crate::tiny::{Tiny, tokenizer};

/// A tensor: name, shape, values.
type Named = (String, Vec<usize>, Vec<f32>);

fn tensors(path: &Path) -> Vec<Named> {
    let file = Weights::open(path).unwrap();
    let each = file.names().map(|name| {
        let shape = file.shape(name).unwrap().to_vec();
        (name.to_owned(), shape, file.values(name).unwrap())
    });
    each.collect()
}

/// `name` with the first beginning of `pairs` that it has replaced.
fn renamed(name: &str, pairs: &[(&str, &str)]) -> String {
    let found = pairs
        .iter()
        .find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)));
    found.unwrap_or_else(|| name.to_owned())
}

/// The U-Net of [`Tiny`] by its original names.
fn unet(name: &str) -> String {
    let places = [
        ("conv_in", "input_blocks.0.0"),
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("add_embedding.linear_1", "label_emb.0.0"),
        ("add_embedding.linear_2", "label_emb.0.2"),
        ("down_blocks.0.resnets.0", "input_blocks.1.0"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks.2.0.op"),
        ("down_blocks.1.resnets.0", "input_blocks.3.0"),
        ("down_blocks.1.attentions.0", "input_blocks.3.1"),
        ("mid_block.resnets.0", "middle_block.0"),
        ("mid_block.attentions.0", "middle_block.1"),
        ("mid_block.resnets.1", "middle_block.2"),
        ("up_blocks.0.resnets.0", "output_blocks.0.0"),
        ("up_blocks.0.attentions.0", "output_blocks.0.1"),
        ("up_blocks.0.resnets.1", "output_blocks.1.0"),
        ("up_blocks.0.attentions.1", "output_blocks.1.1"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.1.2.conv"),
        ("up_blocks.1.resnets.0", "output_blocks.2.0"),
        ("up_blocks.1.resnets.1", "output_blocks.3.0"),
        ("conv_norm_out", "out.0"),
        ("conv_out", "out.2"),
    ];
    let mut found = renamed(name, &places);
    if name.contains("resnets") {
        for (from, to) in [
            ("norm1", "in_layers.0"),
            ("conv1", "in_layers.2"),
            ("time_emb_proj", "emb_layers.1"),
            ("norm2", "out_layers.0"),
            ("conv2", "out_layers.3"),
            ("conv_shortcut", "skip_connection"),
        ] {
            found = found.replace(from, to);
        }
    }
    format!("model.diffusion_model.{found}")
}

/// Its autoencoder.
fn vae(name: &str) -> String {
    let mut found = name.to_owned();
    for (from, to) in [
        ("down_blocks.0.downsamplers.0", "down.0.downsample"),
        ("up_blocks.0.upsamplers.0", "up.1.upsample"),
        ("down_blocks.0.resnets", "down.0.block"),
        ("down_blocks.1.resnets", "down.1.block"),
        ("up_blocks.0.resnets", "up.1.block"),
        ("up_blocks.1.resnets", "up.0.block"),
        ("mid_block.resnets.0", "mid.block_1"),
        ("mid_block.resnets.1", "mid.block_2"),
        ("mid_block.attentions.0", "mid.attn_1"),
        ("group_norm", "norm"),
        ("to_q", "q"),
        ("to_k", "k"),
        ("to_v", "v"),
        ("to_out.0", "proj_out"),
        ("conv_norm_out", "norm_out"),
        ("conv_shortcut", "nin_shortcut"),
    ] {
        found = found.replace(from, to);
    }
    format!("first_stage_model.{found}")
}

/// An OpenCLIP tower: projections of queries, keys and values in one tensor, the last projection turned round. Its names are
/// OpenCLIP's, or transformers' where `cpp`.
fn open_clip(tower: &[Named], cpp: bool) -> Vec<Named> {
    let mut out: Vec<Named> = Vec::new();
    for (name, shape, values) in tower {
        let name = name.strip_prefix("text_model.").unwrap_or(name);
        let mut name = match cpp {
            true => format!("text_model.{name}"),
            false => name
                .replace("embeddings.token_embedding", "token_embedding")
                .replace(
                    "embeddings.position_embedding.weight",
                    "positional_embedding",
                )
                .replace("final_layer_norm", "ln_final")
                .replace("encoder.layers", "transformer.resblocks")
                .replace("layer_norm", "ln_")
                .replace("mlp.fc1", "mlp.c_fc")
                .replace("mlp.fc2", "mlp.c_proj")
                .replace("self_attn", "attn"),
        };
        let (mut shape, mut values) = (shape.clone(), values.clone());
        if name.ends_with("text_projection.weight") {
            name = name.replace(".weight", "");
            let [rows, columns] = [shape[0], shape[1]];
            values = (0..rows * columns)
                .map(|at| values[at % rows * columns + at / rows])
                .collect();
            shape.reverse();
        }
        for part in ["k_proj", "q_proj", "v_proj"] {
            if name.contains(part) {
                let dot = if cpp { "in_proj." } else { "in_proj_" };
                name = name.replace(&format!("{part}."), dot);
            }
        }
        out.push((name, shape, values));
    }
    // Keys come first by name; queries do in the tensor.
    let mut joined: Vec<Named> = Vec::new();
    let mut parts: Vec<Named> = Vec::new();
    for (name, shape, values) in out {
        if !name.contains("in_proj") {
            joined.push((name, shape, values));
            continue;
        }
        parts.push((name, shape, values));
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    for three in parts.chunks(3) {
        let [k, q, v] = three else { panic!() };
        let mut shape = q.1.clone();
        shape[0] *= 3;
        joined.push((q.0.clone(), shape, [&q.2[..], &k.2, &v.2].concat()));
    }
    joined
}

/// A model of [`Tiny`] by the names of single files, or by those of stable-diffusion.cpp's conversions.
fn whole(folder: &Path, xl: bool, cpp: bool) -> Vec<Named> {
    let at = |part: &str, name: &str| tensors(&folder.join(part).join(name));
    let mut all = Vec::new();
    let stem = "diffusion_pytorch_model.safetensors";
    for (name, shape, values) in at("unet", stem) {
        all.push((unet(&name), shape, values));
    }
    for (name, mut shape, values) in at("vae", stem) {
        if name.contains("attentions") && shape.len() == 2 {
            shape.extend([1, 1]);
        }
        all.push((vae(&name), shape, values));
    }
    let first = if xl && !cpp {
        "conditioner.embedders.0.transformer."
    } else {
        "cond_stage_model.transformer."
    };
    for (name, shape, values) in at("text_encoder", "model.safetensors") {
        all.push((format!("{first}{name}"), shape, values));
    }
    if xl {
        let place = match cpp {
            true => "cond_stage_model.1.transformer.",
            false => "conditioner.embedders.1.model.",
        };
        let tower = at("text_encoder_2", "model.safetensors");
        for (name, shape, values) in open_clip(&tower, cpp) {
            all.push((format!("{place}{name}"), shape, values));
        }
    }
    all
}

fn safetensors(path: &Path, tensors: &[Named]) {
    let mut file = TensorFile::new();
    for (name, shape, values) in tensors {
        file.floats(name, shape, values, Precision::F32).unwrap();
    }
    file.write(path).unwrap();
}

/// Values in blocks of `Q8_0`.
fn blocks(values: &[f32]) -> Vec<u8> {
    let of = |block: &[f32]| {
        let most = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let scale = half::f16::from_f32(most / 127.0);
        let values = block
            .iter()
            .map(move |x| (x / scale.to_f32()).round() as i8 as u8);
        scale
            .to_le_bytes()
            .into_iter()
            .chain(values)
            .collect::<Vec<u8>>()
    };
    values.chunks(32).flat_map(of).collect()
}

fn gguf(path: &Path, tensors: &[Named], quantised: bool) -> Vec<u8> {
    let of = |(name, shape, values): &Named| -> Tensor {
        let plain = ["embed", "label_emb"]
            .iter()
            .any(|part| name.contains(part));
        let whole = shape.len() == 2 && shape[1] % 32 == 0;
        let (kind, bytes) = match quantised && whole && !plain {
            true => (8, blocks(values)),
            false => (0, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        };
        (name.clone(), kind, shape.clone(), bytes)
    };
    let tensors: Vec<Tensor> = tensors.iter().map(of).collect();
    let bytes = file(&[], &tensors);
    std::fs::write(path, &bytes).unwrap();
    bytes
}

fn of_16(request: Request) -> Request {
    let mut request = request;
    (request.width, request.height) = (16, 16);
    request.sampling.sampler = "ddim".parse().unwrap();
    request
}

#[test]
fn a_gguf_file_draws_what_the_checkpoint_does() {
    for xl in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let tiny = Tiny {
            xl,
            ..Tiny::default()
        };
        tiny.write(&at("folder"));
        tokenizer(&at("tokenizer"));
        let original = whole(&at("folder"), xl, false);
        safetensors(&at("one.safetensors"), &original);
        gguf(&at("one.gguf"), &original, false);
        gguf(&at("cpp.gguf"), &whole(&at("folder"), xl, true), false);
        let drawn = |name: &str, weights: WeightKind| {
            let options = OpenOptions {
                weights,
                ..OpenOptions::default()
            };
            let model = open_with(&at(name), options).unwrap();
            draw(&model, &of_16(request(&model))).remove(0).pixels
        };
        for kind in WeightKind::ALL {
            let wanted = drawn("one.safetensors", kind);
            assert_eq!(drawn("one.gguf", kind), wanted, "{xl} {kind}");
            assert_eq!(drawn("cpp.gguf", kind), wanted, "{xl} {kind}");
        }
        // Blocks stay blocks, whatever is asked for beside them.
        let exact = drawn("one.safetensors", WeightKind::F32);
        for (name, cpp) in [("q8.gguf", false), ("q8-cpp.gguf", true)] {
            gguf(&at(name), &whole(&at("folder"), xl, cpp), true);
            let found = drawn(name, WeightKind::F32);
            let off = crate::kinds::apart(&found, &exact);
            assert!(off > 0.0 && off < 8.0, "{name}: {off}");
        }
    }
}

#[test]
fn gguf_files_that_hold_no_whole_model() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    Tiny::default().write(&at("folder"));
    tokenizer(&at("tokenizer"));
    let mut original = whole(&at("folder"), false, false);
    let bytes = gguf(&at("one.gguf"), &original, true);
    let refused = |name: &str, wanted: &str| {
        let error = open_with(&at(name), OpenOptions::default()).unwrap_err();
        let line = error.to_string();
        assert!(line.contains(wanted) && !line.contains('\n'), "{line}");
    };
    for length in [0, 2, 7, 40, bytes.len() / 20, bytes.len() - 1000] {
        std::fs::write(at("cut.gguf"), &bytes[..length]).unwrap();
        refused("cut.gguf", "not a whole GGUF file");
    }
    let words = ("token_embd.weight".to_owned(), 0, vec![2, 32], vec![0; 256]);
    let kind = |kind| vec![("general.architecture".to_owned(), Meta::Text(kind))];
    std::fs::write(at("llama.gguf"), file(&kind("llama"), &[words])).unwrap();
    refused("llama.gguf", "a language model (`llama`)");
    std::fs::write(at("flux.gguf"), file(&kind("flux"), &[])).unwrap();
    refused("flux.gguf", "of the kind `flux`");
    let alone: Vec<Named> = original
        .iter()
        .filter_map(|(name, shape, values)| {
            let name = name.strip_prefix("model.diffusion_model.")?;
            Some((name.to_owned(), shape.clone(), values.clone()))
        })
        .collect();
    gguf(&at("alone.gguf"), &alone, false);
    refused("alone.gguf", "a U-Net alone");
    let name = "model.diffusion_model.middle_block.1.proj_in.weight";
    let mut other: Vec<Tensor> = Vec::new();
    for (found, shape, values) in &original {
        let kind = if found == name { 16 } else { 0 };
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        other.push((found.clone(), kind, shape.clone(), bytes));
    }
    std::fs::write(at("iq.gguf"), file(&[], &other)).unwrap();
    refused("iq.gguf", "IQ2_XXS");
    original.retain(|(found, ..)| found != name);
    gguf(&at("less.gguf"), &original, true);
    refused("less.gguf", "mid_block.attentions.0.proj_in.weight");
}
