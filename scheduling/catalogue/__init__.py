"""Files and software: stored, described, looked up for an execution, and given to its devices.

`store` keeps bytes, `files` and `uploads` are the verbs on what people bring, `software` those on the
catalogue, `lookup` what a kind asks when an execution opens, `handing` what a device may fetch.
"""
