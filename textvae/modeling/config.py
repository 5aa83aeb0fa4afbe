"""Configuration of the network: encoder config, decoder config, and the options of the latent."""

# No `from __future__ import annotations` here: `@strict` cannot check annotations that are strings.
import difflib
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, BertConfig, GPT2Config, PreTrainedConfig

from ..text.cleaning import NORMALIZATION

# What transformers itself passes beside the declared fields and names with an underscore; all else unknown is a typo.
PASSED_BY_TRANSFORMERS = {
    "model_type", "name_or_path", "num_labels", "attn_implementation", "experts_implementation", "torch_dtype",
    "output_attentions",
}  # fmt: skip
RETIRED = ("bag_of_words",)  # fields of older models, ignored on loading
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """Network dimensions for a value of `--size`."""

    hidden_size: int
    num_layers: int
    num_heads: int
    latent_dim: int
    pooling_queries: int
    gru_hidden_size: int
    prefix_length: int
    vocab_size: int


PRESETS = {
    "tiny": Preset(128, 2, 2, 32, 8, 256, 4, 4096),
    "small": Preset(256, 2, 4, 64, 16, 512, 8, 8192),
    "base": Preset(512, 4, 8, 128, 16, 1024, 16, 16384),
}


@strict
class GRUDecoderConfig(PreTrainedConfig):
    """Configure the GRU decoder.

    Args:
        vocab_size: Number of tokens V.
        hidden_size: Width of the token embeddings.
        gru_hidden_size: Width of the recurrent state.
        num_hidden_layers: Stacked GRU layers.
        dropout: Dropout on the inputs and outputs of the GRU.
        coverage: Whether a decoder with slots reads the sum of the embeddings written so far.
    """

    model_type = "textvae-gru"

    vocab_size: int = 8192
    hidden_size: int = 256
    gru_hidden_size: int = 512
    num_hidden_layers: int = 1
    dropout: float | int = 0.0
    coverage: bool = False
    tie_word_embeddings: bool = True

    @classmethod
    def from_preset(cls, preset: Preset, vocab_size: int, dropout: float) -> "GRUDecoderConfig":
        """Return the config of a decoder trained from scratch."""
        return cls(
            vocab_size=vocab_size,
            hidden_size=preset.hidden_size,
            gru_hidden_size=preset.gru_hidden_size,
            dropout=dropout,
            coverage=True,
        )

    def __post_init__(self, **kwargs: Any) -> None:
        refuse_unknown(type(self), kwargs)
        super().__post_init__(**kwargs)


@strict
class StaticEncoderConfig(PreTrainedConfig):
    """Configure an encoder that has one vector for each token.

    Args:
        vocab_size: Number of tokens V.
        hidden_size: Width of the vectors.
    """

    model_type = "textvae-static"

    vocab_size: int = 8192
    hidden_size: int = 384

    def __post_init__(self, **kwargs: Any) -> None:
        refuse_unknown(type(self), kwargs)
        super().__post_init__(**kwargs)


@strict
class TextVAEConfig(PreTrainedConfig):
    """Configure a text VAE. Unknown fields and wrong types raise an error, also when loaded from `config.json`.

    Attributes:
        encoder: Config of any `AutoModel`, or its dict with a "model_type".
        decoder: Config of any `AutoModelForCausalLM` or a `GRUDecoderConfig`, or its dict.
        latent_dim: D, the number of latent dimensions.
        pooling: "mean" averages the encoder's states over the tokens; "attention" concatenates the outputs of
            `pooling_queries` learnt queries, which learns to encode word order faster.
        pooling_queries: Number of learnt queries.
        pooling_width: Output dimensions of each query.
        keep_encoder: Whether to freeze the encoder and use its embedding as mu: the mean of its states scaled to length
            sqrt(D), where D is the encoder's width.
        residual: Largest length of a learnt correction to that embedding, relative to its length, so that texts of
            similar meaning stay distinguishable. `pooling_queries` compute it from the first and last states.
        lora_rank: Rank of the low-rank adapters of a transformer decoder, whose own weights are then frozen (Hu et al.
            2022); 0 for none.
        unit_mean: Whether mu is scaled to length sqrt(D), the typical length of a draw from N(0, I), so that only its
            direction carries information.
        tie_word_embeddings: Whether encoder and decoder share one matrix of token embeddings.
        slot_dim: W, the dimensions of a wording slot; 0 for a model without slots, whose latent is mu alone.
        slot_tokens: Encoder tokens per slot.
        slot_stride: Decoder tokens per slot; None for `slot_tokens`.
        prefix_length: Prefix vectors that a transformer decoder computes from the latent.
        batch_norm_gamma: Fixed scale of a batch normalisation of mu, which bounds the KL from below (BN-VAE, Zhu et
            al. 2020); None for no batch normalisation.
        latent_dropout: Probability of replacing a text's latent by zeros in training, so that the decoder also learns
            to write without a latent, as guidance requires (Ho & Salimans 2022).
        max_length: Maximum tokens of a text, BOS and EOS included; longer texts are cut.
        encoder_max_length: Maximum tokens for the encoder; None for `max_length`.
        bos_token_id: First token of every decoded text.
        eos_token_id: Last token of every decoded text.
        pad_token_id: Padding.
        mask_token_id: Stands for a token that noise hid; None disables masking.
        text_normalization: Version of `textvae.text.cleaning.normalised` that texts pass before they are tokenised; 0,
            as in older models, for none.

    Examples:
        >>> TextVAEConfig.preset("tiny", vocab_size=1000).latent_dim
        32
    """

    model_type = "textvae"

    encoder: Any = None
    decoder: Any = None
    latent_dim: int = 64
    pooling: Literal["mean", "attention"] = "attention"
    pooling_queries: int = 8
    pooling_width: int = 64
    keep_encoder: bool = False
    residual: float | int = 0.0
    lora_rank: int = 0
    unit_mean: bool = False
    tie_word_embeddings: bool = False
    slot_dim: int = 0
    slot_tokens: int = 4
    slot_stride: float | int | None = None
    prefix_length: int = 8
    batch_norm_gamma: float | int | None = None
    latent_dropout: float | int = 0.0
    max_length: int = 64
    encoder_max_length: int | None = None
    bos_token_id: int = 0
    eos_token_id: int = 1
    pad_token_id: int = 2
    mask_token_id: int | None = 3
    text_normalization: int = 0
    use_cache: bool = True  # the Trainer writes it

    def __post_init__(self, **kwargs: Any) -> None:
        _drop_retired(kwargs)
        refuse_unknown(type(self), kwargs)
        self.encoder = _sub_config(self.encoder, "encoder", BertConfig)
        self.decoder = _sub_config(self.decoder, "decoder", GRUDecoderConfig)
        for holds, rule in self._rules():
            if not holds:
                raise ValueError(rule)
        super().__post_init__(**kwargs)

    def _rules(self) -> Iterator[tuple[bool, str]]:
        """Yield a pair for each rule: whether it holds, and the error message if it does not."""
        us, scratch = "TextVAEConfig", isinstance(self.decoder, GRUDecoderConfig)
        for name in ("latent_dim", "pooling_queries", "pooling_width", "max_length", "slot_tokens"):
            yield getattr(self, name) >= 1, f"{us}.{name} must be at least 1, got {getattr(self, name)}"
        yield (
            self.slot_dim >= 0 and (self.slot_stride is None or self.slot_stride > 0),
            f"{us}.slot_dim must not be negative and slot_stride be above 0, "
            f"got {self.slot_dim} and {self.slot_stride}",
        )
        yield (
            self.lora_rank == 0 or (self.lora_rank > 0 and not scratch),
            f"{us}.lora_rank is at least 0 and goes with a transformer decoder, got {self.lora_rank}",
        )
        yield 0 <= self.latent_dropout < 1, f"{us}.latent_dropout must be in [0, 1), got {self.latent_dropout}"
        yield (
            self.residual == 0 or (self.residual > 0 and self.keep_encoder),
            f"{us}.residual is a length of at least 0 and goes with keep_encoder, got {self.residual}",
        )
        tied = self.tie_word_embeddings
        yield (
            not (tied and self.keep_encoder),
            f"choose {us}.keep_encoder or tie_word_embeddings: tied embeddings would train the frozen encoder",
        )
        read, written = ((half.vocab_size, half.hidden_size) if tied else None for half in (self.encoder, self.decoder))
        yield (
            read == written,
            f"{us}.tie_word_embeddings needs one vocabulary and width in encoder and decoder, got {read} and {written}",
        )
        width = self.encoder.hidden_size if self.keep_encoder else self.latent_dim
        yield (
            self.latent_dim == width,
            f"{us}.latent_dim must be {width}, the width of the kept encoder, got {self.latent_dim}",
        )
        for name in ("keep_encoder", "unit_mean"):
            once = not getattr(self, name) or self.batch_norm_gamma is None
            yield once, f"choose {us}.{name} or batch_norm_gamma: both set the scale of mu"
        of_encoder = "max_length" if self.encoder_max_length is None else "encoder_max_length"
        yield self._has_room("encoder", self.encoder, of_encoder, 0)
        version = self.text_normalization
        newest = f"{us}.text_normalization must be in 0..{NORMALIZATION}, got {version}: a newer textvae may know it"
        yield 0 <= version <= NORMALIZATION, newest
        yield self._has_room("decoder", self.decoder, "max_length", self.prefix_length)

    def _has_room(self, name: str, half: PreTrainedConfig, field: str, taken: int) -> tuple[bool, str]:
        positions, length = getattr(half, "max_position_embeddings", None) or -1, getattr(self, field)
        rule = f"TextVAEConfig.{field} must be at most {positions - taken}, got {length}: the {name} has {positions}"
        return positions <= 0 or length + taken <= positions, f"{rule} positions"

    @property
    def max_slots(self) -> int:
        """Maximum number of slots of a text: those of `max_length` tokens without BOS."""
        return math.ceil((self.max_length - 1) / (self.slot_stride or self.slot_tokens)) if self.slot_dim else 0

    @property
    def longest_text(self) -> int | None:
        """Maximum tokens of a text that the decoder has positions for, BOS and EOS included; None if unlimited."""
        positions = getattr(self.decoder, "max_position_embeddings", None)
        return positions and positions - self.prefix_length

    @classmethod
    def preset(cls, size: str, *, vocab_size: int, decoder: str = "gru", **fields_: Any) -> "TextVAEConfig":
        """Return a from-scratch configuration.

        Args:
            size: "tiny", "small" or "base".
            vocab_size: V, of the tokenizer that encoder and decoder share.
            decoder: "gru", "transformer", or the name of a registered decoder.
            **fields_: Fields of this class that override the preset.
        """
        if size not in PRESETS:
            raise ValueError(f"unknown size {size!r}: use one of {', '.join(PRESETS)}")
        p = PRESETS[size]
        chosen: dict[str, Any] = {
            "encoder": transformer_encoder(p, vocab_size),
            "decoder": decoder_config(p, vocab_size, decoder),
            "latent_dim": p.latent_dim,
            "pooling_queries": p.pooling_queries,
            "prefix_length": p.prefix_length,
        }
        return cls(**(chosen | fields_))


def transformer_encoder(preset: Preset, vocab_size: int) -> PreTrainedConfig:
    """Return the from-scratch Transformer encoder of a preset."""
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=preset.hidden_size,
        num_hidden_layers=preset.num_layers,
        num_attention_heads=preset.num_heads,
        intermediate_size=4 * preset.hidden_size,
        max_position_embeddings=512,
        hidden_dropout_prob=0.0,  # token noise regularises instead; dropout would add a third to the time of a CPU step
        attention_probs_dropout_prob=0.0,
        pad_token_id=2,
    )


def decoder_config(preset: Preset, vocab_size: int, kind: str, dropout: float = 0.0) -> PreTrainedConfig:
    """Return the from-scratch decoder of a preset: "gru", "transformer" or the name of a registered decoder."""
    if kind not in FROM_SCRATCH:
        raise ValueError(f"unknown decoder {kind!r}: use one of {', '.join(FROM_SCRATCH)}, a folder or a hub id")
    return FROM_SCRATCH[kind](preset, vocab_size, dropout)


def _transformer_decoder(preset: Preset, vocab_size: int, dropout: float) -> PreTrainedConfig:
    return GPT2Config(  # learnt positions distinguish the prefix vectors sooner than rotary ones
        vocab_size=vocab_size,
        n_embd=preset.hidden_size,
        n_layer=preset.num_layers,
        n_head=preset.num_heads,
        n_positions=512,
        resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip


# Functions that create the config of a from-scratch decoder, by the name given to --decoder; see `register_decoder`.
FROM_SCRATCH: dict[str, Callable[[Preset, int, float], PreTrainedConfig]] = {
    "gru": GRUDecoderConfig.from_preset,
    "transformer": _transformer_decoder,
}


def refuse_unknown(config_class: type, extra: dict[str, Any]) -> None:
    """Raise ValueError for fields that the class does not declare; suggest the closest declared name."""
    known = {f.name for f in fields(config_class)}
    for name in extra:
        if name in known or name in PASSED_BY_TRANSFORMERS or name.startswith("_"):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown {config_class.__name__} field {name!r}{hint}")


def _drop_retired(extra: dict[str, Any]) -> None:
    for name in RETIRED:
        if name in extra:
            value = extra.pop(name)
            logger.log(logging.WARNING if value else logging.DEBUG, "ignoring the retired field %s=%s", name, value)


def _sub_config(config: Any, name: str, default: type[PreTrainedConfig]) -> PreTrainedConfig:
    if config is None:
        return default()
    if isinstance(config, PreTrainedConfig):
        return config
    if "model_type" not in config:
        raise ValueError(f"the {name} of a TextVAEConfig needs a 'model_type', such as 'bert' or 'llama'")
    content = dict(config)
    return AutoConfig.for_model(content.pop("model_type"), **content)


AutoConfig.register("textvae", TextVAEConfig, exist_ok=True)
AutoConfig.register("textvae-gru", GRUDecoderConfig, exist_ok=True)
AutoConfig.register("textvae-static", StaticEncoderConfig, exist_ok=True)
