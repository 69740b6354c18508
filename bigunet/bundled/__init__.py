"""Models and images that come with bigunet, each with its licence and source."""
