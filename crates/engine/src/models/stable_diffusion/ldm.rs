//! The names of single-file checkpoints (latent-diffusion, OpenCLIP) for the official ones of diffusers and transformers.

use crate::models::unet2d::Unet2dConfig;
use crate::weights::View;

/// A layer of the U-Net as single files call it, without `model.diffusion_model.`; none for what they do not have.
pub(super) fn unet(config: &Unet2dConfig, official: &str) -> Option<String> {
    let parts: Vec<&str> = official.split('.').collect();
    let number = |at: usize| parts.get(at)?.parse::<usize>().ok();
    let rest = |from: usize| parts.get(from..).unwrap_or_default().join(".");
    let join = |head: String, rest: String| match rest.is_empty() {
        true => head,
        false => format!("{head}.{rest}"),
    };
    let layers = |level: usize| config.layers_per_block.at(level).unwrap_or(1);
    // Entries before those of a resolution: the first convolution; on the way down one for each residual block and one for
    // the change of size.
    let entry_down = |level: usize| 1 + (0..level).map(|l| layers(l) + 1).sum::<usize>();
    let level_of = |block: usize| config.levels().saturating_sub(block + 1);
    let entry_up = |block: usize| (0..block).map(|b| layers(level_of(b)) + 1).sum::<usize>();
    Some(match *parts.first()? {
        "conv_in" => join("input_blocks.0.0".into(), rest(1)),
        "conv_norm_out" => join("out.0".into(), rest(1)),
        "conv_out" => join("out.2".into(), rest(1)),
        "time_embedding" => join(format!("time_embed.{}", mlp(parts.get(1)?)?), rest(2)),
        "add_embedding" => join(format!("label_emb.0.{}", mlp(parts.get(1)?)?), rest(2)),
        "down_blocks" => {
            let (level, at) = (number(1)?, number(3)?);
            let entry = entry_down(level) + at;
            match *parts.get(2)? {
                "resnets" => join(format!("input_blocks.{entry}.0"), resnet(&rest(4))),
                "attentions" => join(format!("input_blocks.{entry}.1"), rest(4)),
                _ => {
                    let entry = entry_down(level) + layers(level);
                    join(format!("input_blocks.{entry}.0.op"), rest(5))
                }
            }
        }
        "mid_block" => match (*parts.get(1)?, number(2)?) {
            ("attentions", _) => join("middle_block.1".into(), rest(3)),
            (_, at) => join(format!("middle_block.{}", 2 * at), resnet(&rest(3))),
        },
        "up_blocks" => {
            let (block, at) = (number(1)?, number(3)?);
            let entry = entry_up(block) + at;
            match *parts.get(2)? {
                "resnets" => join(format!("output_blocks.{entry}.0"), resnet(&rest(4))),
                "attentions" => join(format!("output_blocks.{entry}.1"), rest(4)),
                _ => {
                    let entry = entry_up(block) + layers(level_of(block));
                    let crossed = config.up_block_types.get(block)?.starts_with("Cross");
                    let place = if crossed { 2 } else { 1 };
                    join(format!("output_blocks.{entry}.{place}.conv"), rest(5))
                }
            }
        }
        _ => return None,
    })
}

fn mlp(layer: &str) -> Option<usize> {
    match layer {
        "linear_1" => Some(0),
        "linear_2" => Some(2),
        _ => None,
    }
}

/// Inside a residual block.
fn resnet(rest: &str) -> String {
    let (head, tail) = rest.split_once('.').unwrap_or((rest, ""));
    let head = match head {
        "norm1" => "in_layers.0",
        "conv1" => "in_layers.2",
        "time_emb_proj" => "emb_layers.1",
        "norm2" => "out_layers.0",
        "conv2" => "out_layers.3",
        "conv_shortcut" => "skip_connection",
        other => other,
    };
    match tail {
        "" => head.to_owned(),
        tail => format!("{head}.{tail}"),
    }
}

/// A parameter of the autoencoder with `levels` resolutions, without `first_stage_model.`.
pub(super) fn vae(levels: usize, official: &str) -> String {
    let parts: Vec<&str> = official.split('.').collect();
    let rest = |from: usize| parts.get(from..).unwrap_or_default().join(".");
    let number = |at: usize| -> usize { parts.get(at).and_then(|n| n.parse().ok()).unwrap_or(0) };
    let (side, block) = (
        parts.first().copied().unwrap_or_default(),
        parts.get(1).copied().unwrap_or_default(),
    );
    let level = match block {
        "up_blocks" => levels.saturating_sub(number(2) + 1),
        _ => number(2),
    };
    let way = if block == "up_blocks" { "up" } else { "down" };
    let shortcut = |rest: String| rest.replace("conv_shortcut", "nin_shortcut");
    match (block, parts.get(3).copied()) {
        ("conv_norm_out", _) => format!("{side}.norm_out.{}", rest(2)),
        ("mid_block", _) if parts.get(2) == Some(&"resnets") => {
            format!("{side}.mid.block_{}.{}", number(3) + 1, shortcut(rest(4)))
        }
        ("mid_block", _) => {
            let rest = rest(4);
            let (head, end) = rest.rsplit_once('.').unwrap_or((&rest, ""));
            let head = match head {
                "group_norm" => "norm",
                "to_q" => "q",
                "to_k" => "k",
                "to_v" => "v",
                "to_out.0" => "proj_out",
                other => other,
            };
            format!("{side}.mid.attn_1.{head}.{end}")
        }
        ("down_blocks" | "up_blocks", Some("resnets")) => {
            let rest = shortcut(rest(5));
            format!("{side}.{way}.{level}.block.{}.{rest}", number(4))
        }
        ("down_blocks" | "up_blocks", _) => {
            format!("{side}.{way}.{level}.{way}sample.conv.{}", rest(6))
        }
        _ => official.to_owned(),
    }
}

/// A parameter of a text tower in OpenCLIP's names; the three projections are parts of one tensor there.
pub(super) fn open_clip(prefix: &str, official: &str) -> View {
    let inner = official.strip_prefix("text_model.").unwrap_or(official);
    let whole = |of: String| View::whole(official, format!("{prefix}{of}"));
    match inner {
        "embeddings.token_embedding.weight" => return whole("token_embedding.weight".into()),
        "embeddings.position_embedding.weight" => return whole("positional_embedding".into()),
        _ => {}
    }
    if let Some(end) = inner.strip_prefix("final_layer_norm.") {
        return whole(format!("ln_final.{end}"));
    }
    let Some((layer, rest)) = inner
        .strip_prefix("encoder.layers.")
        .and_then(|rest| rest.split_once('.'))
    else {
        return whole(inner.to_owned());
    };
    let block = format!("transformer.resblocks.{layer}");
    for (at, name) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
        if let Some(end) = rest.strip_prefix(&format!("self_attn.{name}.")) {
            return View {
                part: [at, 3],
                ..whole(format!("{block}.attn.in_proj_{end}"))
            };
        }
    }
    let rest = rest
        .replace("layer_norm", "ln_")
        .replace("mlp.fc1", "mlp.c_fc")
        .replace("mlp.fc2", "mlp.c_proj")
        .replace("self_attn.", "attn.");
    whole(format!("{block}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_released_files() {
        let sd = Unet2dConfig::stable_diffusion_1();
        let xl = Unet2dConfig::stable_diffusion_xl();
        for (config, official, file) in [
            (&sd, "conv_in.weight", "input_blocks.0.0.weight"),
            (
                &sd,
                "down_blocks.0.downsamplers.0.conv.bias",
                "input_blocks.3.0.op.bias",
            ),
            (
                &sd,
                "down_blocks.1.resnets.0.conv_shortcut.weight",
                "input_blocks.4.0.skip_connection.weight",
            ),
            (
                &sd,
                "mid_block.resnets.1.norm1.weight",
                "middle_block.2.in_layers.0.weight",
            ),
            (
                &sd,
                "up_blocks.0.upsamplers.0.conv.weight",
                "output_blocks.2.1.conv.weight",
            ),
            (
                &sd,
                "up_blocks.1.upsamplers.0.conv.weight",
                "output_blocks.5.2.conv.weight",
            ),
            (
                &sd,
                "up_blocks.3.attentions.2.transformer_blocks.0.attn2.to_k.weight",
                "output_blocks.11.1.transformer_blocks.0.attn2.to_k.weight",
            ),
            (
                &xl,
                "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
                "input_blocks.4.1.transformer_blocks.0.attn1.to_q",
            ),
            (&xl, "add_embedding.linear_2.weight", "label_emb.0.2.weight"),
            (&sd, "conv_norm_out.weight", "out.0.weight"),
        ] {
            assert_eq!(unet(config, official).as_deref(), Some(file));
        }
        for (official, file) in [
            (
                "decoder.up_blocks.0.resnets.2.conv1.weight",
                "decoder.up.3.block.2.conv1.weight",
            ),
            (
                "decoder.up_blocks.2.upsamplers.0.conv.weight",
                "decoder.up.1.upsample.conv.weight",
            ),
            (
                "encoder.down_blocks.1.downsamplers.0.conv.bias",
                "encoder.down.1.downsample.conv.bias",
            ),
            (
                "encoder.mid_block.attentions.0.to_out.0.weight",
                "encoder.mid.attn_1.proj_out.weight",
            ),
            (
                "encoder.mid_block.resnets.1.norm2.bias",
                "encoder.mid.block_2.norm2.bias",
            ),
            ("encoder.conv_norm_out.bias", "encoder.norm_out.bias"),
            ("quant_conv.weight", "quant_conv.weight"),
        ] {
            assert_eq!(vae(4, official), file);
        }
        let view = open_clip("m.", "text_model.encoder.layers.3.self_attn.k_proj.bias");
        assert_eq!(view.of, "m.transformer.resblocks.3.attn.in_proj_bias");
        assert_eq!(view.part, [1, 3]);
        let view = open_clip("m.", "text_model.encoder.layers.3.mlp.fc2.weight");
        assert_eq!(view.of, "m.transformer.resblocks.3.mlp.c_proj.weight");
    }
}
