"""How good a segmenter is: masks, words and refusals against records of questions, with intervals over patients."""
