"""From a collection's folder to examples: catalogue, sources of rows, layouts, splits.

Public: `catalogue.load` and its `Catalogue`, `Task` and `Split`,
`source.load_collection` and the protocol `RowSource`, `sources.examples`.

This package must not know how an example is phrased, by which model it is read,
or how an answer is counted; `metric_names` has only the names that a catalogue
may use. It works without torch.
"""
