"""What a torch function or an autograd node computes: its name in our words, and its kind.

The one table of operations: the tape, forecasts and treatments read it. Nothing here needs torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple


class Op(NamedTuple):
    """A function's op name and kind (see `schema.KINDS`); kind "view" is looked through."""

    name: str
    kind: str


_KINDS: dict[str, str] = {
    "affine": "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
    "conv_tbc bilinear",
    "recurrent": "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    "activation": "relu sigmoid tanh gelu silu elu selu celu leaky_relu prelu rrelu softplus "
    "softsign hardtanh relu6 hardsigmoid hardswish mish logsigmoid threshold hardshrink "
    "softshrink tanhshrink glu sin cos erf atan clamp clamp_min clip",
    "norm": "batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm normalize",
    "attention": "scaled_dot_product_attention multi_head_attention_forward",
    "softmax": "softmax log_softmax softmin gumbel_softmax",
    "join": "add sub mul div cat concat concatenate stack hstack vstack where lerp addcmul maximum "
    "minimum true_divide rsub subtract multiply divide",
    "embedding": "embedding embedding_bag",
    "pool": "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d "
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d lp_pool1d lp_pool2d fractional_max_pool2d "
    "max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices interpolate",
    "dropout": "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout "
    "feature_dropout native_dropout",
    "matmul": "matmul mm bmm addmm baddbmm mv dot einsum addmv inner outer tensordot",
    "loss": "cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss "
    "binary_cross_entropy binary_cross_entropy_with_logits kl_div poisson_nll_loss "
    "gaussian_nll_loss hinge_embedding_loss cosine_embedding_loss margin_ranking_loss "
    "multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss soft_margin_loss "
    "triplet_margin_loss triplet_margin_with_distance_loss ctc_loss",
    "view": "view reshape flatten unflatten permute transpose t swapaxes swapdims movedim moveaxis "
    "squeeze unsqueeze expand expand_as broadcast_to view_as reshape_as chunk split "
    "tensor_split unsafe_chunk unsafe_split split_with_sizes getitem narrow select unbind "
    "contiguous clone to float double half bfloat16 type type_as ravel alias tile repeat "
    "repeat_interleave diagonal unfold as_strided requires_grad atleast_1d atleast_2d pad cpu cuda "
    "index_select gather take flip roll slice adjoint real imag",
}
#: Of the activations, those that layers are given; a clamp or a sine may be any arithmetic.
ACTIVATIONS = (
    *("relu", "sigmoid", "tanh", "gelu", "silu", "elu", "selu", "celu", "leaky_relu", "softplus"),
    *("softsign", "hardtanh", "relu6", "hardsigmoid", "hardswish", "mish", "prelu"),
)
#: Kinds that mix the units of what they read, by weights of their own or computed ones.
MIXING = ("affine", "recurrent", "attention", "matmul", "custom")
#: Kinds whose weights make a layer: a norm's scale and shift do not, and a product with a matrix
#: that is frozen is a matmul. What an embedding gives is the data of what follows.
WEIGHTED = (*MIXING, "embedding")
#: Kinds whose module is called a layer.
LAYERS = ("affine", "recurrent", "embedding", "attention", "norm")
#: Where branches meet: operations that add, and those that multiply (a gate and a state).
ADDITIONS = frozenset(("add",))
PRODUCTS = frozenset(("mul", "multiply", "addcmul", "lerp"))
#: As a factor of a product, one of these is a gate; its output lies between two asymptotes.
BOUNDED = frozenset(("sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign"))


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}

#: Attribute reads, predicates and book-keeping: they compute nothing a gradient flows through.
_IGNORED = _names(
    "size dim ndimension numel stride storage_offset is_contiguous is_floating_point is_complex "
    "backward register_hook retain_grad detach item tolist numpy has_names element_size "
    "data_ptr len repr str format hash bool set delete is_same_size zero fill copy "
    "requires_grad_ isfinite isnan isinf setitem deepcopy reduce_ex"
)
_RENAMED = {"radd": "add", "iadd": "add", "rmul": "mul", "imul": "mul", "isub": "sub",
            "truediv": "div", "itruediv": "div", "rtruediv": "div", "rdiv": "div", "idiv": "div",
            "rmatmul": "matmul",
            "imatmul": "matmul", "rpow": "pow", "ipow": "pow", "concat": "cat",
            "concatenate": "cat", "swish": "silu"}  # fmt: skip

_ATTRIBUTES = {"T": "t", "mT": "transpose", "H": "adjoint", "mH": "adjoint",
               "real": "real", "imag": "imag"}  # fmt: skip


@cache
def of_function(func: Callable[..., Any]) -> Op | None:
    """The op of a torch function as a TorchFunctionMode sees it; None if it is of no interest."""
    name = getattr(func, "__name__", "") or type(func).__name__
    if name == "__get__":  # an attribute: only those that make a tensor are ops
        name = _ATTRIBUTES.get(getattr(getattr(func, "__self__", None), "__name__", ""), "item")
    name = name.strip("_").lower()
    name = _RENAMED.get(name, name)
    return None if name in _IGNORED else Op(name, _KIND_OF.get(name, "other"))


_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NODES = {
    "addmm": ("linear", "affine"), "mkldnn_convolution": ("conv", "affine"),
    "linear": ("linear", "affine"), "mkldnn_linear": ("linear", "affine"),
    "native_batch_norm": ("batch_norm", "norm"), "cudnn_batch_norm": ("batch_norm", "norm"),
    "native_layer_norm": ("layer_norm", "norm"), "native_group_norm": ("group_norm", "norm"),
    "native_dropout": ("dropout", "dropout"), "swish": ("silu", "activation"),
    "log_sigmoid": ("logsigmoid", "activation"),
    "_softmax": ("softmax", "softmax"), "_log_softmax": ("log_softmax", "softmax"),
    "nll_loss2_d": ("nll_loss", "loss"), "nll_loss_nd": ("nll_loss", "loss"),
    "differentiable_graph": ("torchscript", "custom"),
    "cudnn_rnn": ("rnn", "recurrent"), "mkldnn_rnn_layer": ("rnn", "recurrent"),
}  # fmt: skip
_CONV = re.compile(r"(cudnn_|mkldnn_|slow_|thnn_)?(conv|convolution)")
_VIEWS = _names(
    "view unsafe_view reshape_alias transpose t permute squeeze unsqueeze expand slice select "
    "split chunk unbind clone to_copy alias as_strided index_select gather index repeat "
    "constant_pad_nd narrow copy_slices as_strided_scatter split_with_sizes flip roll movedim "
    "detach unsafe_split diagonal unfold squeeze_dim"
)


def of_node(name: str) -> Op:
    """The op of an autograd node from its C++ name, for nodes whose forward was not seen.

    "SigmoidBackward0" -> ("sigmoid", "activation"). View-like nodes have kind "view".
    """
    base = re.sub(r"Backward\d*$", "", name).rpartition("::")[2]
    if base == "CopySlices":
        return Op("copy_slices", "view")
    snake = _CAMEL.sub("_", base).lower()
    if snake in _NODES:
        return Op(*_NODES[snake])
    snake = snake.strip("_")
    if snake in _VIEWS:
        return Op(snake, "view")
    if _CONV.match(snake):
        return Op("conv", "affine")
    return Op(snake, _KIND_OF.get(snake, "other"))


#: What makes infinity or NaN of finite numbers that are not even large.
FRAGILE = _names(
    "log log2 log10 log1p logit sqrt rsqrt div divide true_divide reciprocal exp exp2 expm1 pow "
    "float_power square acos asin acosh atanh norm vector_norm std var var_mean std_mean cdist "
    "mean nanmean softmax log_softmax"
)
#: What puts minus infinity where a softmax is to see nothing.
MASKING = _names("masked_fill where full full_like new_full triu tril masked_scatter")


#: Output values past which |f'| < 1 % of its maximum, on the side of an asymptote. A rectifier's
#: off side is no saturation. sigmoid: y(1-y) = .01/4; tanh: 1-y^2 = .01; softsign: 1/(1+|z|)^2 =
#: .01 at |z| = 9; elu, selu, celu: f' = .01 of its largest near the lower asymptote; hard ones: at
#: the edge. Formulas: `docs/decisions.md`; held against autograd in tests/network/test_ops.py.
_SIG = 0.5 + (0.25 - 0.0025) ** 0.5
SATURATED: dict[str, tuple[float, float]] = {
    "sigmoid": (1 - _SIG, _SIG),
    "tanh": (-(0.99**0.5), 0.99**0.5),
    "softsign": (-0.9, 0.9),
    "elu": (-0.99, float("inf")),
    "celu": (-0.99, float("inf")),
    "selu": (-0.99 * 1.0507009873554805 * 1.6732632423543772, float("inf")),
    "hardtanh": (-1.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "relu6": (float("-inf"), 6.0),
}
#: Of these, values at the bound itself count (flat exactly from there on).
CLOSED = frozenset({"hardtanh", "hardsigmoid", "relu6"})
