"""What can be measured of a tokenizer on texts: how much it compresses, how evenly, how steadily, and how like another.

    corpus         the texts, laid end to end with the places of their words, and their tokens by one tokenizer
    figures        a figure: what was counted, over what, and in which parts of the text
    compression    bytes and characters per token, parity of parallel texts, general compressors
    words          tokens per word, words of several tokens
    entropy        bits of the ids by the counts of other text; Shannon and Renyi efficiency
    overlap        boundaries and tokens that two tokenizers share
    differences    the stretches that several tokenizers cut differently
    inference      merging against longest match and fewest tokens
    robustness     typos, and texts that grow by a character
    morphemes      boundaries against a small list cut by hand
    measuring      all of them for several tokenizers

All figures describe; none says which tokenizer is better. Figures of several texts are ratios of totals, never means of
ratios. Each function names the paper that its formula is from.
"""
