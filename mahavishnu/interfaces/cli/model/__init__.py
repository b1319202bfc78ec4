"""Manage the embedding model."""

COMMANDS = {
    "download": "Fetch the model NAME once from the Hugging Face hub.",
    "import": "Keep the ONNX model in the folder PATH; for machines without network.",
    "list": "List the models kept on this machine.",
    "status": "Show which model the database uses, which embedder is chosen, and why.",
    "verify": "Compare every file of the model NAME with its recorded SHA-256.",
}
