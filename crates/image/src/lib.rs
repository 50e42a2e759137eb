//! Picture and manga generation, editing and watermarking.
