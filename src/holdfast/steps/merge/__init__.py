"""merge: an arm that is the average of trained arms and the base model."""
