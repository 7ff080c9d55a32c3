"""The algorithms of `tokenizer/reference.py`, compiled: the same results, a hundred times as fast.

compiling.py   how a function becomes machine code, and where that is kept
memory.py      buffers, and the few loads and stores through which kernels reach them
characters.py  code points in UTF-8 and their classes
scanning.py    cut text into pre-tokens, by hand-written scanners for gpt2, cl100k and o200k
blocks.py      the same, 64 bytes at a time
counting.py    count the pre-tokens of a corpus
pairs.py       the words that were counted as rows of ids, and the pairs of neighbours in them
merging.py     learn merges from the pairs
vocabulary.py  what encoding knows of a vocabulary, as tables
joining.py     cut one piece into tokens by its merges
backtracking.py  the same for long pieces, in linear time
encoding.py    text to ids, by a cache of words
decoding.py    ids to text

A kernel takes and gives 64-bit integers only: numbers, and addresses of buffers which its caller keeps alive. Nothing
guards a wrong address, so everything that touches memory goes through `memory.py`, of which a checked build
(`NEEDLEPOINT_CHECKED_KERNELS=1`) refuses every address outside the buffers; the fuzz tests run that.
"""
