//! EMOv2: lightweight vision backbones (Zhang et al., arXiv 2412.06674).
//!
//! One block, i2RMB, makes networks of 1 to 50 million parameters: an inverted residual whose expansion is a 1×1 convolution
//! in early stages and spanning window attention in late ones, among neighbours and among distant places with one set of
//! projections. The same block stands in a U-Net ([`UEmo`]), a diffusion transformer ([`DEmo`]) and a network over clips
//! ([`VEmo`]); detection and segmentation heads are in [`detect`] and [`segment`].

use base::card::Card;
use base::system::System;

mod attention;
pub mod augment;
pub mod bench;
mod block;
pub mod checkpoint;
mod command;
mod config;
mod count;
mod d_emo;
pub mod data;
pub mod detect;
mod draw;
pub mod embedded;
mod layers;
pub mod losses;
pub mod measure;
mod mobilenet;
mod model;
mod neck;
mod pipeline;
pub mod proof;
pub mod randaugment;
pub mod segment;
pub mod train;
pub mod transform;
mod v_emo;

pub use block::{Block, BlockSteps, Operator};
pub use config::{BlockConfig, EmoConfig, PRESETS, operator};
pub use count::{Macs, block_params, macs, params};
pub use d_emo::{DEmo, DEmoConfig};
pub use layers::{Activation, NormKind};
pub use mobilenet::MobileNetV2;
pub use model::{DropPath, Emo};
pub use neck::{Fpn, FpnConfig};
pub use pipeline::{Classifier, Guess, Network};
pub use segment::{UEmo, UEmoConfig};
pub use v_emo::VEmo;

/// What `orrery list` and the docs say of it.
const CARD: Card = Card {
    slug: "emov2",
    title: "EMOv2: lightweight vision backbones",
    paper: "arXiv 2412.06674",
    domain: "vision",
    purpose: "Vision backbones of 1 to 50 million parameters",
    claims: &[
        "ImageNet top-1 at 1M/2M/5M/20M/50M parameters: 72.3/75.8/79.4/83.3/84.1",
        "5M: 80.9 with distillation",
    ],
    weights: "a small one for clothes is embedded; github zhangzjn/EMOv2",
    licence: "see zhangzjn/EMOv2",
};

/// For the registry.
pub const SYSTEM: System = System::new::<command::Command>(CARD, proof::PROOF);
