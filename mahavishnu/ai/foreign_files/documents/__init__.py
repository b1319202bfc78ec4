"""
Settings of other programs as documents in which single members are changed and all else stays.

The formats, `json_document.py` and `toml_document.py`, are imported by who needs them: each costs time.
"""

from mahavishnu.ai.foreign_files.documents.port import (
    ABSENT,
    Absent,
    Document,
    KeyPath,
    Value,
    same_value,
)

__all__ = ["ABSENT", "Absent", "Document", "KeyPath", "Value", "same_value"]
