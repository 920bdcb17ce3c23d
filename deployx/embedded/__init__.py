"""The real PostgreSQL and a real Redis-protocol server, out of wheels, for a machine without either.

Only `manage.py up` and the tests start them; whoever sets DATABASE_URL and REDIS_URL never meets them.
"""
