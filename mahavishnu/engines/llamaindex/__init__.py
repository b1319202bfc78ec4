"""LlamaIndex: splits repositories, and has its extension points answered by the memories."""
