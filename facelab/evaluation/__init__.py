"""How good a model is: numbers from judges that had no part in making it."""
