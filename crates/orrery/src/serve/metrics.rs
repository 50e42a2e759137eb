//! What `/metrics` tells.

use std::fmt::Write;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// How a request ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Ended {
    /// The path as the routes name it.
    pub route: &'static str,
    /// The HTTP status.
    pub status: u16,
}

/// Counters, gauges and histograms.
pub struct Metrics {
    registry: Registry,
    /// Requests that got an answer's head.
    pub requests: Family<Ended, Counter>,
    /// Requests between their head and the end of their answer.
    pub running: Gauge,
    /// Open connections.
    pub connections: Gauge,
    /// Texts that wait for a slot.
    pub waiting: Gauge,
    /// Texts that are being written.
    pub slots: Gauge,
    /// Slots that there are.
    pub slots_total: Gauge,
    /// Texts whose reader left.
    pub cancelled: Counter,
    /// Requests that found the queue full or their key's limit reached.
    pub refused: Counter,
    /// Tokens of prompts, cached ones included.
    pub prompt_tokens: Counter,
    /// Tokens of prompts whose keys and values were there already.
    pub cached_tokens: Counter,
    /// Tokens written.
    pub tokens: Counter,
    /// Bytes of cached prefixes.
    pub prefix_bytes: Gauge,
    /// Loaded language models.
    pub models: Gauge,
    /// Steps of the batch.
    pub steps: Counter,
    /// Texts in a step.
    pub batch: Histogram,
    /// Seconds to a text's first token.
    pub first_token: Histogram,
    /// Seconds between two tokens of a text.
    pub between_tokens: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("orrery");
        let seconds = || Histogram::new(exponential_buckets(0.002, 2.0, 14));
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            running: Gauge::default(),
            connections: Gauge::default(),
            waiting: Gauge::default(),
            slots: Gauge::default(),
            slots_total: Gauge::default(),
            cancelled: Counter::default(),
            refused: Counter::default(),
            prompt_tokens: Counter::default(),
            cached_tokens: Counter::default(),
            tokens: Counter::default(),
            prefix_bytes: Gauge::default(),
            models: Gauge::default(),
            steps: Counter::default(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 8)),
            first_token: seconds(),
            between_tokens: seconds(),
        };
        let all = &metrics;
        registry.register(
            "requests",
            "Requests by route and status",
            all.requests.clone(),
        );
        let gauges = [
            (
                "requests_running",
                "Requests that are being answered",
                &all.running,
            ),
            ("connections", "Open connections", &all.connections),
            ("queue_waiting", "Texts that wait for a slot", &all.waiting),
            ("slots_busy", "Texts that are being written", &all.slots),
            ("slots", "Slots that there are", &all.slots_total),
            (
                "prefix_cache_bytes",
                "Bytes of cached prefixes",
                &all.prefix_bytes,
            ),
            ("models_loaded", "Language models in memory", &all.models),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let counters = [
            ("cancelled", "Texts whose reader left", &all.cancelled),
            (
                "refused",
                "Requests refused for a full queue or a key's limit",
                &all.refused,
            ),
            ("prompt_tokens", "Tokens of prompts", &all.prompt_tokens),
            (
                "prompt_tokens_cached",
                "Tokens of prompts found in the prefix cache",
                &all.cached_tokens,
            ),
            ("generated_tokens", "Tokens written", &all.tokens),
            ("batch_steps", "Steps of the batch", &all.steps),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let histograms = [
            ("batch_texts", "Texts in a step of the batch", &all.batch),
            (
                "first_token_seconds",
                "Time to the first token",
                &all.first_token,
            ),
            (
                "between_tokens_seconds",
                "Time between two tokens",
                &all.between_tokens,
            ),
        ];
        for (name, help, histogram) in histograms {
            registry.register(name, help, histogram.clone());
        }
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// All of them in OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            let _ = writeln!(text, "# cut short");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told() {
        let metrics = Metrics::default();
        let ended = Ended {
            route: "/v1/models",
            status: 200,
        };
        metrics.requests.get_or_create(&ended).inc();
        metrics.slots.set(3);
        let text = metrics.text();
        assert!(
            text.contains("orrery_requests_total{route=\"/v1/models\",status=\"200\"} 1"),
            "{text}"
        );
        assert!(text.contains("orrery_slots_busy 3"));
    }
}
