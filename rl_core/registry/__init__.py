"""What is kept: the lake of chain artefacts, and the store of deployed models."""
