//! Official names of PixEdit and PixArt-Σ ↔ ours, and PixArt-Σ with room for a picture to edit.

use base::rng::Rng;
use burn::tensor::Device;
use engine::models::pixart::{self, PixArt, PixArtConfig};
use engine::weights::{KeyMap, Precision, TensorFile, View, Weights, load};

use super::SystemError;

/// Heads of every published model.
pub const HEADS: usize = 16;
/// Most blocks that a file may have.
const MOST_BLOCKS: usize = 256;
/// Parts of a file that the network does not have: positions, which are computed; the caption and the picture that stand for none.
const UNUSED: [&str; 3] = [
    "pos_embed",
    "x_embedder.uncond_image",
    "y_embedder.y_embedding",
];

/// Sizes of the transformer in a file: the authors' (`epoch_40_step_90041.pth`, a `state_dict` or bare tensors), or diffusers'
/// `PixArtTransformer2DModel`. `trained_side` is the side of the latents that the positions are meant for: 64 for 512 pixels.
///
/// # Errors
/// [`SystemError::Weights`] where it is none.
pub fn config(
    weights: &Weights,
    heads: usize,
    trained_side: usize,
) -> Result<PixArtConfig, SystemError> {
    let names = match is_official(weights) {
        true => [
            "x_embedder.proj",
            "blocks.",
            "y_embedder.y_proj.fc1",
            "final_layer.linear",
        ],
        false => [
            "pos_embed.proj",
            "transformer_blocks.",
            "caption_projection.linear_1",
            "proj_out",
        ],
    };
    let [patches, blocks, caption, head] = names;
    let shape = |name: &str| weights.shape(&format!("{name}.weight"));
    let sizes = || {
        let [width, in_channels, patch_size, _]: [usize; 4] = shape(patches)?.try_into().ok()?;
        let numbers = weights.names().filter_map(|name| {
            let rest = name.strip_prefix(blocks)?;
            rest.split('.').next()?.parse::<usize>().ok()
        });
        let num_layers = numbers.max()?.checked_add(1)?;
        let fits = heads > 0
            && width.is_multiple_of(4 * heads)
            && num_layers <= MOST_BLOCKS
            && [1, 2, 4, 8].contains(&patch_size);
        fits.then_some(PixArtConfig {
            num_attention_heads: heads,
            attention_head_dim: width / heads,
            in_channels,
            out_channels: shape(head)?.first()? / (patch_size * patch_size),
            num_layers,
            sample_size: trained_side,
            patch_size,
            caption_channels: *shape(caption)?.get(1)?,
            interpolation_scale: Some(1.0),
        })
    };
    sizes().ok_or_else(|| {
        weights
            .unfit("it is no PixArt transformer: give PixEdit's `epoch_40_step_90041.pth`, or diffusers weights of it")
            .into()
    })
}

fn is_official(weights: &Weights) -> bool {
    !weights.contains("pos_embed.proj.weight")
}

/// The transformer of the sizes `config` in such a file.
///
/// # Errors
/// [`SystemError::Weights`]: missing, extra and wrong-shaped tensors are listed.
pub fn read(
    weights: &Weights,
    config: &PixArtConfig,
    device: &Device,
) -> Result<PixArt, SystemError> {
    let fresh = config.init(&mut Rng::new(0), device);
    Ok(match is_official(weights) {
        true => load(fresh, &split(weights), &key_map())?,
        false => load(fresh, weights, &pixart::key_map())?,
    })
}

/// The file's tensors with joined projections cut into their parts.
fn split(weights: &Weights) -> Weights {
    let views = weights.names().flat_map(|name| {
        let cut = |joined: &str, parts: &[&str]| -> Option<Vec<View>> {
            let (block, rest) = name.split_once(joined)?;
            let part = |(at, part): (usize, &&str)| View {
                name: format!("{block}{part}{rest}"),
                of: name.to_owned(),
                part: [at, parts.len()],
            };
            Some(parts.iter().enumerate().map(part).collect())
        };
        if UNUSED.contains(&name) {
            return Vec::new();
        }
        cut(".attn.qkv.", &[".attn.q.", ".attn.k.", ".attn.v."])
            .or_else(|| {
                let parts = [".cross_attn.k_linear.", ".cross_attn.v_linear."];
                cut(".cross_attn.kv_linear.", &parts)
            })
            .unwrap_or_else(|| vec![View::whole(name, name)])
    });
    weights.viewed(views)
}

/// The authors' names ↔ ours, after [`split`].
fn key_map() -> KeyMap {
    KeyMap::new().renames([
        ("x_embedder.proj", "patch_embedding"),
        ("t_embedder.mlp.0", "time.linear_1"),
        ("t_embedder.mlp.2", "time.linear_2"),
        ("t_block.1", "modulation.linear"),
        ("y_embedder.y_proj.fc1", "caption_1"),
        ("y_embedder.y_proj.fc2", "caption_2"),
        ("blocks.{}.attn.proj", "blocks.{}.attn1.o"),
        ("blocks.{}.attn", "blocks.{}.attn1"),
        ("blocks.{}.cross_attn.q_linear", "blocks.{}.attn2.q"),
        ("blocks.{}.cross_attn.k_linear", "blocks.{}.attn2.k"),
        ("blocks.{}.cross_attn.v_linear", "blocks.{}.attn2.v"),
        ("blocks.{}.cross_attn.proj", "blocks.{}.attn2.o"),
        ("blocks.{}.mlp.fc1", "blocks.{}.fc1"),
        ("blocks.{}.mlp.fc2", "blocks.{}.fc2"),
        ("final_layer.scale_shift_table", "scale_shift_table"),
        ("final_layer.linear", "head"),
    ])
}

/// PixArt-Σ with twice the input channels, the start of PixEdit's training: the weights of the new channels, which hold the picture to
/// edit, are zero. All other tensors stay as they are.
///
/// # Errors
/// [`SystemError::Weights`] where the file is no such transformer, or reads a picture already.
pub fn widened(weights: &Weights) -> Result<TensorFile, SystemError> {
    let patches = ["x_embedder.proj.weight", "pos_embed.proj.weight"];
    let shape = |name: &str| <[usize; 4]>::try_from(weights.shape(name)?).ok();
    let found = patches
        .into_iter()
        .find_map(|name| Some((name, shape(name)?)));
    let Some((patches, [width, channels, side, across])) = found.filter(|(_, it)| it[1] == 4)
    else {
        return Err(weights
            .unfit("its patches are not made of 4 channels: give the weights of PixArt-Σ, such as `PixArt-Sigma-XL-2-512-MS.pth`")
            .into());
    };
    let mut file = TensorFile::new();
    for name in weights.names() {
        let values = weights.values(name)?;
        if name == patches {
            let mut wide = Vec::with_capacity(2 * values.len());
            for row in values.chunks_exact(channels * side * across) {
                wide.extend_from_slice(row);
                wide.resize(wide.len() + row.len(), 0.0);
            }
            file.floats(
                name,
                &[width, 2 * channels, side, across],
                &wide,
                Precision::F32,
            )?;
            continue;
        }
        let shape = weights.shape(name).unwrap_or_default();
        file.floats(name, shape, &values, Precision::F32)?;
    }
    file.note("format", "pt");
    Ok(file)
}
