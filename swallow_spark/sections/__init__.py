"""The configuration's sections: one file for each stage, and what they are made of."""
