"""What transformers' processor and its chat template need beside a tokenizer: tokens by name, and the template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlm_bridge.backbone.json_files import read_json_object, write_json_object
from vlm_bridge.prompts.special_tokens import SpecialTokens

CHAT_TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' }}
    {%- if message['content'] is string %}
        {{- message['content'] }}
    {%- else %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'image' %}
                {{- '<IMG_CONTEXT>\\n' }}
            {%- elif part['type'] == 'text' %}
                {{- part['text'] }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
"""Turns as InternVL's; `<IMG_CONTEXT>` stands once per picture, and the processor puts its visual tokens there."""
_VIDEO_TOKENS = ("<|video_pad|>", "<video>")
_LEFT_OVER = ("is_local", "local_files_only")
"""How a tokenizer was loaded, which transformers writes down with it."""


def write_tokenizer(tokenizer: Any, folder: Path, tokens: SpecialTokens) -> None:
    """Write the tokenizer with its chat template, `CHAT_TEMPLATE` where it has none, and the names of the tokens of
    pictures.

    The processor asks for a token of videos too. Where the tokenizer has none, that of pictures bears the name: a new
    one would have no row in the model.
    """
    tokenizer.save_pretrained(folder)
    template = folder / "chat_template.jinja"
    if not template.is_file():
        template.write_text(CHAT_TEMPLATE, encoding="utf-8")
    known = tokenizer.get_vocab()
    named = {
        "start_image_token": tokens.image_start,
        "end_image_token": tokens.image_end,
        "context_image_token": tokens.image_context,
        "video_token": next((text for text in _VIDEO_TOKENS if text in known), tokens.image_context),
    }
    settings = read_json_object(folder / "tokenizer_config.json")
    kept = {name: value for name, value in settings.items() if name not in _LEFT_OVER}
    write_json_object(folder / "tokenizer_config.json", kept | named)
