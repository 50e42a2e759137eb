//! HyperFL-LPM: a frozen pretrained network whose small adapters are generated.

mod adapter;
mod batch_norm;
mod gelu;
mod norm;
mod resnet;
mod resnet_adapter;
mod vit;
mod vit_config;

pub use batch_norm::Statistics;
pub use resnet::{LpmResnet, ResnetConfig, Running};
pub use vit::LpmVit;
pub use vit_config::VitConfig;
