use std::sync::Arc; use std::sync::atomic::AtomicBool; use std::path::Path;
use burn::tensor::Device;
use engine::train::{Progress, Run};
use engine::weights::{Precision, Weights};
use engine::data::pack::Style;
use video::stiv::{StivConfig, stages, studio::{Studio, Order}, train::Recipe, SampleConfig, Guidance, text::TextTower};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let stop = AtomicBool::new(false);
    let out = Path::new(&args[2]);
    std::fs::create_dir_all(out).unwrap();
    match args[1].as_str() {
        "words" => {
            let mut p = Progress::new("words");
            let tower = stages::train_words(&stages::word_config(0), Run { folder: &out.join("words"), resume: false, stop: &stop, progress: &mut p }).unwrap();
            println!("{} words", tower.vocabulary.len());
            for prompt in ["red apple", "빨간 사과", "🍎", "manzana roja", "红苹果", "りんご", "apple", "cat face twemoji", "fruit", "zebra blorp", "красное яблоко"] {
                let u = tower.understand(prompt);
                let mut best: Vec<_> = u.subjects.iter().copied().enumerate().collect();
                best.sort_by(|a,b| b.1.total_cmp(&a.1));
                println!("{prompt}: {:?} {:?} unknown {:?}", best.iter().take(3).collect::<Vec<_>>(), u.style, u.unknown);
            }
            let mut file = engine::weights::TensorFile::new();
            video::stiv::tower::write(&tower, &mut file, Precision::F32).unwrap();
            file.write(out.join("words.safetensors")).unwrap();
        }
        "pictures" => {
            let steps: u64 = args[3].parse().unwrap();
            let tower = Arc::new(video::stiv::tower::read(&Weights::open(out.join("words.safetensors")).unwrap()).unwrap());
            let mut p = Progress::new("pictures");
            let shape = StivConfig::emoji_pictures();
            let t = stages::train_pictures(&shape, tower.clone(), Recipe::default(), &stages::picture_config(steps, 0), Run { folder: &out.join("pictures"), resume: true, stop: &stop, progress: &mut p }).unwrap();
            Studio::save(&t.ema, &shape, &tower, &[], Precision::F16, &out.join("pictures.safetensors")).unwrap();
        }
        _ => {}
    }
}
