"""The life after death: what died for good, kept until a person mends or discards it."""
