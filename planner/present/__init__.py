"""Tables and pictures: one value, one writer for each format."""
