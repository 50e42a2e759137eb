//! Sizes of a U-Net, as `config.json` of a diffusers folder has them.

use serde::{Deserialize, Serialize};

/// The most channels of a layer that a file may ask for.
const MOST_CHANNELS: usize = 1 << 16;
/// The most layers of one kind that a file may ask for.
const MOST_LAYERS: usize = 64;

/// One value for all, or one for each.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum PerBlock<T> {
    /// The same for all.
    Same(T),
    /// One for each, in order.
    Each(Vec<T>),
}

impl<T: Clone> PerBlock<T> {
    /// The value of block `at`; none beyond the list.
    pub fn at(&self, at: usize) -> Option<T> {
        match self {
            Self::Same(value) => Some(value.clone()),
            Self::Each(values) => values.get(at).cloned(),
        }
    }

    fn fits(&self, blocks: usize) -> bool {
        matches!(self, Self::Same(_))
            || matches!(self, Self::Each(values) if values.len() == blocks)
    }
}

/// Transformer blocks behind each residual block: one number, one for each resolution, or one for each residual block of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Depths {
    /// The same everywhere.
    Same(usize),
    /// For each resolution.
    Each(Vec<PerBlock<usize>>),
}

impl Depths {
    fn at(&self, block: usize, layer: usize) -> Option<usize> {
        match self {
            Self::Same(depth) => Some(*depth),
            Self::Each(blocks) => blocks.get(block)?.at(layer),
        }
    }
}

/// See the module. Fields that a file does not have are diffusers' defaults. Fields that change the network and are not
/// among these are refused by [`Unet2dConfig::check`].
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Unet2dConfig {
    /// Channels of the input: 4, 8 (a picture to edit), 9 (a mask and a masked picture).
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Height and width of the latents that it was trained on, where the file says so.
    pub sample_size: Option<usize>,
    /// `DownBlock2D` or `CrossAttnDownBlock2D` for each resolution.
    pub down_block_types: Vec<String>,
    /// `UpBlock2D` or `CrossAttnUpBlock2D` for each resolution, the coarsest first.
    pub up_block_types: Vec<String>,
    /// `UNetMidBlock2DCrossAttn`, or null where there is none.
    pub mid_block_type: Option<String>,
    /// Channels at each resolution; each but the first halves height and width.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks at each resolution on the way down; one more on the way up.
    pub layers_per_block: PerBlock<usize>,
    /// Groups of every norm.
    pub norm_num_groups: usize,
    /// Epsilon of the norms of residual blocks.
    pub norm_eps: f64,
    /// Width of the context.
    pub cross_attention_dim: PerBlock<usize>,
    /// The *number* of heads at each resolution: diffusers' name for it is a mistake that files live with.
    pub attention_head_dim: PerBlock<usize>,
    /// Transformer blocks behind each residual block.
    pub transformer_layers_per_block: Depths,
    /// The same on the way up, where it is not the reverse.
    pub reverse_transformer_layers_per_block: Option<Depths>,
    /// Whether projections of transformers are linear maps in the file, not convolutions. The values are the same.
    pub use_linear_projection: bool,
    /// `text_time` for SDXL.
    pub addition_embed_type: Option<String>,
    /// Width of the embedding of each time id.
    pub addition_time_embed_dim: Option<usize>,
    /// Width of pooled text and embedded time ids together.
    pub projection_class_embeddings_input_dim: Option<usize>,
    /// Width of the embedding of a guidance scale (distilled models).
    pub time_cond_proj_dim: Option<usize>,
    /// Everything else in the file.
    #[serde(flatten)]
    pub others: serde_json::Map<String, serde_json::Value>,
}

impl Default for Unet2dConfig {
    /// diffusers' defaults; with `cross_attention_dim` 768, Stable Diffusion 1.x.
    fn default() -> Self {
        let cross = |way: &str| format!("CrossAttn{way}Block2D");
        let plain = |way: &str| format!("{way}Block2D");
        Self {
            in_channels: 4,
            out_channels: 4,
            sample_size: None,
            down_block_types: vec![cross("Down"), cross("Down"), cross("Down"), plain("Down")],
            up_block_types: vec![plain("Up"), cross("Up"), cross("Up"), cross("Up")],
            mid_block_type: Some("UNetMidBlock2DCrossAttn".into()),
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: PerBlock::Same(2),
            norm_num_groups: 32,
            norm_eps: 1e-5,
            cross_attention_dim: PerBlock::Same(1280),
            attention_head_dim: PerBlock::Same(8),
            transformer_layers_per_block: Depths::Same(1),
            reverse_transformer_layers_per_block: None,
            use_linear_projection: false,
            addition_embed_type: None,
            addition_time_embed_dim: None,
            projection_class_embeddings_input_dim: None,
            time_cond_proj_dim: None,
            others: serde_json::Map::new(),
        }
    }
}

impl Unet2dConfig {
    /// Stable Diffusion 1.x.
    pub fn stable_diffusion_1() -> Self {
        Self {
            sample_size: Some(64),
            cross_attention_dim: PerBlock::Same(768),
            ..Self::default()
        }
    }

    /// Stable Diffusion 2.x.
    pub fn stable_diffusion_2() -> Self {
        Self {
            sample_size: Some(96),
            cross_attention_dim: PerBlock::Same(1024),
            attention_head_dim: PerBlock::Each(vec![5, 10, 20, 20]),
            use_linear_projection: true,
            ..Self::default()
        }
    }

    /// Stable Diffusion XL.
    pub fn stable_diffusion_xl() -> Self {
        let blocks = |names: [&str; 3]| names.map(str::to_owned).to_vec();
        Self {
            sample_size: Some(128),
            down_block_types: blocks([
                "DownBlock2D",
                "CrossAttnDownBlock2D",
                "CrossAttnDownBlock2D",
            ]),
            up_block_types: blocks(["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]),
            block_out_channels: vec![320, 640, 1280],
            cross_attention_dim: PerBlock::Same(2048),
            attention_head_dim: PerBlock::Each(vec![5, 10, 20]),
            transformer_layers_per_block: Depths::Each([1, 2, 10].map(PerBlock::Same).to_vec()),
            use_linear_projection: true,
            addition_embed_type: Some("text_time".into()),
            addition_time_embed_dim: Some(256),
            projection_class_embeddings_input_dim: Some(2816),
            ..Self::default()
        }
    }

    /// Number of resolutions.
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// Width of the time embedding.
    pub fn time_width(&self) -> usize {
        4 * self.block_out_channels.first().copied().unwrap_or_default()
    }

    /// Transformer blocks behind residual block `layer` at resolution `level` on the way down.
    pub(super) fn depth_down(&self, level: usize, layer: usize) -> usize {
        self.transformer_layers_per_block
            .at(level, layer)
            .unwrap_or(1)
    }

    /// The same on the way up, where `block` counts from the coarsest resolution.
    pub(super) fn depth_up(&self, block: usize, layer: usize) -> usize {
        let depth = match &self.reverse_transformer_layers_per_block {
            Some(depths) => depths.at(block, layer),
            None => {
                let level = self.levels().saturating_sub(block + 1);
                self.transformer_layers_per_block.at(level, layer)
            }
        };
        depth.unwrap_or(1)
    }

    /// Whether the network can be built as the file says.
    ///
    /// # Errors
    /// One line with the field, its value and what is known.
    pub fn check(&self) -> Result<(), String> {
        let levels = self.levels();
        let names = |field: &str, names: &[String], known: [&str; 2]| match names {
            _ if names.len() != levels => Err(format!(
                "`{field}` has {} entries and `block_out_channels` {levels}",
                names.len()
            )),
            _ => match names.iter().find(|name| !known.contains(&name.as_str())) {
                Some(name) => Err(format!(
                    "`{field}` names `{name}`; known are `{}` and `{}`",
                    known[0], known[1]
                )),
                None => Ok(()),
            },
        };
        if !(1..=8).contains(&levels) {
            return Err(format!(
                "`block_out_channels` has {levels} entries, not 1 to 8"
            ));
        }
        names(
            "down_block_types",
            &self.down_block_types,
            ["DownBlock2D", "CrossAttnDownBlock2D"],
        )?;
        names(
            "up_block_types",
            &self.up_block_types,
            ["UpBlock2D", "CrossAttnUpBlock2D"],
        )?;
        self.check_fields()?;
        if !self.layers_per_block.fits(levels) || !self.attention_head_dim.fits(levels) {
            return Err(format!(
                "`layers_per_block` and `attention_head_dim` must be one number or {levels}"
            ));
        }
        for (level, &channels) in self.block_out_channels.iter().enumerate() {
            let heads = self.attention_head_dim.at(level).unwrap_or_default();
            let layers = self.layers_per_block.at(level).unwrap_or_default();
            let depths = (0..=layers.min(MOST_LAYERS))
                .flat_map(|layer| [self.depth_down(level, layer), self.depth_up(level, layer)]);
            let fits = (1..=MOST_CHANNELS).contains(&channels)
                && self.norm_num_groups > 0
                && channels.is_multiple_of(self.norm_num_groups)
                && heads > 0
                && channels.is_multiple_of(heads)
                && (1..=MOST_LAYERS).contains(&layers)
                && depths.max().unwrap_or_default() <= MOST_LAYERS;
            if !fits {
                return Err(format!(
                    "resolution {level} has {channels} channels in {} groups and {heads} heads, {layers} layers: groups \
                     and heads must divide the channels, and nothing may be 0 or huge",
                    self.norm_num_groups
                ));
            }
        }
        Ok(())
    }

    fn check_fields(&self) -> Result<(), String> {
        use serde_json::{Value, json};
        // Fields that change the network, with the values that mean no change.
        let plain = [
            ("act_fn", vec![json!("silu")]),
            ("attention_type", vec![json!("default")]),
            ("center_input_sample", vec![json!(false)]),
            ("class_embed_type", vec![]),
            ("class_embeddings_concat", vec![json!(false)]),
            ("conv_in_kernel", vec![json!(3)]),
            ("conv_out_kernel", vec![json!(3)]),
            ("downsample_padding", vec![json!(1)]),
            ("dual_cross_attention", vec![json!(false)]),
            ("encoder_hid_dim", vec![]),
            ("encoder_hid_dim_type", vec![]),
            ("flip_sin_to_cos", vec![json!(true)]),
            ("freq_shift", vec![json!(0)]),
            ("mid_block_only_cross_attention", vec![json!(false)]),
            ("mid_block_scale_factor", vec![json!(1), json!(1.0)]),
            ("num_attention_heads", vec![]),
            ("num_class_embeds", vec![]),
            ("only_cross_attention", vec![json!(false)]),
            ("resnet_out_scale_factor", vec![json!(1), json!(1.0)]),
            ("resnet_skip_time_act", vec![json!(false)]),
            ("resnet_time_scale_shift", vec![json!("default")]),
            ("time_embedding_act_fn", vec![]),
            ("time_embedding_dim", vec![]),
            ("time_embedding_type", vec![json!("positional")]),
            ("timestep_post_act", vec![]),
        ];
        for (field, known) in plain {
            match self.others.get(field) {
                None | Some(Value::Null) => {}
                Some(value) if known.contains(value) => {}
                Some(value) => {
                    return Err(format!("`{field}` is {value}, which is not supported"));
                }
            }
        }
        match self.mid_block_type.as_deref() {
            None | Some("UNetMidBlock2DCrossAttn") => {}
            Some(kind) => {
                return Err(format!(
                    "`mid_block_type` is `{kind}`, which is not supported"
                ));
            }
        }
        let sizes = [
            self.in_channels,
            self.out_channels,
            self.cross_attention_dim.at(0).unwrap_or_default(),
            self.addition_time_embed_dim.unwrap_or(2),
            self.projection_class_embeddings_input_dim.unwrap_or(1),
            self.time_cond_proj_dim.unwrap_or(1),
        ];
        if sizes.iter().any(|size| !(1..=MOST_CHANNELS).contains(size)) {
            return Err(format!(
                "sizes must be 1 to {MOST_CHANNELS}, and are {sizes:?}"
            ));
        }
        match self.addition_embed_type.as_deref() {
            None => Ok(()),
            Some("text_time")
                if self.addition_time_embed_dim.is_some()
                    && self.projection_class_embeddings_input_dim.is_some() =>
            {
                Ok(())
            }
            Some(kind) => Err(format!(
                "`addition_embed_type` is `{kind}`; known is `text_time` with `addition_time_embed_dim` and \
                 `projection_class_embeddings_input_dim`"
            )),
        }
    }
}
