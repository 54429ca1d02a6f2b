"""Which rules there are, and what they name."""

from __future__ import annotations

from .base import Cause, Rule
from .ef101_vanishing_gradient import VanishingGradient
from .ef102_exploding_gradient import ExplodingGradient
from .ef103_non_finite import NonFinite
from .ef104_zero_gradient import ZeroGradient
from .ef105_low_precision_underflow import LowPrecisionUnderflow
from .ef201_saturated_activation import SaturatedActivation
from .ef202_dead_units import DeadUnits
from .ef203_paralysed_network import ParalysedNetwork
from .ef204_attention_collapse import AttentionCollapse
from .ef205_signal_collapse import SignalCollapse
from .ef206_activation_growth import ActivationGrowth
from .ef207_posterior_collapse import PosteriorCollapse
from .ef208_attention_logit_growth import AttentionLogitGrowth
from .ef209_massive_activations import MassiveActivations
from .ef211_expert_collapse import ExpertCollapse
from .ef301_stalled_layer import StalledLayer
from .ef302_oversized_update import OversizedUpdate
from .ef303_update_lost_in_rounding import UpdateLostInRounding
from .ef401_plateau import Plateau
from .ef402_divergence_or_spike import DivergenceOrSpike
from .ef403_oscillation import Oscillation
from .ef404_slow_learning import SlowLearning
from .ef405_one_sided_game import OneSidedGame
from .ef407_memorising import Memorising
from .ef501_unscaled_input import UnscaledInput
from .ef502_outlier_input import OutlierInput
from .ef503_non_finite_input import NonFiniteInput
from .ef504_unscaled_target import UnscaledTarget
from .ef505_sorted_data import SortedData
from .ef506_rare_class import RareClass
from .ef507_inputs_alike import InputsAlike
from .ef601_weights_too_small import WeightsTooSmall
from .ef602_weights_too_large import WeightsTooLarge
from .ef603_dead_at_birth import DeadAtBirth
from .ef604_too_deep_for_its_init import TooDeepForItsInit
from .ef605_symmetric_weights import SymmetricWeights
from .ef701_double_softmax import DoubleSoftmax
from .ef702_missing_nonlinearity import MissingNonlinearity
from .ef703_learning_rate_too_high import LearningRateTooHigh
from .ef704_parameter_not_trained import ParameterNotTrained
from .ef801_gradients_not_cleared import GradientsNotCleared
from .ef802_no_update import NoUpdate
from .ef803_broadcast_loss import BroadcastLoss
from .ef804_wrong_dimension import WrongDimension
from .ef805_eval_while_training import EvalWhileTraining
from .ef806_tiny_norm_batch import TinyNormBatch
from .ef807_out_of_reach import OutOfReach
from .ef808_samples_mixed import SamplesMixed
from .ef809_future_leak import FutureLeak
from .ef810_loss_not_averaged import LossNotAveraged
from .ef811_clipped_always import ClippedAlways
from .ef812_decay_dominates import DecayDominates

#: Every code, in order. A code is never reused; one that is retired moves to `RETIRED`.
REGISTRY: dict[str, type[Rule]] = {
    "EF101": VanishingGradient,
    "EF102": ExplodingGradient,
    "EF103": NonFinite,
    "EF104": ZeroGradient,
    "EF105": LowPrecisionUnderflow,
    "EF201": SaturatedActivation,
    "EF202": DeadUnits,
    "EF203": ParalysedNetwork,
    "EF204": AttentionCollapse,
    "EF205": SignalCollapse,
    "EF206": ActivationGrowth,
    "EF207": PosteriorCollapse,
    "EF208": AttentionLogitGrowth,
    "EF209": MassiveActivations,
    "EF211": ExpertCollapse,
    "EF301": StalledLayer,
    "EF302": OversizedUpdate,
    "EF303": UpdateLostInRounding,
    "EF401": Plateau,
    "EF402": DivergenceOrSpike,
    "EF403": Oscillation,
    "EF404": SlowLearning,
    "EF405": OneSidedGame,
    "EF407": Memorising,
    "EF501": UnscaledInput,
    "EF502": OutlierInput,
    "EF503": NonFiniteInput,
    "EF504": UnscaledTarget,
    "EF505": SortedData,
    "EF506": RareClass,
    "EF507": InputsAlike,
    "EF601": WeightsTooSmall,
    "EF602": WeightsTooLarge,
    "EF603": DeadAtBirth,
    "EF604": TooDeepForItsInit,
    "EF605": SymmetricWeights,
    "EF701": DoubleSoftmax,
    "EF702": MissingNonlinearity,
    "EF703": LearningRateTooHigh,
    "EF704": ParameterNotTrained,
    "EF801": GradientsNotCleared,
    "EF802": NoUpdate,
    "EF803": BroadcastLoss,
    "EF804": WrongDimension,
    "EF805": EvalWhileTraining,
    "EF806": TinyNormBatch,
    "EF807": OutOfReach,
    "EF808": SamplesMixed,
    "EF809": FutureLeak,
    "EF810": LossNotAveraged,
    "EF811": ClippedAlways,
    "EF812": DecayDominates,
}
RETIRED: dict[str, str] = {}

#: Causes without a code of their own, by name.
CAUSES: dict[str, Cause] = {c.name: c for rule in REGISTRY.values() for c in rule.causes}
