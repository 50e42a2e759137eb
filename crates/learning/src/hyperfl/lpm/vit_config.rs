//! Sizes of LPM-ViT.

use crate::hyperfl::hypernetwork::Hypernetwork;
use crate::hyperfl::layout::Layout;

/// Sizes of the transformer and of the adapters.
#[derive(Clone, Debug, PartialEq)]
pub struct VitConfig {
    /// Rows and columns of a picture.
    pub side: usize,
    /// Rows and columns of a patch.
    pub patch: usize,
    /// Width of a token.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Width of the MLP over `width`.
    pub mlp_ratio: usize,
    /// `width` over the width inside an adapter.
    pub reduction: usize,
    /// Whether queries, keys and values have a bias. The official code drops the pretrained ones.
    pub qkv_bias: bool,
    /// Epsilon of the blocks' norms.
    pub block_eps: f32,
    /// Epsilon of the last norm.
    pub final_eps: f32,
    /// Number of labels.
    pub classes: usize,
}

impl VitConfig {
    /// ViT-S/16 at 384 pixels, `timm/vit_small_patch16_384`.
    pub fn small_384(classes: usize) -> Self {
        Self {
            side: 384,
            patch: 16,
            width: 384,
            depth: 12,
            heads: 6,
            mlp_ratio: 4,
            reduction: 16,
            qkv_bias: true,
            block_eps: 1e-6,
            final_eps: 1e-6,
            classes,
        }
    }

    /// The same as the official code runs it: without the biases of queries, keys and values, and with timm 0.9.2's epsilon.
    pub fn official(classes: usize) -> Self {
        Self {
            qkv_bias: false,
            block_eps: 1e-5,
            ..Self::small_384(classes)
        }
    }

    pub(super) fn tokens(&self) -> usize {
        (self.side / self.patch).pow(2) + 1
    }

    pub(super) fn reduced(&self) -> usize {
        self.width / self.reduction.max(1)
    }

    /// What makes no sense, if anything.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let zero = [
            self.side,
            self.patch,
            self.width,
            self.heads,
            self.reduction,
            self.classes,
        ];
        if zero.contains(&0) || self.depth == 0 || self.mlp_ratio == 0 {
            return Some("a size is zero");
        }
        if !self.side.is_multiple_of(self.patch) || !self.width.is_multiple_of(self.heads) {
            return Some("patches must fill the picture and heads the width");
        }
        (self.reduction > self.width).then_some("the reduction is larger than the width")
    }

    /// Names and places of the frozen parameters.
    pub fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        let (width, inner) = (self.width, self.width * self.mlp_ratio);
        layout.push("cls_token", &[1, 1, width]);
        layout.push("pos_embed", &[1, self.tokens(), width]);
        layout.push(
            "patch_embed.proj.weight",
            &[width, 3, self.patch, self.patch],
        );
        layout.push("patch_embed.proj.bias", &[width]);
        for block in 0..self.depth {
            let mut push = |name: &str, shape: &[usize]| {
                layout.push(format!("blocks.{block}.{name}"), shape);
            };
            push("norm1.weight", &[width]);
            push("norm1.bias", &[width]);
            push("attn.qkv.weight", &[3 * width, width]);
            if self.qkv_bias {
                push("attn.qkv.bias", &[3 * width]);
            }
            push("attn.proj.weight", &[width, width]);
            push("attn.proj.bias", &[width]);
            push("norm2.weight", &[width]);
            push("norm2.bias", &[width]);
            push("mlp.fc1.weight", &[inner, width]);
            push("mlp.fc1.bias", &[inner]);
            push("mlp.fc2.weight", &[width, inner]);
            push("mlp.fc2.bias", &[width]);
        }
        layout.push("norm.weight", &[width]);
        layout.push("norm.bias", &[width]);
        layout
    }

    /// The hypernetwork that makes the adapters: six heads a block, by kind and then by block.
    pub fn hypernetwork(&self, embed: usize, hidden: usize) -> Hypernetwork {
        let (width, reduced) = (self.width, self.reduced());
        let kinds: [(&str, Vec<usize>, usize); 6] = [
            ("down_sampler_weights", vec![reduced, width], width),
            ("down_sampler_bias", vec![reduced], width),
            ("up_sampler_weights", vec![width, reduced], reduced),
            ("up_sampler_bias", vec![width], reduced),
            ("norm_weight", vec![width], 1),
            ("norm_bias", vec![width], 1),
        ];
        let tensors: Vec<_> = kinds
            .iter()
            .flat_map(|(kind, shape, fan_in)| {
                (0..self.depth).map(move |at| (format!("{kind}.{at}"), shape.clone(), *fan_in))
            })
            .collect();
        Hypernetwork::new(embed, &[hidden], &tensors)
    }
}
