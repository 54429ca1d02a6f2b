"""Real architectures, built from their configuration with Hugging Face transformers, offline.

Small sizes, random weights as the library initialises them, and a step of the loop they are made
for: text is source code of Python's own library in 1024 word pieces learned from it, images are
scikit-learn's digits, sound is a spectrogram of chirps (there is no speech on this machine).
"""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from plain_nets import digits

os.environ.setdefault("HF_HUB_OFFLINE", "1")

VOCABULARY, WIDTH, BATCH, TOKENS, PAIRS = 1024, 192, 16, 32, 64


class Architecture(NamedTuple):
    """How to build one, feed it for real, and feed it blindly.

    Attributes:
        factory: makes the model. real: (seed) -> keyword arguments of a training step, labels
            included; the model returns its own loss. blind: (seed, samples) -> what a forecast
            is given instead, in the words of `preflight` (N(0,1) data, random ids).
        samples: enough for a static forecast; batch normalisation wants the batch of training.
        batches: over how many the measured profile is averaged.
    """

    factory: Callable[[], nn.Module]
    real: Callable[[int], dict[str, Any]]
    blind: Callable[[int, int], dict[str, Any]]
    samples: int = 4
    batches: int = 1


def text(seed: int, batch: int = BATCH, tokens: int = TOKENS) -> Tensor:
    """Word pieces [batch, tokens] of argparse's source, from places that `seed` picks."""
    data = _pieces()
    starts = torch.randint(
        0, len(data) - tokens, (batch,), generator=torch.Generator().manual_seed(seed)
    )
    return torch.stack([data[s : s + tokens] for s in starts.tolist()])


@functools.cache
def _pieces() -> Tensor:
    """argparse as byte-pair encoding learned from the standard library: text as such models read
    it. (As bytes every third one is a space, and so many equal labels make δ of different tokens
    alike, which no forecast without labels can know: docs/static-theory.md.)"""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    home = Path(argparse.__file__)
    coder = Tokenizer(models.BPE())
    coder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<pad>", "<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    sources = sorted(home.parent.glob("*.py"))[::4]
    coder.train_from_iterator((f.read_text(errors="ignore") for f in sources), trainer)
    return torch.tensor(coder.encode(home.read_text()).ids)


def _random_ids(seed: int, batch: int, tokens: int = TOKENS) -> Tensor:
    """Ids [batch, tokens] of ordinary tokens. Never the padding token: its row is zero, and where
    it begins a sequence δ gains 1/√eps in each RMSNorm (9 decades in six Llama layers)."""
    return torch.randint(
        3, VOCABULARY, (batch, tokens), generator=torch.Generator().manual_seed(seed)
    )


def _chirps(seed: int, mels: int, frames: int) -> Tensor:
    """Log spectrograms [BATCH, mels, frames] of tones that rise and fall, standardised."""
    random = torch.Generator().manual_seed(seed)
    start, slope, width = torch.rand(3, BATCH, 1, 1, generator=random)
    at = torch.linspace(0, 1, mels)[None, :, None]
    now = torch.linspace(0, 1, frames)[None, None, :]
    tone = -((at - start - (slope - 0.5) * now) ** 2) / (0.01 + 0.05 * width)
    x = torch.logaddexp(tone, torch.full_like(tone, -4.0))
    return (x - x.mean()) / x.std()


def _masked(ids: Tensor, seed: int) -> dict[str, Tensor]:
    """15 % of the tokens hidden and asked for, as BERT is trained."""
    hidden = torch.rand(ids.shape, generator=torch.Generator().manual_seed(seed)) < 0.15
    return {"input_ids": ids.masked_fill(hidden, 3), "labels": ids.masked_fill(~hidden, -100)}


def _images(seed: int, size: int, batch: int = BATCH) -> dict[str, Tensor]:
    x, y = digits(batch, (batch, 3, size, size), seed)
    return {"pixel_values": x, "labels": y}


def _noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def architectures() -> dict[str, Architecture]:
    """By name. ImportError where transformers is not installed (extra `bench`)."""
    import transformers as t

    t.logging.set_verbosity_error()
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    layers, heads, inner, size = 6, 4, 2 * WIDTH, 32

    def language(model: Any, config: Any, **more: Any) -> Architecture:
        names = {"vocab_size": VOCABULARY, "use_cache": False, **special, **more}
        return Architecture(
            lambda: model(config(**names)),
            lambda seed: {"input_ids": (ids := text(seed)), "labels": ids},
            lambda seed, n: {"input_ids": _random_ids(seed, n)},
        )

    def vision(model: Any, config: Any, samples: int = 4, **more: Any) -> Architecture:
        return Architecture(
            lambda: model(config(num_labels=10, **more)),
            lambda seed: _images(seed, size),
            lambda seed, n: {"pixel_values": _noise(seed, n, 3, size, size)},
            samples,
        )

    usual = {
        "hidden_size": WIDTH, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }  # fmt: skip
    patches = {**usual, "image_size": size, "patch_size": 8}
    found = {
        "GPT-2": language(t.GPT2LMHeadModel, t.GPT2Config, n_embd=WIDTH, n_layer=layers,
                          n_head=heads, n_positions=64),
        "Llama": language(t.LlamaForCausalLM, t.LlamaConfig, **usual),
        "Mistral": language(t.MistralForCausalLM, t.MistralConfig, num_key_value_heads=2, **usual),
        "GPT-NeoX": language(t.GPTNeoXForCausalLM, t.GPTNeoXConfig, **usual),
        "Mamba": language(t.MambaForCausalLM, t.MambaConfig, hidden_size=WIDTH,
                          num_hidden_layers=layers),
        "Mixtral": language(t.MixtralForCausalLM, t.MixtralConfig, num_key_value_heads=2,
                            num_local_experts=4, **usual),
        "ViT": vision(t.ViTForImageClassification, t.ViTConfig, **patches),
        "ResNet": vision(t.ResNetForImageClassification, t.ResNetConfig, BATCH, embedding_size=32,
                         hidden_sizes=[32, 64, 128, 256], depths=[2, 2, 2, 2],
                         layer_type="basic"),
        "ConvNeXT": vision(t.ConvNextForImageClassification, t.ConvNextConfig,
                           hidden_sizes=[32, 64, 128, 256], depths=[2, 2, 4, 2], patch_size=2),
    }  # fmt: skip
    found["BERT"] = Architecture(
        lambda: t.BertForMaskedLM(t.BertConfig(vocab_size=VOCABULARY, pad_token_id=0, **usual)),
        lambda seed: _masked(text(seed), seed),
        lambda seed, n: {"input_ids": _random_ids(seed, n)},
    )
    found["T5"] = Architecture(
        lambda: t.T5ForConditionalGeneration(
            t.T5Config(vocab_size=VOCABULARY, d_model=WIDTH, d_kv=48, d_ff=inner, num_heads=heads,
                       num_layers=4, decoder_start_token_id=0, use_cache=False, **special)
        ),
        lambda seed: {"input_ids": text(seed), "labels": text(seed + 1, BATCH, 16)},
        lambda seed, n: {"input_ids": _random_ids(seed, n),
                         "decoder_input_ids": _random_ids(seed + 1, n, 16)},
    )  # fmt: skip
    found["Whisper"] = Architecture(
        lambda: t.WhisperForConditionalGeneration(
            t.WhisperConfig(vocab_size=VOCABULARY, d_model=WIDTH, encoder_layers=4,
                            decoder_layers=4, encoder_attention_heads=heads,
                            decoder_attention_heads=heads, encoder_ffn_dim=inner,
                            decoder_ffn_dim=inner, num_mel_bins=40, max_source_positions=32,
                            max_target_positions=32, decoder_start_token_id=1, use_cache=False,
                            **special)
        ),
        lambda seed: {"input_features": _chirps(seed, 40, 64), "labels": text(seed, BATCH, 16)},
        lambda seed, n: {"input_features": _noise(seed, n, 40, 64),
                         "decoder_input_ids": _random_ids(seed, n, 16)},
    )  # fmt: skip
    tower = {**usual, "num_hidden_layers": 4}
    found["CLIP"] = Architecture(
        lambda: t.CLIPModel(
            t.CLIPConfig(
                text_config={**tower, **special, "vocab_size": VOCABULARY,
                             "max_position_embeddings": 32},
                vision_config={**tower, "image_size": size, "patch_size": 8},
                projection_dim=64,
            )
        ),
        # Its loss wants no labels, but pairs to tell apart. From one real batch to the next the
        # towers' errors differ by .11 decades on average, so that several must be measured.
        lambda seed: {"input_ids": text(seed, PAIRS, 16), "return_loss": True,
                      "pixel_values": _images(seed, size, PAIRS)["pixel_values"]},
        lambda seed, n: {"input_ids": _random_ids(seed, PAIRS, 16), "return_loss": True,
                         "pixel_values": _noise(seed, PAIRS, 3, size, size)},
        batches=8,
    )  # fmt: skip
    return found


def llama_13b() -> nn.Module:
    """Llama 2 at 13 billion parameters (arXiv:2307.09288): 52 GB, were its weights stored."""
    import transformers as t

    return t.LlamaForCausalLM(
        t.LlamaConfig(
            vocab_size=32000, hidden_size=5120, intermediate_size=13824, num_hidden_layers=40,
            num_attention_heads=40, max_position_embeddings=4096, use_cache=False,
        )
    )  # fmt: skip
