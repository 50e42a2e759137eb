//! The call that the command and the server make.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use base::media::Image;
use burn::tensor::Device;
use video::stiv::{GenerationParams, GivenFrame, embedded};

fn quick(prompt: &str, video: bool) -> GenerationParams {
    GenerationParams {
        seed: 5,
        steps: 2,
        ..GenerationParams::usual(prompt, video)
    }
}

#[test]
fn what_a_call_gives_back_makes_the_same_again() {
    let images = embedded::images(&Device::flex()).unwrap();
    let params = quick("rotes Auto", false);
    let analysis = images.analyse(&params).unwrap();
    assert!(analysis.known && params.tower_prompt.is_none());
    let mut steps = Vec::new();
    let made = images
        .generate(&params, &analysis, &mut |done, total| {
            steps.push((done, total));
            true
        })
        .unwrap();
    assert_eq!(steps, [(1, 2), (2, 2)]);
    assert_eq!((made.clips.len(), made.clips[0].frames.len()), (1, 1));
    assert!(made.params.model.starts_with(embedded::IMAGES));

    let text = serde_json::to_string(&made.params).unwrap();
    let again: GenerationParams = serde_json::from_str(&text).unwrap();
    assert_eq!(again, made.params);
    let analysis = images.analyse(&again).unwrap();
    assert!(images.warnings(&again, &analysis).is_empty());
    let same = images
        .generate(&again, &analysis, &mut |_, _| true)
        .unwrap();
    assert_eq!(same.clips, made.clips);

    // Ended by the caller: nothing half-drawn comes.
    let ended = images.generate(&again, &analysis, &mut |done, _| done < 1);
    assert!(ended.unwrap().clips.is_empty());
    let others = GenerationParams {
        model: "other 0123456789abcdef".into(),
        ..again
    };
    assert!(images.warnings(&others, &analysis)[0].contains("look different"));
}

#[test]
fn a_clip_goes_through_its_given_frames_and_needs_a_first_one() {
    let device = Device::flex();
    let clips = embedded::clips(&device).unwrap();
    let frame = Image::filled(50, 40, [200, 30, 30]);
    let params = GenerationParams {
        steps: 1,
        given: vec![GivenFrame::first(&frame), GivenFrame::new(15, &frame)],
        ..quick("", true)
    };
    let analysis = clips.analyse(&params).unwrap();
    let made = clips
        .generate(&params, &analysis, &mut |_, _| true)
        .unwrap();
    let frames = &made.clips[0].frames;
    assert_eq!(frames.len(), 16);
    for at in [0, 15] {
        assert_eq!(&frames[at], made.params.given[usize::from(at > 0)].image());
    }
    assert_ne!(frames[8], frames[0]);

    let drawn = GenerationParams {
        image_first: true,
        ..quick("fox", true)
    };
    assert!(
        clips.analyse(&drawn).is_err(),
        "nothing draws the first frame"
    );
    let images = Arc::new(embedded::images(&device).unwrap());
    assert!(images.analyse(&drawn).is_err(), "no clip model");
    let both = clips.with_first_frame(images);
    let analysis = both.analyse(&drawn).unwrap();
    let made = both.generate(&drawn, &analysis, &mut |_, _| true).unwrap();
    assert_eq!(made.params.model.split(' ').count(), 4);
}

/// `data/made` was written by `orrery create "red apple" --seed 7 --steps 2 --size 1` before provenance was shared.
#[test]
fn files_of_earlier_versions_say_how_they_were_made() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/made");
    for name in ["a.png", "a.gif", "a.jpg", "a.webp"] {
        let params = GenerationParams::read(&folder.join(name)).unwrap();
        assert_eq!(params.prompt, "red apple", "{name}");
        assert_eq!((params.seed, params.steps, params.size), (7, 2, 1));
        assert_eq!(params.tower_prompt.as_deref(), Some("red apple"));
    }
}
