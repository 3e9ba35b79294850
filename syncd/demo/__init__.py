"""A small repository, a local DataCite, and seven edits: what syncd does, in a minute.

``repository`` is a made-up platform of four tables, ``story`` plays the passes and reports what happened.
The same story runs in the tests over every pair of databases.
"""
