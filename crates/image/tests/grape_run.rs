//! The method with stand-ins for all who take part, and PixEdit on tiny random weights.
#![cfg(feature = "grape")]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Mutex;

use base::endpoint::{ChatError, ChatModel, Prompt, Reply, Request};
use base::media::Image;
use base::rng::Rng;
use burn::tensor::Device;
use engine::models::autoencoder_kl::{self, AutoencoderKlConfig};
use engine::models::pixart::{self, PixArtConfig};
use engine::models::t5_encoder::{self, T5EncoderConfig};
use engine::weights::{KeyMap, Precision, save};
use image_systems::grape::pipeline::{Components, Options, plan};
use image_systems::grape::pixedit::EditSettings;
use image_systems::grape::planner::{Ask, ModelPlanner};
use image_systems::grape::{Editor, Generator, Judge, Parser, PixEdit, Planner, SystemError, run};
use serde_json::json;

type Watch<'a> = &'a mut dyn FnMut(usize, usize) -> bool;

/// A picture whose first pixel says what was done.
fn picture(value: u8) -> Image {
    Image::filled(1, 1, [value; 3])
}

/// Draws its seed.
struct Seeds;

impl Generator for Seeds {
    fn draw(&mut self, _: &str, seed: u64, _: Watch<'_>) -> Result<Image, SystemError> {
        Ok(picture(seed as u8))
    }
}

/// Says prepared replies in order, and notes how it was asked.
struct Said(Mutex<Vec<&'static str>>, Mutex<Vec<Ask>>);

impl Said {
    fn new(replies: &[&'static str]) -> Self {
        let replies = replies.iter().rev().copied().collect();
        Self(Mutex::new(replies), Mutex::new(Vec::new()))
    }
}

impl Planner for Said {
    fn name(&self) -> &str {
        "said"
    }

    fn reply(&self, _: &Image, _: &str, ask: Ask) -> Result<Reply, SystemError> {
        self.1.lock().unwrap().push(ask);
        Ok(Reply::text(self.0.lock().unwrap().pop().unwrap()))
    }

    fn split(&self, _: &str) -> Result<Vec<String>, SystemError> {
        Ok(vec!["add 1".into(), "add 2".into()])
    }
}

/// Adds the number at the end of an instruction.
struct Adds;

impl Editor for Adds {
    fn name(&self) -> &str {
        "adds"
    }

    fn edit(
        &mut self,
        from: &Image,
        text: &str,
        _: u64,
        _: Watch<'_>,
    ) -> Result<Image, SystemError> {
        let number: i16 = text.rsplit(' ').next().unwrap().parse().unwrap();
        Ok(picture((i16::from(from.pixels[0]) + number) as u8))
    }
}

/// Is the picture brighter than the number of each question?
struct Brighter;

impl Judge for Brighter {
    fn answers(&self, it: &Image, questions: &[String]) -> Result<Vec<bool>, SystemError> {
        Ok(questions
            .iter()
            .map(|question| it.pixels[0] > question.parse().unwrap())
            .collect())
    }
}

fn made(
    replies: &[&'static str],
    verify: Option<&[String]>,
) -> (image_systems::grape::pipeline::Made, Vec<Ask>) {
    let planner = Said::new(replies);
    let mut components = Components {
        generator: &mut Seeds,
        planner: &planner,
        editor: &mut Adds,
        verify: verify.map(|questions| (&Brighter as &dyn Judge, questions)),
    };
    let options = Options {
        seed: 10,
        max_steps: 3,
        ..Options::default()
    };
    let made = run("a cat", &mut components, &options, &mut |_, _, _| true).unwrap();
    assert!(
        planner.0.lock().unwrap().is_empty(),
        "all replies were asked for"
    );
    let asked = planner.1.lock().unwrap().clone();
    (made, asked)
}

fn values(pictures: &[Image]) -> Vec<u8> {
    pictures.iter().map(|it| it.pixels[0]).collect()
}

#[test]
fn edits_follow_one_another_and_a_right_picture_stays() {
    let (found, _) = made(
        &["**Feedback**:\n- add 1.\n- add 2.\n- add 3.\n- add 4."],
        None,
    );
    assert_eq!(values(&found.pictures), [10, 11, 13, 16]);
    assert_eq!(
        (found.picture.pixels[0], found.trace.warnings.len()),
        (16, 1)
    );
    let (found, _) = made(&["No further feedback is necessary."], None);
    assert_eq!(
        (values(&found.pictures), found.plan.verdict.as_str()),
        (vec![10], "ok")
    );
}

#[test]
fn another_picture_is_drawn_twice_and_then_a_plan_is_wanted() {
    let (found, asked) = made(
        &[
            "<REGENERATE>",
            "<REGENERATE>",
            "<REGENERATE>",
            "**Feedback**:\n- add 5",
        ],
        None,
    );
    assert_eq!(values(&found.pictures), [12, 17]);
    assert_eq!(found.trace.drafts.len(), 3);
    let allowed: Vec<bool> = asked.iter().map(|it| it.regenerate).collect();
    assert_eq!(allowed, [true, true, true, false]);
    let (found, _) = made(&["<REGENERATE>", "**Feedback**:\n- add 5"], None);
    assert_eq!(values(&found.pictures), [11, 16]);
    let (found, _) = made(&["<REGENERATE>"; 4], None);
    assert_eq!(
        (values(&found.pictures), found.trace.warnings.len()),
        (vec![12], 1)
    );
}

#[test]
fn a_reply_that_cannot_be_read_is_asked_for_once_more() {
    let (found, asked) = made(&["A fine picture.", "**Feedback**:\n- add 1"], None);
    assert_eq!(values(&found.pictures), [10, 11]);
    assert!(asked[1].again && !asked[0].again);
    let (found, _) = made(&["A fine picture.", "Yes."], None);
    assert_eq!(
        (found.trace.edits.len(), found.trace.warnings.len()),
        (0, 1)
    );
}

#[test]
fn verification_undoes_what_makes_it_worse() {
    let questions = ["9".to_owned(), "11".to_owned()];
    let reply = "**Feedback**:\n- add -5.\n- add 2.\n- add 1.";
    let (found, _) = made(&[reply], Some(&questions));
    // 10 − 5 answers fewer; 12 more; 13 as many.
    assert_eq!(values(&found.pictures), [10, 5, 12, 13]);
    let kept: Vec<bool> = found.trace.edits.iter().map(|it| it.kept).collect();
    assert_eq!(
        (kept, found.picture.pixels[0]),
        (vec![false, true, true], 13)
    );
}

#[test]
fn long_instructions_are_split() {
    let long = format!("**Feedback**:\n- {}", "word ".repeat(41));
    let planner = Said::new(&[Box::leak(long.into_boxed_str())]);
    let (found, _) = plan(&planner, &picture(0), "a cat", &Options::default()).unwrap();
    assert_eq!(found.steps.len(), 2);
}

/// Notes what it is asked.
struct Noted(Mutex<Vec<Request>>);

impl ChatModel for &Noted {
    fn name(&self) -> &str {
        "noted"
    }

    fn reply(&self, request: &Request) -> Result<Reply, ChatError> {
        self.0.lock().unwrap().push(request.clone());
        Ok(Reply::text("No further feedback is necessary."))
    }
}

#[test]
fn a_model_is_shown_examples_and_the_picture_small_enough() {
    let noted = Noted(Mutex::new(Vec::new()));
    let planner = ModelPlanner::new(&noted, 8).unwrap();
    let ask = Ask {
        regenerate: true,
        again: false,
    };
    planner
        .reply(&Image::filled(3000, 1000, [9; 3]), "a \"cat\"", ask)
        .unwrap();
    let forced = Ask {
        regenerate: false,
        again: true,
    };
    planner.reply(&picture(1), "a cat", forced).unwrap();
    let asked = noted.0.lock().unwrap();
    let texts = |at: usize| match &asked[at].prompt {
        Prompt::Chat(all) => all.clone(),
        Prompt::Raw(_) => panic!("a conversation"),
    };
    let first = texts(0);
    assert_eq!(first.len(), 1 + 2 * 8 + 1);
    assert!(first[0].content.contains("<REGENERATE>"));
    assert!(!texts(1)[0].content.contains("<REGENERATE>"));
    assert_eq!(
        first.last().unwrap().content,
        "Textual Prompt: \"a \"cat\"\""
    );
    assert!(
        first
            .iter()
            .skip(1)
            .step_by(2)
            .all(|it| it.pictures.len() == 1)
    );
    assert_eq!([asked[0].temperature, asked[1].temperature], [0.0, 0.7]);
    let answer = &first[2].content;
    assert!(Parser::Official.parse(answer).is_some() && answer.contains("**Image Elements**:"));
}

/// Tiny random parts of PixEdit in a folder: VAE, T5, tokenizer.
fn parts(folder: &Path, width: usize) {
    let device = Device::flex();
    let rng = &mut Rng::new(1);
    let write = |name: &str, value: serde_json::Value| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value.to_string()).unwrap();
    };
    let vae = AutoencoderKlConfig {
        block_out_channels: vec![4; 4],
        layers_per_block: 1,
        norm_num_groups: 2,
        scaling_factor: 0.13025,
        ..AutoencoderKlConfig::default()
    };
    write("vae/config.json", serde_json::to_value(&vae).unwrap());
    let file = folder.join("vae/diffusion_pytorch_model.safetensors");
    let keys = autoencoder_kl::key_map();
    save(&vae.init(rng, &device), &keys, &[], Precision::F32, file).unwrap();
    let t5 = T5EncoderConfig {
        vocab_size: 8,
        d_model: width,
        d_kv: 4,
        d_ff: 16,
        num_layers: 1,
        num_heads: 2,
        ..T5EncoderConfig::default()
    };
    write(
        "text_encoder/config.json",
        serde_json::to_value(&t5).unwrap(),
    );
    let file = folder.join("text_encoder/model.safetensors");
    let keys = t5_encoder::key_map();
    save(&t5.init(rng, &device), &keys, &[], Precision::F32, file).unwrap();
    let pieces = json!([
        ["<pad>", 0.0],
        ["</s>", 0.0],
        ["<unk>", 0.0],
        ["▁add", -1.0],
        ["▁a", -1.0],
        ["▁cat", -1.0]
    ]);
    let special = |id: usize, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    write(
        "tokenizer/tokenizer.json",
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": [special(0, "<pad>"), special(1, "</s>"), special(2, "<unk>")],
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
            "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
            "model": {"type": "Unigram", "unk_id": 2, "vocab": pieces, "byte_fallback": false},
        }),
    );
    write(
        "tokenizer/tokenizer_config.json",
        json!({"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}),
    );
}

fn transformer(path: &Path, channels: usize) {
    let config = PixArtConfig {
        num_attention_heads: 16,
        attention_head_dim: 4,
        in_channels: channels,
        out_channels: 8,
        num_layers: 1,
        sample_size: 64,
        patch_size: 2,
        caption_channels: 12,
        interpolation_scale: None,
    };
    let network = config.init(&mut Rng::new(2), &Device::flex());
    // The patches of a file are a convolution's.
    let mut file = engine::weights::TensorFile::new();
    engine::weights::collect(
        &network,
        &KeyMap::clone(&pixart::key_map()),
        Precision::F32,
        &mut file,
    )
    .unwrap();
    file.write(path).unwrap();
    let flat = engine::weights::Weights::open(path).unwrap();
    let mut file = engine::weights::TensorFile::new();
    for name in flat.names() {
        let shape = match name {
            "pos_embed.proj.weight" => vec![64, channels, 2, 2],
            _ => flat.shape(name).unwrap().to_vec(),
        };
        file.floats(name, &shape, &flat.values(name).unwrap(), Precision::F32)
            .unwrap();
    }
    file.write(path).unwrap();
}

#[test]
fn pixedit_edits_with_kept_captions() {
    let folder = tempfile::tempdir().unwrap();
    let (base, kept) = (folder.path().join("parts"), folder.path().join("captions"));
    let weights = folder.path().join("pixedit.safetensors");
    parts(&base, 12);
    transformer(&weights, 8);
    let open = |settings: EditSettings| {
        PixEdit::open(
            &weights,
            &base,
            Some(&kept),
            settings,
            false,
            &Device::flex(),
        )
    };
    let settings = EditSettings {
        steps: 1,
        ..EditSettings::default()
    };
    let from = Image::filled(40, 20, [200, 30, 90]);
    let edit = |text: &str, seed: u64| {
        let mut editor = open(settings).unwrap();
        editor.edit(&from, text, seed, &mut |_, _| true)
    };
    let first = edit("add a cat", 1).unwrap();
    assert_eq!([first.width, first.height], [512, 512]);
    assert_ne!(first, edit("add a cat", 2).unwrap());
    // Known captions need no text encoder.
    std::fs::remove_dir_all(base.join("text_encoder")).unwrap();
    assert_eq!(first, edit("add a cat", 1).unwrap());
    assert!(edit("a cat", 1).is_err());
    // PixArt itself reads no picture.
    transformer(&weights, 4);
    let Err(error) = open(settings) else {
        panic!("four channels");
    };
    assert!(error.to_string().contains("reads 4 channels"), "{error}");
}
