//! Checkpoints: mapped safetensors, key maps both ways.
