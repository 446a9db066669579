"""The spellings under which the same network is published, and the table between them.

    known = spelling_of(tensors)                 # Spelling("vae", "compvis", prefix="first_stage_model.")
    to_own(known, name, blocks)                  # "encoder.down.1.block.0.norm1.weight" -> "encoder.down_blocks.1...."
    from_own("vae", "compvis", name, blocks)     # and back

d3ad's own spellings are diffusers' new one for AutoencoderKL, TAESD's for the tiny autoencoder, and the only ones that
the UNet and ResNet have. A rule is a pattern with fields, read in either direction; the tests go both ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

# What other tools put before every name: DataParallel, Lightning, Stable Diffusion, pipelines saved whole.
WRAPPERS = ("module.", "model.", "first_stage_model.", "vae.", "autoencoder.")

# Family and spelling by a name that only they have, the more particular first.
PROBES = (
    ("unet", "d3ad", "time_embedding.1.weight"),
    ("vae", "compvis", "decoder.mid.attn_1.q.weight"),
    ("vae", "compvis", "encoder.down.0.block.0.conv1.weight"),
    ("vae", "diffusers-old", "decoder.mid_block.attentions.0.query.weight"),
    ("vae", "diffusers", "encoder.down_blocks.0.resnets.0.conv1.weight"),
    ("tiny_vae", "diffusers", "encoder.layers.0.weight"),
    ("tiny_vae", "taesd", "encoder.14.weight"),
    ("resnet", "torchvision", "layer1.0.conv1.weight"),
)
SPELLINGS = {
    "unet": ("d3ad",),
    "vae": ("diffusers", "diffusers-old", "compvis"),
    "tiny_vae": ("taesd", "diffusers"),
    "resnet": ("torchvision",),
}

# Theirs, ours. {rest} is any name; {a}, {b} are numbers; {flip} counts the decoder's levels from the other end.
_ATTENTION = "mid_block.attentions.0"
_OLD_ATTENTION = [
    (f"{{side}}.{_ATTENTION}.{old}.{{rest}}", f"{{side}}.{_ATTENTION}.{new}.{{rest}}")
    for old, new in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0"))
]
_COMPVIS = [
    ("encoder.down.{a}.block.{b}.nin_shortcut.{rest}", "encoder.down_blocks.{a}.resnets.{b}.conv_shortcut.{rest}"),
    ("encoder.down.{a}.block.{b}.{rest}", "encoder.down_blocks.{a}.resnets.{b}.{rest}"),
    ("encoder.down.{a}.downsample.conv.{rest}", "encoder.down_blocks.{a}.downsamplers.0.conv.{rest}"),
    ("decoder.up.{flip}.block.{b}.nin_shortcut.{rest}", "decoder.up_blocks.{flip}.resnets.{b}.conv_shortcut.{rest}"),
    ("decoder.up.{flip}.block.{b}.{rest}", "decoder.up_blocks.{flip}.resnets.{b}.{rest}"),
    ("decoder.up.{flip}.upsample.conv.{rest}", "decoder.up_blocks.{flip}.upsamplers.0.conv.{rest}"),
    ("{side}.mid.block_1.{rest}", "{side}.mid_block.resnets.0.{rest}"),
    ("{side}.mid.block_2.{rest}", "{side}.mid_block.resnets.1.{rest}"),
    ("{side}.mid.attn_1.norm.{rest}", f"{{side}}.{_ATTENTION}.group_norm.{{rest}}"),
    ("{side}.mid.attn_1.q.{rest}", f"{{side}}.{_ATTENTION}.to_q.{{rest}}"),
    ("{side}.mid.attn_1.k.{rest}", f"{{side}}.{_ATTENTION}.to_k.{{rest}}"),
    ("{side}.mid.attn_1.v.{rest}", f"{{side}}.{_ATTENTION}.to_v.{{rest}}"),
    ("{side}.mid.attn_1.proj_out.{rest}", f"{{side}}.{_ATTENTION}.to_out.0.{{rest}}"),
    ("{side}.norm_out.{rest}", "{side}.conv_norm_out.{rest}"),
]
_TINY = [
    ("encoder.layers.{a}.{rest}", "encoder.{a}.{rest}"),
    ("decoder.layers.{less}.{rest}", "decoder.{less}.{rest}"),  # TAESD counts the clamp before the decoder's first layer
]
RULES = {
    ("vae", "diffusers-old"): _OLD_ATTENTION,
    ("vae", "compvis"): _COMPVIS,
    ("tiny_vae", "diffusers"): _TINY,
}
_FIELDS = {"rest": ".+", "side": "encoder|decoder", "a": "[0-9]{1,3}", "b": "[0-9]{1,3}", "flip": "[0-9]{1,3}"}
_FIELDS["less"] = "[0-9]{1,3}"


@dataclass(frozen=True)
class Spelling:
    family: str
    spelling: str
    prefix: str


def wrapped_prefixes() -> list[str]:
    return ["", *WRAPPERS, *(a + b for a in WRAPPERS for b in WRAPPERS)]


def spelling_of(names: Iterable[str]) -> Spelling | None:
    known = set(names)
    for prefix in wrapped_prefixes():
        for family, spelling, probe in PROBES:
            if prefix + probe in known:
                return Spelling(family, spelling, prefix)
    return None


@lru_cache(maxsize=None)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    text = "".join(f"(?P<{p}>{_FIELDS[p]})" if i % 2 else re.escape(p) for i, p in enumerate(parts))
    return re.compile(text)


def _apply(have: str, want: str, name: str, blocks: int, step: int) -> str | None:
    """`name` of the form `have` in the form `want`. step: what is added to a number that counts from elsewhere."""
    found = _compiled(have).fullmatch(name)
    if found is None:
        return None
    fields = found.groupdict()
    if "flip" in fields:
        if int(fields["flip"]) >= blocks:
            return None
        fields["flip"] = str(blocks - 1 - int(fields["flip"]))
    if "less" in fields:
        fields["less"] = str(int(fields["less"]) + step)
        if fields["less"].startswith("-"):
            return None
    return want.format(**fields)


def to_own(family: str, spelling: str, name: str, blocks: int) -> str:
    """A published name (without prefix) as d3ad's. blocks: levels of the decoder, for the one that counts backwards."""
    for theirs, ours in RULES.get((family, spelling), []):
        mapped = _apply(theirs, ours, name, blocks, 1)
        if mapped is not None:
            return mapped
    return name


def from_own(family: str, spelling: str, name: str, blocks: int) -> str:
    for theirs, ours in RULES.get((family, spelling), []):
        mapped = _apply(ours, theirs, name, blocks, -1)
        if mapped is not None:
            return mapped
    return name


def decoder_levels(names: Iterable[str]) -> int:
    """How many levels a decoder in CompVis' or diffusers' spelling has."""
    found = (re.match(r"decoder\.up(?:_blocks)?\.([0-9]{1,3})\.", name) for name in names)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def is_square_attention(name: str) -> bool:
    """CompVis stores these as 1x1 convolutions, diffusers as matrices."""
    return bool(re.fullmatch(rf"(encoder|decoder)\.{re.escape(_ATTENTION)}\.to_(q|k|v|out\.0)\.weight", name))
