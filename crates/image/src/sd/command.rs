//! The verbs of `orrery sd`.

mod draw;
mod eval;
mod info;
mod pack;
mod preview;
mod train;
mod train_lora;

base::verbs! {
    /// Draw with Stable Diffusion: the small model inside, or weights of 1, 2 or XL that you have.
    pub enum Command {
        /// Draw what a prompt says
        #[command(after_help = "Examples:
  orrery sd generate \"elephant twemoji\" --transparent
  orrery sd generate \"a red fox in the snow\" --model sd-v1-5
  orrery sd generate \"a red fox\" --model xl.safetensors --tokenizer clip --lora style.safetensors:0.8 --seed 7
  orrery sd generate \"a red fox\" --model sd-v1-5-q8_0.gguf --tokenizer clip --weights q8_0
  orrery sd generate --again a-red-fox-7.png")]
        Generate(draw::Generate),
        /// Draw what a prompt says, starting from a picture
        #[command(after_help = "Example:
  orrery sd img2img \"an oil painting\" --image photo.png --strength 0.6 --model sd-v1-5")]
        Img2img(draw::Img2img),
        /// Draw part of a picture anew
        #[command(after_help = "Example:
  orrery sd inpaint \"a cat\" --image sofa.png --mask where.png --model sd-v1-5-inpainting

The mask has the picture's size and is white where it is drawn anew. Models with nine input channels see the rest while
they draw; others get it back after each step.")]
        Inpaint(draw::Inpaint),
        /// Change a picture as an instruction says, with a model made for it (InstructPix2Pix)
        #[command(after_help = "Examples:
  orrery sd edit \"make it snow\" --image photo.png --model instruct-pix2pix
  orrery sd edit \"make it snow\" --image photo.png --model instruct-pix2pix --guidance 10 --image-guidance 1.2 --seed 7

A larger --guidance follows the instruction more, a larger --image-guidance the picture; the authors use 7.5 and 1.5, and
100 steps of euler-a. Each step is three passes of the U-Net.")]
        Edit(draw::Edit),
        /// Say what a model is, without reading its weights
        #[command(after_help = "Example:
  orrery sd info --model sd-v1-5")]
        Info(info::Info),
        /// Train a small model of the same shape on emoji; Ctrl-C keeps what is done
        #[command(after_help = "Examples:
  orrery sd train --stage vae --data emoji-styles-64 --bf16 --out runs/vae
  orrery sd train --stage text --data emoji-styles-64 --base runs/vae/model --out runs/text
  orrery sd train --stage unet --data emoji-styles-64 --base runs/text/model --bf16 --out runs/unet
  orrery sd train --resume runs/unet
  orrery sd generate \"elephant twemoji\" --model runs/unet/model")]
        Train(train::Train),
        /// Train a LoRA on pictures of a subject or a style; Ctrl-C keeps what is done
        #[command(after_help = "Examples:
  orrery sd train-lora --data dog --prompt \"a sks dog\" --model sd-v1-5 --out runs/dog
  orrery sd train-lora --data bears --prompt \"sks bear\" --learning-rate 0.002 --out runs/bear
  orrery sd train-lora --resume runs/dog
  orrery sd generate \"a sks dog on the moon\" --model sd-v1-5 --lora runs/dog/lora.safetensors

The folder holds pictures (the square in the middle of each is used), and may hold a
metadata.jsonl with lines of file_name and text, which then says what each shows. The LoRA
changes query, key, value and output projections of the U-Net's attentions; all else stays.")]
        TrainLora(train_lora::TrainLora),
        /// Draw pairs of subject and style that were trained and some that were held out, and measure them
        #[command(after_help = "Examples:
  orrery sd eval --data emoji-styles-64 --model runs/unet/model --out runs/eval
  orrery sd eval --data emoji-styles-64 --split test --out runs/test
  python benches/sd_perceptual.py runs/eval

The folder holds the pictures drawn and the real ones, a line for each in pictures.jsonl, the sheets trained.png and held-out.png
that show them side by side, and report.json. The same command goes on after Ctrl-C.")]
        Eval(eval::Eval),
        /// Write the folder of a model as one file, which --model takes like the folder
        #[command(after_help = "Example:
  orrery sd pack runs/unet/model --out emoji.safetensors")]
        Pack(pack::Pack),
    }
}
