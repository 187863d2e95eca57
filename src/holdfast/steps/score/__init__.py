"""score: a judge's scores of every answer."""
