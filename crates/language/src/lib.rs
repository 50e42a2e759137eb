//! Decoding, steering, guarding and speaking: systems around language models.
