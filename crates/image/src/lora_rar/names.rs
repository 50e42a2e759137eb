//! Names of LoRA tensors in files: kohya (with diffusers' or the original block names), PEFT and diffusers.

use std::fmt;

use serde::Serialize;

/// How a file names its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `lora_unet_MODULE.lora_down.weight`, with `.alpha`; the module's dots are underscores.
    Kohya,
    /// `unet.MODULE.lora_A.weight`.
    Peft,
    /// `unet.MODULE.lora.down.weight`, as diffusers' training scripts wrote for long; some doubled the prefix.
    Diffusers,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kohya => "kohya",
            Self::Peft => "peft",
            Self::Diffusers => "diffusers",
        })
    }
}

/// What one tensor of a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// `A`, `[rank, in]`.
    Down,
    /// `B`, `[out, rank]`.
    Up,
    /// A number; the update is scaled by alpha / rank.
    Alpha,
    /// The whole update, `[out, in]`: what the official code writes when it merges.
    Dense,
}

/// The network that a layer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The U-Net.
    Unet,
    /// The first text encoder.
    TextEncoder,
    /// The second text encoder.
    #[serde(rename = "text_encoder_2")]
    TextEncoder2,
}

impl Network {
    /// Its name before the module in PEFT's and diffusers' files.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Unet => "unet",
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
        }
    }

    fn kohya(self) -> &'static str {
        match self {
            Self::Unet => "lora_unet_",
            Self::TextEncoder => "lora_te1_",
            Self::TextEncoder2 => "lora_te2_",
        }
    }
}

/// A layer: its network and the dotted module name that diffusers gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer {
    /// The network.
    pub network: Network,
    /// Such as `down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q`.
    pub module: String,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.network.prefix(), self.module)
    }
}

impl Layer {
    /// Whether the hypernetwork is asked about it: query and output projections of the U-Net's attentions.
    pub fn is_merged_by_network(&self) -> bool {
        self.network == Network::Unet
            && self.module.contains("attn")
            && (self.module.ends_with("to_q") || self.module.ends_with("to_out.0"))
    }

    /// Names of down, up and alpha in a file of `format`.
    pub fn names(&self, format: Format) -> [String; 3] {
        match format {
            Format::Kohya => {
                let flat = self.module.replace('.', "_");
                let at = format!("{}{flat}", self.network.kohya());
                [".lora_down.weight", ".lora_up.weight", ".alpha"].map(|end| at.clone() + end)
            }
            Format::Peft => {
                [".lora_A.weight", ".lora_B.weight", ".alpha"].map(|end| format!("{self}{end}"))
            }
            Format::Diffusers => {
                [".lora.down.weight", ".lora.up.weight", ".alpha"].map(|end| format!("{self}{end}"))
            }
        }
    }
}

/// Ends of names, with the format that writes them; none where several do.
const ENDS: [(&str, Slot, Option<Format>); 11] = [
    (".lora_down.weight", Slot::Down, Some(Format::Kohya)),
    (".lora_up.weight", Slot::Up, Some(Format::Kohya)),
    (".lora_A.weight", Slot::Down, Some(Format::Peft)),
    (".lora_B.weight", Slot::Up, Some(Format::Peft)),
    (".lora_A.default.weight", Slot::Down, Some(Format::Peft)),
    (".lora_B.default.weight", Slot::Up, Some(Format::Peft)),
    (".lora.down.weight", Slot::Down, Some(Format::Diffusers)),
    (".lora.up.weight", Slot::Up, Some(Format::Diffusers)),
    (".lora.weight", Slot::Dense, Some(Format::Diffusers)),
    (".lora.alpha", Slot::Alpha, None),
    (".alpha", Slot::Alpha, None),
];

/// Layer, slot and format of the tensor called `name`; none where it is not a tensor of a LoRA for a diffusion model's U-Net or text encoders.
pub fn parse(name: &str) -> Option<(Layer, Slot, Option<Format>)> {
    // The oldest files of diffusers: `attn1.processor.to_q_lora.down.weight`.
    let older = name.replace(".processor.", ".").replace("_lora.", ".lora.");
    let (stem, slot, format) = ENDS
        .iter()
        .find_map(|(end, slot, format)| Some((older.strip_suffix(end)?, *slot, *format)))?;
    let layer = layer(stem)?;
    Some((layer, slot, format))
}

fn layer(stem: &str) -> Option<Layer> {
    let kohya = [
        ("lora_unet_", Network::Unet),
        ("lora_te1_", Network::TextEncoder),
        ("lora_te2_", Network::TextEncoder2),
        ("lora_te_", Network::TextEncoder),
    ];
    if let Some((flat, network)) = kohya
        .iter()
        .find_map(|(start, network)| Some((stem.strip_prefix(start)?, *network)))
    {
        let module = match network {
            Network::Unet => from_original_blocks(&dotted(flat)),
            _ => dotted(flat),
        };
        return Some(Layer { network, module });
    }
    let stem = stem.strip_prefix("base_model.model.").unwrap_or(stem);
    let (network, module) = if let Some(rest) = stem.strip_prefix("text_encoder_2.") {
        (Network::TextEncoder2, rest)
    } else if let Some(rest) = stem.strip_prefix("text_encoder.") {
        (Network::TextEncoder, rest)
    } else {
        let bare = stem.strip_prefix("unet.").unwrap_or(stem);
        (Network::Unet, bare.strip_prefix("unet.").unwrap_or(bare))
    };
    let of_unet = [
        "down_blocks.",
        "up_blocks.",
        "mid_block.",
        "conv_",
        "time_embedding.",
        "add_embedding.",
    ];
    let known = network != Network::Unet || of_unet.iter().any(|start| module.starts_with(start));
    // `to_out` without its number is the older name of the same layer.
    let module = match module.ends_with(".to_out") {
        true => format!("{module}.0"),
        false => module.to_owned(),
    };
    known.then_some(Layer { network, module })
}

/// Names of modules that have an underscore of their own.
const WORDS: [&str; 36] = [
    "down_blocks",
    "up_blocks",
    "mid_block",
    "transformer_blocks",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "proj_in",
    "proj_out",
    "time_emb_proj",
    "conv_in",
    "conv_out",
    "conv_shortcut",
    "time_embedding",
    "add_embedding",
    "linear_1",
    "linear_2",
    "text_model",
    "self_attn",
    "q_proj",
    "k_proj",
    "v_proj",
    "out_proj",
    "text_projection",
    "token_embedding",
    "input_blocks",
    "output_blocks",
    "middle_block",
    "time_embed",
    "label_emb",
    "emb_layers",
    "in_layers",
    "out_layers",
    "skip_connection",
    "position_embedding",
];

/// `down_blocks_1_attentions_0` → `down_blocks.1.attentions.0`.
fn dotted(flat: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = flat;
    while !rest.is_empty() {
        let ends = |word: &&&str| {
            rest.strip_prefix(**word)
                .is_some_and(|after| after.is_empty() || after.starts_with('_'))
        };
        let long = WORDS.iter().filter(ends).map(|word| word.len()).max();
        let length = long.unwrap_or_else(|| rest.find('_').unwrap_or(rest.len()));
        let (part, after) = rest.split_at(length);
        parts.push(part);
        rest = after.strip_prefix('_').unwrap_or(after);
    }
    parts.join(".")
}

/// Block names of the original U-Net (two residual blocks a level) as diffusers' names; others stay.
fn from_original_blocks(module: &str) -> String {
    let parts: Vec<&str> = module.split('.').collect();
    let number = |at: usize| parts.get(at)?.parse::<usize>().ok();
    let rest = |from: usize| parts.get(from..).unwrap_or_default().join(".");
    let within = |at: String, kind: usize, from: usize, last: bool| match kind {
        0 if last => format!("{at}.downsamplers.0.conv"),
        0 => format!("{at}.{}", residual(&rest(from))),
        _ => format!("{at}.{}", rest(from)),
    };
    match (parts[0], number(1), number(2)) {
        ("input_blocks", Some(0), _) => "conv_in".into(),
        ("input_blocks", Some(n), Some(kind)) => {
            let (block, at) = ((n - 1) / 3, (n - 1) % 3);
            let part = ["resnets", "attentions"][kind.min(1)];
            match at {
                2 => within(format!("down_blocks.{block}"), kind, 3, true),
                _ => within(format!("down_blocks.{block}.{part}.{at}"), kind, 3, false),
            }
        }
        ("output_blocks", Some(n), Some(kind)) => {
            let (block, at) = (n / 3, n % 3);
            match (kind, parts.get(3)) {
                (1 | 2, Some(&"conv")) => format!("up_blocks.{block}.upsamplers.0.conv"),
                (0, _) => within(format!("up_blocks.{block}.resnets.{at}"), 0, 3, false),
                _ => within(format!("up_blocks.{block}.attentions.{at}"), 1, 3, false),
            }
        }
        ("middle_block", Some(1), _) => format!("mid_block.attentions.0.{}", rest(2)),
        ("middle_block", Some(n), _) => {
            format!("mid_block.resnets.{}.{}", n / 2, residual(&rest(2)))
        }
        _ => module.to_owned(),
    }
}

/// A layer of a residual block by its name in diffusers.
fn residual(name: &str) -> &str {
    match name {
        "in_layers.2" => "conv1",
        "emb_layers.1" => "time_emb_proj",
        "out_layers.3" => "conv2",
        "skip_connection" => "conv_shortcut",
        _ => name,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn flat_names_of_text_encoders_and_of_convolutions_get_their_dots_back() {
        let module = |name: &str| parse(name).unwrap().0.to_string();
        assert_eq!(
            module("lora_te2_text_model_encoder_layers_11_self_attn_q_proj.lora_down.weight"),
            "text_encoder_2.text_model.encoder.layers.11.self_attn.q_proj"
        );
        assert_eq!(
            module("lora_unet_input_blocks_4_1_transformer_blocks_0_ff_net_0_proj.alpha"),
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj"
        );
        assert_eq!(
            module("lora_unet_output_blocks_5_2_conv.lora_up.weight"),
            "unet.up_blocks.1.upsamplers.0.conv"
        );
        assert_eq!(
            module("lora_unet_input_blocks_3_0_op.lora_up.weight"),
            "unet.down_blocks.0.downsamplers.0.conv"
        );
        assert_eq!(
            module("lora_unet_input_blocks_4_0_emb_layers_1.lora_up.weight"),
            "unet.down_blocks.1.resnets.0.time_emb_proj"
        );
    }

    #[test]
    fn names_of_every_format_are_read_back() {
        for module in [
            "up_blocks.0.attentions.2.transformer_blocks.9.attn2.to_out.0",
            "mid_block.attentions.0.proj_in",
            "down_blocks.2.resnets.1.conv_shortcut",
        ] {
            let layer = Layer {
                network: Network::Unet,
                module: module.into(),
            };
            for format in [Format::Kohya, Format::Peft, Format::Diffusers] {
                let [down, up, alpha] = layer.names(format);
                assert_eq!(
                    parse(&down).unwrap(),
                    (layer.clone(), Slot::Down, Some(format))
                );
                assert_eq!(parse(&up).unwrap(), (layer.clone(), Slot::Up, Some(format)));
                assert_eq!(parse(&alpha).unwrap().0, layer);
            }
        }
        assert_eq!(
            parse("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"),
            None
        );
        assert_eq!(parse("model.layers.0.self_attn.q_proj.weight"), None);
    }

    #[test]
    fn older_and_doubled_names_are_the_same_layer() {
        let wanted =
            parse("unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora.down.weight")
                .unwrap()
                .0;
        for name in [
            "unet.unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora.down.weight",
            "mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
            "base_model.model.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight",
        ] {
            assert_eq!(parse(name).unwrap().0, wanted, "{name}");
        }
    }
}
