//! Scores of matched pairs: TEDS, BLEU, METEOR, detection.
