"""Statistics: arrays in, frozen results out; knows no app, no frame and no disk."""
