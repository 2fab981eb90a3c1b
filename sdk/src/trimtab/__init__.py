"""The client of the Trimtab hyperparameter tuning service."""
