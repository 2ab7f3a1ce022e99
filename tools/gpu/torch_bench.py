"""What PyTorch makes of the same shapes on the same card as `ocelli bench`: `torch_bench.py OUT.json`.

Random weights. SigLIP B/16-224's picture tower in f32 without and with TF32 and in f16, milliseconds a picture, at batch 1 also as a CUDA
graph; OWLv2 B/16's picture tower at 960 pixels in f16; a decoder of SmolVLM-256M's shape in f16, milliseconds a token after 100 and
2,000. Each is the median over CUDA events.
"""

import json
import sys

import torch
from transformers import (LlamaConfig, LlamaForCausalLM, Owlv2VisionConfig, Owlv2VisionModel, SiglipVisionConfig, SiglipVisionModel,
                          StaticCache)

PRECISIONS = [("f32", torch.float32, False), ("tf32", torch.float32, True), ("f16", torch.float16, False)]
SIGLIP_GFLOP = 35.4  # of a picture


def median(run, times=30):
    for _ in range(5):
        run()
    torch.cuda.synchronize()
    marks = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(times)]
    for start, end in marks:
        start.record()
        run()
        end.record()
    torch.cuda.synchronize()
    return sorted(start.elapsed_time(end) for start, end in marks)[times // 2]


def graphed(run):
    """Milliseconds as a CUDA graph, without what Python costs."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return median(graph.replay)


def siglip():
    for name, dtype, tf32 in PRECISIONS:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        model = SiglipVisionModel(SiglipVisionConfig()).to("cuda", dtype).eval()
        for batch in (1, 8, 32):
            pixels = torch.randn(batch, 3, 224, 224, device="cuda", dtype=dtype)
            run = lambda: model(pixels).pooler_output
            each = median(run) / batch
            row = dict(model="siglip-b16", precision=name, batch=batch, ms_each=each, tflops=SIGLIP_GFLOP / each / 1e3)
            yield row | (dict(ms_graph=graphed(run)) if batch == 1 else {})


def owlv2():
    config = Owlv2VisionConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, image_size=960, patch_size=16)
    model = Owlv2VisionModel(config).to("cuda", torch.float16).eval()
    pixels = torch.randn(1, 3, 960, 960, device="cuda", dtype=torch.float16)
    yield dict(model="owlv2-b16", precision="f16", batch=1, ms_each=median(lambda: model(pixels).last_hidden_state))


def decoder():
    config = LlamaConfig(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
                         head_dim=64, vocab_size=49280, max_position_embeddings=8192)
    model = LlamaForCausalLM(config).to("cuda", torch.float16).eval()
    for past in (100, 2000):
        cache = StaticCache(config=config, max_cache_len=2256)
        model(torch.zeros(1, past, dtype=torch.long, device="cuda"), past_key_values=cache, cache_position=torch.arange(past, device="cuda"))
        token, place = torch.zeros(1, 1, dtype=torch.long, device="cuda"), torch.tensor([past], device="cuda")
        run = lambda: model(token, past_key_values=cache, cache_position=place).logits
        yield dict(model="smolvlm-256m", precision="f16", past=past, ms_each=median(run))


def main():
    torch.manual_seed(0)
    rows = []
    with torch.inference_mode():
        for part in (siglip, owlv2, decoder):
            try:
                for row in part():
                    print(row, flush=True)
                    rows.append(row)
            except Exception as error:  # the others are worth having
                print(f"{part.__name__}: {error}", flush=True)
                rows.append(dict(model=part.__name__, error=str(error)))
    with open(sys.argv[1], "w") as out:
        json.dump(dict(device=torch.cuda.get_device_name(), torch=torch.__version__, rows=rows), out, indent=1)


if __name__ == "__main__":
    main()
