"""What `manage.py schedule` consists of: how arguments are read, things found, shown and followed.

Nothing is decided here; the verbs are the same as behind pages and API.
"""
