"""The backend that answers at once: what a run costs without a model."""
