"""What lies outside the model: proposed as text with its evidence, never applied.

A softmax in the script before a loss that has its own, targets scaled in the data pipeline, the
dtype of a training, data that hold NaN: the change is the user's to make.
"""

from __future__ import annotations

from .base import Entry, nothing


def _entry(method: str, about: str, edit: str) -> Entry:
    return Entry(
        kind="edit",
        method=method,
        about=about,
        examples=(method,),
        edit=lambda parsed: edit,
        parse=nothing,
        apply="",
    )


#: What each is about, and the change in words or code.
_EDITS = {
    "logits": (
        "raw scores into the loss: it has a softmax of its own",
        "take the softmax (or sigmoid) away before the loss: cross_entropy and "
        "binary_cross_entropy_with_logits want raw scores; apply it only where probabilities are "
        "shown",
    ),
    "target-scale": (
        "targets standardised in the script",
        "train on (y - y_train.mean()) / y_train.std(), and undo it on predictions",
    ),
    "dtype": (
        "bfloat16 or float32, or a GradScaler",
        "use torch.autocast(..., dtype=torch.bfloat16), or float16 with torch.amp.GradScaler",
    ),
    "clean-data": (
        "no missing values in the data",
        "drop or fill rows that are not finite (torch.isfinite(x).all(1)) and look at outliers "
        "such as -999",
    ),
    "nonlinearity": (
        "an activation between layers that have none",
        "put torch.nn.ReLU() (or GELU) between the layers named: without it they are one layer",
    ),
    "connect": (
        "a path from the layer to the loss",
        "look for detach(), .data, no_grad() or argmax between the layer and the loss",
    ),
    "build-once": (
        "layers built once, in __init__",
        "build the layer in __init__ and only call it in forward; keep sub-modules in "
        "nn.ModuleList, not in a plain list",
    ),
    "step": (
        "an update after each backward pass",
        "call optimizer.zero_grad(), loss.backward(), optimizer.step() in this order",
    ),
    "shuffle": (
        "batches that mix the data",
        "DataLoader(..., shuffle=True), or shuffle rows and targets together before the loop",
    ),
    "labels": (
        "labels that belong to their inputs",
        "print a few inputs beside their labels as the loss function gets them; shuffle, sort, "
        "filter and join both by one index",
    ),
    "class-weights": (
        "a loss that weighs rare classes up",
        "cross_entropy(..., weight=counts.sum() / (len(counts) * counts)), pos_weight for a binary "
        "loss, or a WeightedRandomSampler",
    ),
    "inputs": (
        "samples that differ",
        "print x.std(0): look for a mean over samples instead of features, or a division that "
        "leaves nothing, in the preparation of the data",
    ),
    "judge": (
        "a discriminator that does not win",
        "a lower rate or fewer updates for the discriminator, labels smoothed on both sides, or "
        "noise on what it is shown",
    ),
    "train-mode": (
        "training mode while training",
        "call model.train() before each epoch, and again after an evaluation's model.eval()",
    ),
    "shapes": (
        "prediction and target of one shape",
        "give the loss two tensors of one shape: pred.squeeze(1), or y.unsqueeze(1)",
    ),
    "axis": (
        "the operation along the axis that is meant",
        "give the operation named the dim that is meant (or permute and batch_first), so that it "
        "runs over the parts of one sample: not over samples, nor over an axis of length 1",
    ),
    "causal": (
        "no look ahead",
        "mask later steps: is_causal=True (scaled_dot_product_attention), attn_mask of the upper "
        "triangle, padding on the left only, no bidirectional layer",
    ),
    "norm": (
        "a normalisation over more values",
        "put torch.nn.LayerNorm or GroupNorm (4 values or more in a group) in place of the norm "
        "named, or let the DataLoader make batches of 16 or more",
    ),
    "kl-weight": (
        "a KL term that does not outweigh the reconstruction",
        "sum the reconstruction over pixels and take the mean over samples, as for the KL term; "
        "weigh that by min(1, step / warm_up)",
    ),
    "balance": (
        "a loss that keeps experts evenly used",
        "add .01 * K * (share * p.mean(0)).sum() to the loss: p [tokens, K] is the router's "
        "softmax, share the part of the tokens sent to each of the K experts",
    ),
    "without-batchnorm": (
        "no BatchNorm",
        "take BatchNorm out of a deep network that has no skips: it makes the gradient grow at "
        "each layer",
    ),
    "average": (
        "a loss that is a mean",
        "(loss / parts).backward() for each of `parts` micro-batches; reduction='mean' in place of "
        "'sum'",
    ),
    "decay": (
        "less weight decay",
        "weight_decay=1e-4 for SGD, 0.01 for AdamW; 0 for biases, gains and embeddings",
    ),
    "float32": (
        "weights in float32, computing in bfloat16",
        "leave out model.bfloat16(); with torch.autocast(device, dtype=torch.bfloat16): around "
        "forward and loss",
    ),
    "clip": (
        "a clip that only trims",
        "call scaler.unscale_(optimizer) before clip_grad_norm_, and set its limit near the "
        "median norm of the gradients",
    ),
    "truncate": (
        "truncated back-propagation through time in the script's loop",
        "in the loop over time, every 20 to 50 steps: h = h.detach()",
    ),
}
ENTRIES = tuple(_entry(method, *texts) for method, texts in _EDITS.items())
