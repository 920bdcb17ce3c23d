"""`/api/files`, `/api/software`: what can be deployed."""
