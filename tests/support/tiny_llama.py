"""A language model of random weights as a GGUF file: it knows nothing, but a real server runs it."""

from pathlib import Path

import gguf
import numpy as np

EMBEDDING, HIDDEN, HEADS, CONTEXT = 64, 128, 4, 8192


def write_model(path: Path) -> None:
    """One layer, a vocabulary of bytes: 300 kB."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(1)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL, *[gguf.TokenType.BYTE] * 256]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for message in messages %}{{ message.content }}\n{% endfor %}")
    shapes = {
        "token_embd": (len(tokens), EMBEDDING),
        "output": (len(tokens), EMBEDDING),
        "blk.0.attn_q": (EMBEDDING, EMBEDDING),
        "blk.0.attn_k": (EMBEDDING, EMBEDDING),
        "blk.0.attn_v": (EMBEDDING, EMBEDDING),
        "blk.0.attn_output": (EMBEDDING, EMBEDDING),
        "blk.0.ffn_gate": (HIDDEN, EMBEDDING),
        "blk.0.ffn_up": (HIDDEN, EMBEDDING),
        "blk.0.ffn_down": (EMBEDDING, HIDDEN),
    }
    weights = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    # Every state has much of one direction, which speaks against bytes beyond ASCII: babble that is no UTF-8 would trip
    # the server's own parser.
    weights["token_embd"][:, 0] = 9.0
    weights["output"] *= 6.0  # so that the rest of a state, which depends on the text, still decides
    weights["output"][:, 0] = [-30.0 if token > "<0x7F>" else 0.0 for token in tokens]
    for name, weight in weights.items():
        writer.add_tensor(f"{name}.weight", weight)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(EMBEDDING, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
