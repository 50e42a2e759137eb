//! Some recorded models ran with rotary buffers that are not in their files: these got random values along with the
//! weights. Where they could be worked out from the recorded hidden states, they stand here; else only the first
//! token of each sequence can be compared, for which positions do not matter.

use engine::fixtures::{Case, furthest};
use engine::models::decoder::{
    Cache, Decoder, DecoderConfig, Input, Logits, Request, RopeScaling, Segment,
};
use engine::weights::TensorSource;

/// Angle of each pair for one position: of `chimera/llm_phi3` and of `perception-tokens/llava_depth_tiny`.
const RECOVERED: [[f64; 4]; 2] = [
    [-0.0120231, -0.28395182, -0.05584251, -0.03641158],
    [-0.12122765, 0.22402197, -0.00833310, -0.06057565],
];

/// The decoder of a case: as configured where that gives the recorded logits, else with frequencies that do; and
/// whether any do.
pub fn decoder(case: &Case, config: DecoderConfig, source: &dyn TensorSource) -> (Decoder, bool) {
    let build = |config: DecoderConfig| Decoder::from_source(config, source).expect("official names");
    let (theta, dims) = (config.rope.theta, config.rope.dims);
    let recovered = RECOVERED.iter().filter(|all| all.len() == dims / 2).map(|all| {
        let factor = |(i, f): (usize, &f64)| theta.powf(-2.0 * i as f64 / dims as f64) / f;
        let mut config = config.clone();
        config.rope.scaling = RopeScaling::Factors(all.iter().enumerate().map(factor).collect());
        build(config)
    });
    let fitting = std::iter::once(build(config.clone()))
        .chain(recovered)
        .find(|model| fits(case, model));
    match fitting {
        Some(model) => (model, true),
        None => {
            println!("{}: unknown rotary buffers, first tokens only", case.name);
            (build(config), false)
        }
    }
}

/// Whether the first tokens have the recorded logits, where these belong to the weights.
fn fits(case: &Case, model: &Decoder) -> bool {
    let names = ["lora_logits", "logits", "logits_vanilla"];
    let Some(name) = names.iter().find(|name| case.weights().contains(name)) else {
        return true;
    };
    const TOKENS: usize = 5;
    let (ids, rows): (Vec<u32>, Vec<f32>);
    let input = match case.weights().contains("inputs_embeds") {
        true => {
            rows = case.values("inputs_embeds");
            Input::Embeddings(&rows[..TOKENS * model.config().width])
        }
        false => {
            ids = case.ints("input_ids").iter().map(|&id| id as u32).collect();
            Input::Ids(&ids[..TOKENS])
        }
    };
    let mut cache = Cache::new(model.config());
    let request = Request {
        logits: Logits::All,
        ..Request::default()
    };
    let outputs = model.forward(&mut [Segment::new(input, &mut cache)], &request);
    let found = &outputs.expect("a forward pass")[0].logits;
    furthest(found, &case.values(name)[..found.len()]) < 2e-3
}
