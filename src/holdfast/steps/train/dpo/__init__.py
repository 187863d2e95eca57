"""dpo: an arm that is trained on preference pairs, from the model of another arm on."""
