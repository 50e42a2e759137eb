//! Official weights: torchvision's ResNets, R3M (Nair et al. 2022), MVP and other ViTs of timm, encoders of XIRL.

use std::path::Path;

use base::rng::Rng;
use base::tensor_file::Weights;
use burn::tensor::Device;
use engine::weights::{self, KeyMap};

use super::super::{LearningError, Result};
use super::{EncoderConfig, Network, Vision, VitConfig, resnet};

/// Side of the frames of XIRL's encoders.
const XIRL_SIDE: usize = 112;
/// Side of the frames of the other ResNets.
const SIDE: usize = 224;
/// Values of a head of timm's transformers, all sizes.
const HEAD: usize = 64;

/// Where weights are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Torchvision: trained on ImageNet.
    ImageNet,
    /// R3M: `convnet.*`.
    R3m,
    /// MVP, or any ViT under timm's names.
    Mvp,
    /// XIRL: `backbone.*` with its head `encoder.*`.
    Xirl,
}

impl Origin {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageNet => "ImageNet",
            Self::R3m => "R3M",
            Self::Mvp => "MVP",
            Self::Xirl => "XIRL",
        }
    }
}

/// The file's tensors without what training scripts put around a model, such as `model.`, `module.` or `r3m.module.`.
fn unwrapped(file: Weights) -> Weights {
    const FIRST: [&str; 4] = [
        "cls_token",
        "convnet.conv1.weight",
        "backbone.0.weight",
        "conv1.weight",
    ];
    let before = |name: &str| {
        let ends = FIRST.iter().filter_map(|first| name.strip_suffix(first));
        let mut ends = ends.filter(|it| it.is_empty() || it.ends_with('.'));
        // `layer1.0.conv1.weight` does not begin a network, and `convnet.` is part of R3M's names.
        ends.find(|it| !it.contains("layer") && !it.ends_with("convnet."))
            .map(|it| it.trim_end_matches('.').to_owned())
    };
    let found = file.names().find_map(before);
    match found {
        Some(before) if !before.is_empty() => file.within(&before),
        _ => file,
    }
}

impl Vision {
    /// Reads official weights, from safetensors or from what `torch.save` wrote. A head of `width` values is drawn behind the
    /// network, 0 for none; XIRL's encoders keep their own.
    ///
    /// # Errors
    /// A file of another network; the error lists names that are missing or misshapen.
    pub fn pretrained(
        path: &Path,
        (side, frames, width): (Option<usize>, usize, usize),
        rng: &mut Rng,
        device: &Device,
    ) -> Result<(Self, Origin)> {
        let file = unwrapped(Weights::open(path)?);
        let known = [
            ("cls_token", Origin::Mvp, ""),
            ("convnet.conv1.weight", Origin::R3m, "convnet"),
            ("backbone.0.weight", Origin::Xirl, ""),
            ("conv1.weight", Origin::ImageNet, ""),
        ];
        let known = known.iter().find(|(name, ..)| file.contains(name));
        let &(_, origin, within) = known.ok_or_else(|| {
            LearningError::invalid(format!(
                "`{}` holds no ResNet of torchvision, R3M or XIRL and no ViT of timm: `conv1.weight`, `convnet.conv1.weight`, `backbone.0.weight` and `cls_token` are missing",
                path.display()
            ))
        })?;
        let head = file.within("encoder");
        let file = match within {
            "" => file,
            within => file.within(within),
        };
        let deep = ["layer1.0.conv3.weight", "backbone.4.0.conv3.weight"];
        let resnet = match deep.iter().any(|name| file.contains(name)) {
            true => Network::Resnet50,
            false => Network::Resnet18,
        };
        let mut config = match origin {
            Origin::Mvp => {
                let (vit, own) = transformer(&file)
                    .ok_or_else(|| file.unfit("its sizes are none of a vision transformer"))?;
                EncoderConfig::imagenet(Network::Vit(vit), own)
            }
            Origin::Xirl => EncoderConfig::imagenet(resnet, side.unwrap_or(XIRL_SIDE)),
            _ => EncoderConfig::imagenet(resnet, side.unwrap_or(SIDE)),
        };
        config.frames = frames;
        config.width = match head.shape("weight") {
            Some(&[own, _]) if origin == Origin::Xirl => own,
            _ => width,
        };
        let mut vision = Self::new(config, rng, device)?;
        let ignoring =
            |keys: KeyMap, more: &[&str]| more.iter().fold(keys, |keys, text| keys.ignore(text));
        let encoder = &mut vision.encoder;
        if let Some(vit) = encoder.vit.take() {
            let more = ["head.", "fc_norm.", "decoder", "mask_token"];
            encoder.vit = Some(weights::load(vit, &file, &ignoring(KeyMap::new(), &more))?);
        }
        if let Some(resnet) = encoder.resnet.take() {
            let keys = match origin {
                Origin::Xirl => resnet::xirl(),
                _ => resnet::torchvision(),
            };
            let more = ["fc.", "encoder.", "_temp"];
            encoder.resnet = Some(weights::load(resnet, &file, &ignoring(keys, &more))?);
        }
        if let Some(own) = encoder.head.take_if(|_| origin == Origin::Xirl) {
            encoder.head = Some(weights::load(own, &head, &KeyMap::new())?);
        }
        Ok((vision, origin))
    }
}

/// The sizes of a transformer by the shapes of its tensors, and the side of its pictures.
fn transformer(file: &Weights) -> Option<(VitConfig, usize)> {
    let shape = |name: &str| file.shape(name);
    let &[width, 3, patch, _] = shape("patch_embed.proj.weight")? else {
        return None;
    };
    let &[1, tokens, _] = shape("pos_embed")? else {
        return None;
    };
    let grid = tokens.checked_sub(1)?.isqrt();
    let depth = (0..)
        .take_while(|at| shape(&format!("blocks.{at}.norm1.weight")).is_some())
        .count();
    let vit = VitConfig {
        patch,
        width,
        depth,
        heads: (width / HEAD).max(1),
    };
    Some((vit, grid * patch))
}
