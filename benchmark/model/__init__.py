"""What a model is: the contract, models by name and by code, building, training, checking."""
