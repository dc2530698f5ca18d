"""What runs in the place of a script: its own code, the compiled class and functions, frames and refusals."""
