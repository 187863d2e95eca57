"""The proof and the page that shows it."""
