"""Write the packaged MiniLM weights as a GGUF file for llama.cpp: safetensors in, f16 out."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

from tests.support.weights import NAME

_LAYER_TENSORS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_CONTROL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")


def write_gguf(source: Path, target: Path) -> Path:
    """Convert the BERT model in the Hugging Face folder `source`; return `target`."""
    config = json.loads((source / "config.json").read_bytes())
    tensors = load_file(str(source / "model.safetensors"))
    writer = gguf.GGUFWriter(str(target), "bert")
    _write_shape(writer, config)
    _write_vocabulary(writer, source, config)
    _write_tensors(writer, tensors, layers=config["num_hidden_layers"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _write_shape(writer: Any, config: dict[str, Any]) -> None:
    writer.add_name(NAME)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _write_vocabulary(writer: Any, source: Path, config: dict[str, Any]) -> None:
    tokenizer = json.loads((source / "tokenizer.json").read_bytes())
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    converted = [_convert_token(word) for word in words]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token for token, _ in converted])
    writer.add_token_types([kind for _, kind in converted])
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_bos_token_id(vocabulary["[CLS]"])
    writer.add_eos_token_id(vocabulary["[SEP]"])
    writer.add_sep_token_id(vocabulary["[SEP]"])
    writer.add_unk_token_id(vocabulary["[UNK]"])
    writer.add_pad_token_id(vocabulary["[PAD]"])
    writer.add_mask_token_id(vocabulary["[MASK]"])
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)


def _convert_token(word: str) -> tuple[bytes, int]:
    """Return token and type as llama.cpp wants them: words marked at their start, parts bare."""
    if word in _CONTROL:
        return word.encode(), gguf.TokenType.CONTROL
    if word == "[UNK]":
        return word.encode(), gguf.TokenType.UNKNOWN
    if word.startswith("[unused"):
        return word.encode(), gguf.TokenType.UNUSED
    marked = word[2:] if word.startswith("##") else "\u2581" + word
    return marked.encode(), gguf.TokenType.NORMAL


def _write_tensors(writer: Any, tensors: dict[str, Any], *, layers: int) -> None:
    def put(target: str, source: str, *, half: bool = True) -> None:
        value = tensors[source]
        kind = np.float16 if half and value.ndim == 2 else np.float32
        writer.add_tensor(target, np.ascontiguousarray(value, dtype=kind))

    put("token_embd.weight", "embeddings.word_embeddings.weight")
    put("position_embd.weight", "embeddings.position_embeddings.weight", half=False)
    put("token_types.weight", "embeddings.token_type_embeddings.weight", half=False)
    for part in ("weight", "bias"):
        put(f"token_embd_norm.{part}", f"embeddings.LayerNorm.{part}")
        for layer in range(layers):
            for source, target in _LAYER_TENSORS.items():
                put(f"blk.{layer}.{target}.{part}", f"encoder.layer.{layer}.{source}.{part}")
