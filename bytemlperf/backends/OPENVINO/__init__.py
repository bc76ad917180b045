"""Intel's OpenVINO: models compiled to its intermediate representation."""
