"""How good a model is: numbers from judges by which it was not trained."""
