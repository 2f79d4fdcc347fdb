"""The greedy tokens of transformers beside those of `generate`: transformers_mamba2.py [DIRECTORY] [GENERATE].

Needs torch and transformers. DIRECTORY is a published model of bytes, tests/checkpoints/mamba2_bytes if left out; GENERATE the
program, target/release/examples/generate if left out. Ends with 1 where a token differs, and says how near the next most
likely token was.
"""
import os
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PROMPTS = ["The state ", "A layer is ", "# The recall suite\n\n", "ä"]
TOKENS = 100


def greedy(model, prompt):
    """The most likely tokens, and of each how far its logit is above the next."""
    tokens, margins = list(prompt), []
    for _ in range(TOKENS):
        logits = model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
        best = logits.topk(2)
        margins.append(float(best.values[0] - best.values[1]))
        tokens.append(int(best.indices[0]))
    return tokens[len(prompt):], margins


def ours(program, directory, prompt):
    arguments = ["--tokens", ",".join(map(str, prompt)), "--max-tokens", str(TOKENS), "--ids", "--stop", ""]
    text = subprocess.run([program, "--checkpoint", directory, *arguments], check=True, capture_output=True, text=True).stdout
    return [int(word) for word in text.split()]


@torch.no_grad()
def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "tests", "checkpoints", "mamba2_bytes")
    program = sys.argv[2] if len(sys.argv) > 2 else os.path.join(ROOT, "target", "release", "examples", "generate")
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    failed = False
    for text in PROMPTS:
        prompt = list(text.encode())
        (wanted, margins), found = greedy(model, prompt), ours(program, directory, prompt)
        equal = next((place for place in range(TOKENS) if found[place:place + 1] != wanted[place:place + 1]), TOKENS)
        print(f"{bytes(wanted).decode(errors='replace')!r}")
        print(f"{text!r}: {equal} of {TOKENS} tokens are equal, the nearest choice by {min(margins):.2e}")
        if equal < TOKENS:
            failed = True
            print(f"  transformers: {wanted[equal]}, by {margins[equal]:.2e}; here: {found[equal:equal + 1]}")
    sys.exit(1 if failed else 0)


main()
