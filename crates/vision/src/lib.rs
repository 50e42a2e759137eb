//! Vision backbones and multimodal models.
