"""What is measured, one module each: `run(context)` gives its results."""
