"""Whether the API's own document is at hand, for the tests of the catalogue made from it."""

from sandbox.sandbox_document import DOCUMENT

# the document is not ours to ship: where it is absent the catalogue stands for it
collect_ignore = [] if DOCUMENT.is_file() else ["test_catalogue_document.py"]
