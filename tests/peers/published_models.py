"""Tiny models of transformers with random weights, as golden vectors: published_models.py DIRECTORY.

Needs torch and transformers. Everything is computed in float64 from the stored float32 weights: what the library widens to
float32 is widened to float64 instead.
"""
import os
import sys

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import Qwen3NextConfig, Qwen3NextForCausalLM, RecurrentGemmaConfig, RecurrentGemmaForCausalLM

WIDE = {torch.float32: torch.float64}


def widened(function):
    def wide(*arguments, **options):
        arguments = [WIDE.get(argument, argument) if isinstance(argument, torch.dtype) else argument for argument in arguments]
        options = {name: WIDE.get(value, value) if isinstance(value, torch.dtype) else value for name, value in options.items()}
        return function(*arguments, **options)

    return wide


def widen():
    torch.Tensor.to = widened(torch.Tensor.to)
    torch.Tensor.type = widened(torch.Tensor.type)
    torch.Tensor.float = torch.Tensor.double
    F.softmax = widened(F.softmax)
    torch.zeros = widened(torch.zeros)
    torch.arange = widened(torch.arange)


def qwen3_next():
    config = Qwen3NextConfig(
        vocab_size=64, hidden_size=24, intermediate_size=20, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, linear_conv_kernel_dim=3, linear_key_head_dim=4, linear_value_head_dim=6,
        linear_num_key_heads=2, linear_num_value_heads=4, mlp_only_layers=[2], num_experts=5, num_experts_per_tok=2,
        layer_types=["linear_attention", "full_attention", "linear_attention", "full_attention"],
        moe_intermediate_size=6, shared_expert_intermediate_size=7,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.5},
    )
    # The fast form wants widths that are multiples of 16 bytes.
    return Qwen3NextForCausalLM._from_config(config, experts_implementation="eager")


def recurrent_gemma():
    config = RecurrentGemmaConfig(
        vocab_size=64, hidden_size=24, intermediate_size=28, num_hidden_layers=4, num_attention_heads=3,
        num_key_value_heads=1, lru_width=18, attention_window_size=5, conv1d_width=3, logits_soft_cap=5.0,
        # Or the token's embedding would learn from the head alone.
        attention_bias=True, pad_token_id=None,
    )
    return RecurrentGemmaForCausalLM(config)


def write(name, make, directory):
    folder = os.path.join(directory, f"16_model_{name}")
    with torch.no_grad():
        model = make()
        for parameter in model.parameters():
            parameter.copy_(torch.rand_like(parameter) - 0.5)
        # Where the head is tied to it, the last token would else be the next one.
        model.get_input_embeddings().weight.mul_(0.2)
    model.save_pretrained(folder)
    os.remove(os.path.join(folder, "generation_config.json"))
    model = model.double().eval()
    for module in model.modules():
        if hasattr(module, "compute_default_rope_parameters"):
            module.inv_freq = module.compute_default_rope_parameters(module.config)[0].double()
    ids = torch.randint(0, 64, (2, 20))
    logits = model(ids, use_cache=False).logits
    loss = F.cross_entropy(logits[:, :-1].reshape(-1, 64), ids[:, 1:].reshape(-1))
    loss.backward()
    gradients = {f"d_params.{name}": parameter.grad for name, parameter in model.named_parameters()}
    text, margins = ids[:1, :8], []
    with torch.no_grad():
        for _ in range(24):
            best = model(text, use_cache=False).logits[0, -1].topk(2)
            margins.append(best.values[0] - best.values[1])
            text = torch.cat([text, best.indices[:1].reshape(1, 1)], 1)
    computed = {"logits": logits, "loss": loss.reshape(1), "greedy_margin": torch.stack(margins), **gradients}
    # By way of numpy: `to` has been widened.
    tensors = {name: torch.tensor(value.detach().numpy().astype("float32")) for name, value in computed.items()}
    tensors |= {"input_ids": ids, "prompt_ids": ids[:1, :8].clone(), "greedy_ids": text[:, 8:].clone()}
    metadata = {
        "op": "model",
        "case": name,
        "source": f"transformers {transformers.__version__} {type(model).__name__}, random weights",
        "computed": "float64 from the stored f32 weights, stored f32",
        "loss": "mean cross entropy of logits[:, :-1] against input_ids[:, 1:]",
        "validated": f"min greedy margin {min(margins):.2e}",
    }
    save_file(tensors, os.path.join(folder, "io.safetensors"), metadata)
    print(name, metadata["validated"])


if __name__ == "__main__":
    torch.manual_seed(1)
    widen()
    for name, make in [("qwen3next_experts", qwen3_next), ("recurrent_gemma", recurrent_gemma)]:
        write(name, make, sys.argv[1])
