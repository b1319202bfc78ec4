"""Settings of other programs as documents in which single members are changed and all else stays."""

from mahavishnu.ai_env.documents.json_document import JsonDocument
from mahavishnu.ai_env.documents.port import ABSENT, Absent, Document, KeyPath, Value, same_value
from mahavishnu.ai_env.documents.toml_document import TomlDocument

__all__ = [
    "ABSENT",
    "Absent",
    "Document",
    "JsonDocument",
    "KeyPath",
    "TomlDocument",
    "Value",
    "same_value",
]
