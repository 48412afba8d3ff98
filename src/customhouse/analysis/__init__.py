"""What is in each image, and which known vulnerabilities it has."""
