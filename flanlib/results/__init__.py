"""Records of what was scored, which of them are valid today, and estimates from them.

Public: `Record` and `Cell` of `schema`, `store` for the files, `validity` for what
changed since a record was made, `estimates` for paired intervals, `agreement` of
seeds, `published` for the numbers of the paper.

This package must not know which runs a study wants or how a number is drawn. It
works without torch.
"""
