"""What a piece of a script is: the class `Value`, arithmetic over vectors, the optimiser's loop."""
