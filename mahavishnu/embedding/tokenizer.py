"""The tokenizer of a model in the store, without the model."""

from typing import Any

from tokenizers import Tokenizer

from mahavishnu.base.errors import Corrupt
from mahavishnu.embedding.models import StoredModel


def load_tokenizer(model: StoredModel) -> Any:
    """
    Load the tokenizer without the truncation and padding that its file may ask for.

    Raises `Corrupt` "embedding.model_damaged".
    """
    try:
        tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    # tokenizers' errors share no base but Exception.
    except Exception as error:
        raise unloadable(model, error) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def unloadable(model: StoredModel, error: Exception) -> Corrupt:
    """Return the error for a model whose files do not load."""
    return Corrupt(
        f"The model in {model.folder} does not load: {str(error)[:200]}",
        hint="Run: mahavishnu model verify; then import or download it again.",
        code="embedding.model_damaged",
    )
