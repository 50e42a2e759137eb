//! What `orrery lora-rar merge` says before and after.

use base::command::{Failure, eprint_line, print_json, print_line};
use base::files::write_bytes;
use serde_json::json;

use super::merge::{Merge, Name};
use crate::lora_rar::Format;
use crate::lora_rar::pipeline::{Job, LayerReport};

impl Merge {
    /// What the user should know before.
    pub(super) fn warn(&self, job: &Job) -> Result<(), Failure> {
        let raw = job.merger.is_some_and(|merger| !merger.effective);
        for lora in [job.content, job.style] {
            let absent = lora.without_alpha();
            if lora.format == Format::Kohya && absent > 0 {
                eprint_line(&format!(
                    "warning: {absent} layers of `{}` have no alpha: their updates count as they are",
                    lora.origin()
                ));
            }
            let Some(layer) = lora
                .layers()
                .find(|layer| raw && layer.is_merged_by_network())
            else {
                continue;
            };
            if let Some(factors) = lora
                .factors(layer)?
                .filter(|factors| (factors.scale() - 1.0).abs() > 1e-6)
            {
                eprint_line(&format!(
                    "warning: `{}` has alpha / rank {}: the network sees its updates without it, as the published ones were trained",
                    lora.origin(),
                    factors.scale()
                ));
            }
        }
        Ok(())
    }

    pub(super) fn matches(&self, job: &Job) -> Result<(), Failure> {
        let both = job
            .content
            .layers()
            .filter(|layer| job.style.has(layer))
            .count();
        let [content, style] = [job.content, job.style].map(|lora| lora.layers().count() - both);
        let asked = job
            .content
            .layers()
            .filter(|layer| layer.is_merged_by_network())
            .count();
        let asked = if job.merger.is_some() { asked } else { 0 };
        self.output.print(
            &json!({"both": both, "content_only": content, "style_only": style, "asked_of_hypernetwork": asked,
            "ignored": [job.content.ignored, job.style.ignored]}),
            &format!(
                "{both} layers in both, {content} in the content alone, {style} in the style alone; the network is asked about {asked}"
            ),
        )
    }

    pub(super) fn print_report(&self, layers: &[LayerReport], seconds: f64) -> Result<(), Failure> {
        if let Some(path) = &self.report {
            let report = json!({"method": self.method.name(), "layers": layers});
            write_bytes(path, format!("{report:#}\n").as_bytes())?;
        }
        let asked = layers
            .iter()
            .filter(|layer| layer.coefficients.is_some())
            .count();
        let rank = layers.iter().map(|layer| layer.ranks[2]).max().unwrap_or(0);
        if self.output.json {
            return print_json(
                &json!({"out": base::files::shown(&self.out), "method": self.method.name(), "layers": layers.len(), "rank": rank,
                "asked_of_hypernetwork": if self.method == Name::Rar { asked } else { 0 }, "with_coefficients": asked, "seconds": seconds}),
            );
        }
        print_line(&format!(
            "{}: {} layers of rank up to {rank}, merged by {} in {seconds:.1} s",
            self.out.display(),
            layers.len(),
            self.method.name()
        ))?;
        if asked > 0 {
            let mean = |side: fn(&LayerReport) -> Option<f32>| {
                layers.iter().filter_map(side).map(f64::from).sum::<f64>() / asked as f64
            };
            let content = mean(|layer| Some(layer.coefficients.as_ref()?.content[0]));
            let style = mean(|layer| Some(layer.coefficients.as_ref()?.style[0]));
            print_line(&format!(
                "{asked} layers got coefficients of {content:.2} for the content and {style:.2} for the style on average; the others are summed"
            ))?;
        }
        Ok(())
    }
}
