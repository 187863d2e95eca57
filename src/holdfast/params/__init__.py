"""params.yaml as a whole: the schema of all sections, and checks across sections."""
