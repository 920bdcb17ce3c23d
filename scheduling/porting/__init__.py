"""Export and import: tasks as a document that people read, keep beside their code and apply again.

exporting.document_of(tasks, user)       # → the document; document.write() → YAML
document.read(text)                      # YAML, nothing but plain values → the document
plan.of(document, user, now=…)           # what an import would do, or everything that is wrong
apply.carry_out(plan, user)              # does it, whole or not at all
"""
