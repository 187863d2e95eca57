"""train: fine-tuning by Axolotl."""
