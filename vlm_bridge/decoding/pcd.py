"""`pcd_generate`: positional contrastive decoding, as a strategy that transformers' `generate` calls, or called itself.

Two branches read the same text; in the local one the slow rotary frequencies turn faster, so that it sees near words as
before and far ones badly. What the far words add is the difference of the logits, and it is added once more, `beta`
times. One word is chosen per prompt and read by both branches.

    model.generate(ids, custom_generate=pcd_generate, pcd=PcdConfig(), max_new_tokens=64)
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria
from transformers.generation.utils import GenerateDecoderOnlyOutput

from vlm_bridge.decoding.branches import Branches, BranchLogits
from vlm_bridge.decoding.config import PcdConfig
from vlm_bridge.decoding.contrast import candidates, contrast_logits
from vlm_bridge.decoding.prompt_inputs import prompt_inputs
from vlm_bridge.errors import InvalidInputError

_log = logging.getLogger(__name__)
_DEFAULT_NEW_TOKENS = 20


@torch.no_grad()
def pcd_generate(
    model: Any,
    input_ids: Int[Tensor, "row token"],
    logits_processor: LogitsProcessorList | None = None,
    stopping_criteria: StoppingCriteriaList | None = None,
    generation_config: GenerationConfig | None = None,
    streamer: Any = None,
    pcd: PcdConfig | None = None,
    **model_kwargs: Any,
) -> Int[Tensor, "row longer"] | GenerateDecoderOnlyOutput:
    """Prompts and what follows them, as transformers' greedy search and sampling return it.

    Through `generate` all its settings arrive as processors and criteria: temperature, top-p and top-k, penalties,
    lengths, ends. They act on the contrasted logits. Processors with a true attribute `only_masks` moreover
    decide which words may be candidates. Should the processors forbid every candidate of a row, that row is chosen
    from the plain logits. Prompts are padded on the left, and may be `inputs_embeds`, as in `generate`.

    Args:
        model: A causal language model or InternVL of transformers.
        input_ids: The prompts.
        logits_processor: Act on the contrasted logits; called directly, none by default.
        stopping_criteria: End rows; called directly, `max_new_tokens` and the end words of `generation_config`.
        generation_config: `do_sample`, `prefill_chunk_size` (where `pcd.prompt_chunk` is None) and
            `return_dict_in_generate` with `output_scores` and `output_logits` (of the plain branch) are heeded.
        streamer: Is put the words as they are chosen. `generate` keeps a streamer to itself when it calls a strategy of
            one's own: bind it, `custom_generate=partial(pcd_generate, streamer=...)`.
        pcd: How to contrast.
        model_kwargs: `attention_mask`, `position_ids`, `inputs_embeds`, `pixel_values`, as in `generate`.

    Raises:
        InvalidInputError: beams, assisted decoding, a cache of fixed size or one that has begun are asked for.
        BackboneError: the model's positions cannot be perturbed.

    Source:
        Xiao et al. 2025, arXiv:2506.08371. Words outside the candidates are never chosen; the paper leaves this open.
    """
    settings = generation_config or model.generation_config
    _refuse_other_modes(model, settings)
    config = pcd or PcdConfig()
    prompt = prompt_inputs(model, input_ids, model_kwargs)
    branches = Branches(model, prompt, config)
    chooser = _Chooser(
        processors=logits_processor if logits_processor is not None else LogitsProcessorList(),
        config=config,
        contrasted=branches.contrasted,
        sample=bool(settings.do_sample),
    )
    criteria = stopping_criteria if stopping_criteria is not None else _criteria(settings, input_ids)
    ids, unfinished = input_ids, torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    record = _Record(settings)
    logits = branches.read_prompt(config.prompt_chunk or settings.prefill_chunk_size)
    while True:
        words, scores = chooser.choose(ids, logits)
        words = torch.where(unfinished, words, _padding_word(settings, words))
        record.add(scores, logits)
        ids = torch.cat([ids, words[:, None]], dim=1)
        if streamer is not None:
            streamer.put(words.cpu())
        unfinished = unfinished & ~criteria(ids, record.scores)
        if not unfinished.any():
            break
        logits = branches.read_words(words)
    if streamer is not None:
        streamer.end()
    return record.output(ids, branches)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chooser:
    processors: LogitsProcessorList
    config: PcdConfig
    contrasted: Bool[Tensor, " row"]
    sample: bool

    def choose(self, ids: Tensor, logits: BranchLogits) -> tuple[Int[Tensor, " row"], Float[Tensor, "row word"]]:
        """One word per row, and the scores it was chosen by."""
        scores = _processed(self.processors, ids, self._contrast(ids, logits))
        nothing = torch.isneginf(scores).all(dim=1)
        if nothing.any():
            _log.debug("no candidate may be said in %d rows: they are chosen without contrast", int(nothing.sum()))
            scores = torch.where(nothing[:, None], _processed(self.processors, ids, logits.plain.clone()), scores)
        if self.sample:
            return torch.multinomial(scores.softmax(-1), 1)[:, 0], scores
        return scores.argmax(-1), scores

    def _contrast(self, ids: Tensor, logits: BranchLogits) -> Tensor:
        may_be_said = logits.plain
        for mask in self.processors:
            if getattr(mask, "only_masks", False):
                may_be_said = _processed(mask, ids, may_be_said.clone())
        allowed = candidates(may_be_said, self.config.gamma) | ~self.contrasted[:, None]
        return contrast_logits(logits.plain, logits.local, beta=self.config.beta, allowed=allowed)


def _processed(process: Callable[[Any, Any], Any], ids: Tensor, scores: Tensor) -> Tensor:
    return process(ids, scores)


@dataclass(slots=True)
class _Record:
    """What `generate` gives back beside the ids, where asked for."""

    settings: GenerationConfig
    scores: Any = field(init=False)
    logits: Any = field(init=False)

    def __post_init__(self) -> None:
        whole = self.settings.return_dict_in_generate
        self.scores = () if whole and self.settings.output_scores else None
        self.logits = () if whole and self.settings.output_logits else None

    def add(self, scores: Tensor, logits: BranchLogits) -> None:
        if self.scores is not None:
            self.scores += (scores,)
        if self.logits is not None:
            self.logits += (logits.plain,)

    def output(self, ids: Tensor, branches: Branches) -> Tensor | GenerateDecoderOnlyOutput:
        if not self.settings.return_dict_in_generate:
            return ids
        return GenerateDecoderOnlyOutput(
            sequences=ids,  # type: ignore[arg-type]
            scores=self.scores,
            logits=self.logits,
            past_key_values=branches.cache,
        )


def _refuse_other_modes(model: Any, settings: GenerationConfig) -> None:
    found = {
        "an encoder-decoder model": model.config.is_encoder_decoder,
        "num_beams > 1": (settings.num_beams or 1) > 1,
        # versions of transformers differ in which of these they know
        "prompt_lookup_num_tokens (assisted decoding)": getattr(settings, "prompt_lookup_num_tokens", None),
        "assistant_early_exit (assisted decoding)": getattr(settings, "assistant_early_exit", None),
        "penalty_alpha (contrastive search)": getattr(settings, "penalty_alpha", None),
        "dola_layers": getattr(settings, "dola_layers", None),
        f"cache_implementation={settings.cache_implementation!r}": settings.cache_implementation
        not in (None, "dynamic"),
        "output_attentions": settings.output_attentions,
        "output_hidden_states": settings.output_hidden_states,
    }
    refused = [name for name, asked in found.items() if asked]
    if refused:
        raise InvalidInputError(
            f"Positional contrastive decoding: expected greedy search or sampling with a cache that grows, found "
            f"{', '.join(refused)}. Leave it out, or use another strategy."
        )


def _criteria(settings: GenerationConfig, ids: Tensor) -> StoppingCriteriaList:
    """What ends rows where `generate` has not said it."""
    longest = ids.shape[1] + (settings.max_new_tokens or _DEFAULT_NEW_TOKENS)
    criteria = StoppingCriteriaList([MaxLengthCriteria(max_length=longest)])
    if settings.eos_token_id is not None:
        criteria.append(EosTokenCriteria(eos_token_id=settings.eos_token_id))
    return criteria


def _padding_word(settings: GenerationConfig, words: Tensor) -> Tensor:
    """What a finished row says while others go on."""
    pad, ends = settings.pad_token_id, settings.eos_token_id
    if pad is None:
        pad = (ends[0] if isinstance(ends, list) else ends) if ends is not None else 0
    return torch.full_like(words, pad)
