"""One token after another through transformers' Mamba or Mamba-2 with random weights, on the CPU.

    python decode_cpu.py --model mamba2 --dtype bf16 --shape 768,24,50280

Needs torch and transformers.
"""
import argparse
import json

import torch
import transformers

import measuring


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", choices=["mamba", "mamba2"], required=True)
    p.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    p.add_argument("--shape", required=True, help="width, layers and vocabulary with commas between them")
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--runs", type=int, default=20, help="at least so many tokens; their median counts")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    d, layers, vocabulary = map(int, a.shape.split(","))
    common = dict(hidden_size=d, num_hidden_layers=layers, vocab_size=vocabulary, tie_word_embeddings=True)
    if a.model == "mamba":
        model = transformers.MambaForCausalLM(transformers.MambaConfig(**common))
    else:
        config = transformers.Mamba2Config(num_heads=2 * d // 64, n_groups=1, **common)
        model = transformers.Mamba2ForCausalLM(config)
    model = model.to(dict(f32=torch.float32, bf16=torch.bfloat16)[a.dtype]).eval()
    token = torch.tensor([[17]])
    with torch.no_grad():
        cache = model(token, use_cache=True).cache_params

        def step():
            model(token, cache_params=cache, use_cache=True).logits.sum().item()

        seconds = measuring.median(step, a.runs)
    print(json.dumps(dict(torch=torch.__version__, transformers=transformers.__version__, seconds=seconds)))


if __name__ == "__main__":
    main()
