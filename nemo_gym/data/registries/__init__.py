"""Where datasets are kept: MLflow model registries such as GitLab's, and the Hugging Face hub."""
